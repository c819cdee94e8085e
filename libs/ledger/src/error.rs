//! Why books can't be shown, or what is wrong with them.

use t4t_chain::ChainError;
use t4t_store::StoreError;

/// The books are wrong, or can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Something is not as it must be.
    #[error("the books are wrong:\n  {}\n{table}", .wrong.join("\n  "))]
    Wrong {
        /// What.
        wrong: Vec<String>,
        /// All jobs and balances.
        table: String,
    },
    /// The chain can't be read.
    #[error("the chain can't be read")]
    Chain(#[from] ChainError),
    /// A role's database can't be read.
    #[error("a database can't be read")]
    Store(#[from] StoreError),
    /// Blocks come faster than they can be read.
    #[error("the chain did not stand still for a look at its money")]
    Moving,
    /// The token's contract is something else.
    #[error("the token does not tell its supply")]
    NoSupply,
}
