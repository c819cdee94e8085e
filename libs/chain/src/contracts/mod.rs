//! The market's contracts as typed calls: what to send, and what they answer.
//!
//! Calls are built, not sent: whoever owns the wallet signs them. Everything that version 1 has is encoded by the live
//! network's interface; what only our contracts have says so.

pub mod channels;
mod entry;
mod escrow;
pub mod permit;
mod registry;
mod token;

use serde::{Deserialize, Serialize};
use t4t_types::Address;

use crate::abi::{Garbled, Reader};
use crate::block::BlockTag;
use crate::error::ChainError;
use crate::read::Call;
use crate::revert::RevertReason;
use crate::rpc::Rpc;

pub use entry::RegistryEntry;
pub use escrow::{Escrow, EscrowLimits, JobOrder};
pub use registry::{Backing, Offering, ProviderPage, ProviderRecord, Registration, Registry};
pub use t4t_types::{JobStatus, JobTerms};
pub use token::Token;

/// Where the contracts of one market are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractAddresses {
    /// The registry of providers.
    pub registry: Address,
    /// The escrow of jobs.
    pub escrow: Address,
    /// The token that is staked and paid, xBZZ.
    pub token: Address,
}

impl ContractAddresses {
    /// The registry's calls.
    pub const fn registry(&self) -> Registry {
        Registry { address: self.registry }
    }

    /// The escrow's calls.
    pub const fn escrow(&self) -> Escrow {
        Escrow { address: self.escrow }
    }

    /// The token's calls.
    pub const fn token(&self) -> Token {
        Token { address: self.token }
    }
}

/// Reads one view function's answer.
async fn view<T>(
    rpc: &Rpc,
    call: Call,
    what: &'static str,
    read: impl FnOnce(Reader<'_>) -> Result<T, Garbled>,
) -> Result<T, ChainError> {
    let answer = rpc.eth_call(call.to, &call.data, BlockTag::Latest).await?;
    decoded(call.to, &answer, what, read)
}

/// Reads many answers of one view function. Each has its own result.
async fn views<T>(
    rpc: &Rpc,
    calls: &[Call],
    what: &'static str,
    read: impl Fn(Reader<'_>) -> Result<T, Garbled>,
) -> Result<Vec<Result<T, ChainError>>, ChainError> {
    let answers = rpc.eth_calls(calls, BlockTag::Latest).await?;
    let pairs = calls.iter().zip(answers);
    Ok(pairs.map(|(call, answer)| decoded(call.to, &answer?, what, &read)).collect())
}

fn decoded<T>(
    from: Address,
    answer: &[u8],
    what: &'static str,
    read: impl FnOnce(Reader<'_>) -> Result<T, Garbled>,
) -> Result<T, ChainError> {
    if answer.is_empty() {
        return Err(ChainError::NoContract { address: from });
    }
    read(Reader::new(answer)).map_err(|garbled| garbled.reading(what))
}

/// Turns the refusal of a function that a contract does not have into `None`.
fn if_present<T>(answer: Result<T, ChainError>) -> Result<Option<T>, ChainError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(ChainError::Reverted(revert)) if revert.reason == RevertReason::Unknown(None) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
