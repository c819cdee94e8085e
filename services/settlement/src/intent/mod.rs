//! What a transaction is to do, and what follows from it. Each contract has a file of its own: what its intents call, what
//! they take from the wallet, whether they may be done twice, and what they make of a receipt.

mod contract;
mod escrow;
mod funds;
mod plan;
mod registry;
mod stored;
#[cfg(test)]
mod tests;
mod wallet;

pub(crate) use contract::{ContractIntent, Effect};
pub use funds::{Funds, SendFunds};
pub(crate) use plan::{Gas, Plan, Spender};
pub(crate) use stored::Intent;
pub(crate) use wallet::OwnIntent;
