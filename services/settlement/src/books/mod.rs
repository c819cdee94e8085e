//! The books of the wallet: what it can still spend, and how far endpoints are believed about it.

mod amounts;
mod balances;
mod caution;
mod purse;
mod wallet_books;

pub(crate) use amounts::Amounts;
pub(crate) use balances::Balances;
pub(crate) use caution::Caution;
pub(crate) use purse::{Held, Short};
pub(crate) use wallet_books::{Books, spent};
