//! The gas that a call gets, and whether the contract would refuse it.
//!
//! The token on Gnosis Chain takes all the gas of a call that fails, so such a call is not sent.

use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_chain::{ChainError, ContractError, Revert, Rpc};
use t4t_types::Address;

use super::holding::Holding;
use crate::books::{Books, Short};
use crate::error;
use crate::intent::{Gas, Plan};

/// Gas on top of an estimate, beside a quarter of it: the estimate is made on another state than the transaction meets,
/// where two slots more may be empty.
const GAS_MARGIN: u64 = 30_000;

/// Asks the chain what calls take.
#[derive(Debug)]
pub(super) struct Estimates {
    pub(super) rpc: Rpc,
    pub(super) wallet: Address,
    pub(super) books: Arc<Books>,
    pub(super) holding: Arc<Holding>,
}

impl Estimates {
    /// Gas for a plan. Where the contract would refuse, says why.
    pub(super) async fn gas(&self, plan: &Plan) -> Result<u64, SettlementError> {
        let (least, most) = match plan.gas {
            Gas::Fixed(gas) => return Ok(gas),
            Gas::Estimated { least, most } => (least, most),
        };
        let estimate = self.rpc.estimate_gas(self.wallet, Some(plan.call.to), &plan.call.data).await;
        match estimate {
            Ok(gas) => Ok(gas.saturating_add(gas / 4).saturating_add(GAS_MARGIN).clamp(least, most)),
            Err(ChainError::Reverted(revert)) => Err(self.explain(plan, &revert).await),
            Err(cause) => Err(error::chain(&cause)),
        }
    }

    /// The token says nothing when it refuses, so its balance is looked at.
    async fn explain(&self, plan: &Plan, revert: &Revert) -> SettlementError {
        let by_contract = revert.contract_error().is_some_and(|error| error != ContractError::TransferFailed);
        if by_contract || plan.spends.is_zero() {
            return error::refused(revert);
        }
        self.books.forget();
        match self.books.balances().read().await {
            Ok(on_chain) if on_chain.xbzz < plan.spends => {
                self.holding.told(Short::Xbzz { has: on_chain.xbzz }, plan.spends)
            }
            Ok(_) => error::refused(revert),
            Err(cause) => error::chain(&cause),
        }
    }
}
