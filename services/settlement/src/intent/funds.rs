//! Money that is sent away.

use serde::{Deserialize, Serialize};
use t4t_types::{Address, Wei, Xbzz};

/// Money to be sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendFunds {
    /// To whom.
    pub to: Address,
    /// How much, and of what.
    #[serde(flatten)]
    pub funds: Funds,
}

/// An amount of one of the two that a wallet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "token", content = "amount", rename_all = "snake_case")]
pub enum Funds {
    /// The chain's own coin, which pays for gas.
    Xdai(Wei),
    /// The token that everything is paid in.
    Xbzz(Xbzz),
}
