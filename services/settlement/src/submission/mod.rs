//! Taking transactions: admitted, what they take held and allowed, then signed, stored and sent.

mod admission;
mod approvals;
mod assembly;
mod dispatch;
mod estimates;
mod holding;
mod intake;
mod key_locks;

pub(crate) use assembly::assemble;
pub(crate) use intake::Submission;
