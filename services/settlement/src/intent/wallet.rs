//! What no message can ask for: it is decided by settlement itself, or by whoever runs it in their own process.

use serde::{Deserialize, Serialize};
use t4t_api::settlement::SettlementError;
use t4t_chain::{Call, ContractAddresses};
use t4t_types::{Address, Wei, Xbzz};

use super::contract::ContractIntent;
use super::funds::{Funds, SendFunds};
use super::plan::{Gas, MOST_USUAL_GAS, Plan};
use crate::error::invalid;

/// What no message can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case")]
pub(crate) enum OwnIntent {
    /// Lets a contract take xBZZ from this wallet.
    Approve {
        /// The contract.
        spender: Address,
        /// Up to how much.
        amount: Xbzz,
    },
    /// Sends money away.
    Send(SendFunds),
}

impl OwnIntent {
    /// A transaction that does nothing.
    pub(crate) const fn nothing(wallet: Address) -> Self {
        Self::Send(SendFunds { to: wallet, funds: Funds::Xdai(Wei::ZERO) })
    }
}

impl ContractIntent for OwnIntent {
    fn plan(&self, contracts: &ContractAddresses) -> Result<Plan, SettlementError> {
        match self {
            Self::Approve { spender, amount } => Ok(plan(contracts.token().approve(*spender, *amount))),
            Self::Send(SendFunds { to, .. }) if to.is_zero() => {
                Err(invalid("money sent to the zero address is lost"))
            }
            Self::Send(SendFunds { to, funds: Funds::Xdai(wei) }) => {
                Ok(Plan { value: *wei, ..plan(Call { to: *to, data: Vec::new() }) })
            }
            Self::Send(SendFunds { to, funds: Funds::Xbzz(amount) }) => {
                Ok(Plan { spends: *amount, ..plan(contracts.token().transfer(*to, *amount)) })
            }
        }
    }

    fn is_harmless_twice(&self) -> bool {
        !matches!(self, Self::Send(_))
    }
}

fn plan(call: Call) -> Plan {
    Plan::of(call, Gas::Estimated { least: 0, most: MOST_USUAL_GAS })
}
