//! Which change of the stake a standing allows, and why not the others.

use t4t_types::Address;

use super::{Standing, State};

/// Why the stake is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StakeRefusal {
    /// There is no stake to add to.
    #[error(
        "the wallet {wallet} is not registered as a provider and has no stake to add to: start `t4t provider`, which \
         registers it"
    )]
    NothingToAddTo {
        /// The wallet.
        wallet: Address,
    },
    /// What is added would be bound like the rest.
    #[error(
        "the wallet {wallet} has left the market, and more stake would only be bound with the rest: {way_out}"
    )]
    AddedWouldBeBound {
        /// The wallet.
        wallet: Address,
        /// What takes the stake back.
        way_out: String,
    },
    /// There is no way back into this registry.
    #[error(
        "leaving the registry {registry} is for ever, since it never takes a wallet again: add --for-good if {wallet} is \
         never to sell there again"
    )]
    LeavingIsForEver {
        /// The registry.
        registry: Address,
        /// The wallet.
        wallet: Address,
    },
    /// It never came.
    #[error("the wallet {wallet} is not registered as a provider: there is nothing to leave")]
    NothingToLeave {
        /// The wallet.
        wallet: Address,
    },
    /// It left before.
    #[error("the wallet {wallet} has left the market already: {way_out}")]
    LeftAlready {
        /// The wallet.
        wallet: Address,
        /// What takes the stake back.
        way_out: String,
    },
    /// Jobs that are not settled hold it.
    #[error("open jobs still hold the stake of {wallet}: {way_out}")]
    HeldByJobs {
        /// The wallet.
        wallet: Address,
        /// What takes the stake back.
        way_out: String,
    },
    /// It is bound for a while after leaving.
    #[error("it is too early to withdraw the stake: {way_out}")]
    TooEarly {
        /// What takes the stake back.
        way_out: String,
    },
    /// It is in use.
    #[error(
        "the wallet {wallet} is an active provider: run `t4t stake leave` first, the stake is free two days later"
    )]
    StillActive {
        /// The wallet.
        wallet: Address,
    },
    /// Nothing is staked.
    #[error("the wallet {wallet} has no stake: `t4t wallet show` names the wallet in use")]
    NoStake {
        /// The wallet.
        wallet: Address,
    },
    /// This registry is done with the wallet.
    #[error(
        "the wallet {wallet} has left this registry for good and has no stake there: use another wallet (`t4t wallet new` \
         with another T4T_DATA_DIR)"
    )]
    Gone {
        /// The wallet.
        wallet: Address,
    },
}

impl Standing {
    /// Whether more stake would be of use.
    ///
    /// # Errors
    /// It would not.
    pub fn may_add(&self) -> Result<(), StakeRefusal> {
        let wallet = self.wallet;
        Err(match self.state {
            State::Active => return Ok(()),
            State::Unregistered => StakeRefusal::NothingToAddTo { wallet },
            State::Unbonding | State::Unbonded => {
                StakeRefusal::AddedWouldBeBound { wallet, way_out: self.way_out() }
            }
            State::Gone => StakeRefusal::Gone { wallet },
        })
    }

    /// Whether the wallet may leave the market.
    ///
    /// # Errors
    /// There is nothing to leave, or no way back that was not given up in words.
    pub fn may_leave(&self, for_good: bool) -> Result<(), StakeRefusal> {
        let wallet = self.wallet;
        Err(match self.state {
            State::Active if self.can_return || for_good => return Ok(()),
            State::Active => StakeRefusal::LeavingIsForEver { registry: self.registry, wallet },
            State::Unregistered => StakeRefusal::NothingToLeave { wallet },
            State::Unbonding | State::Unbonded => {
                StakeRefusal::LeftAlready { wallet, way_out: self.way_out() }
            }
            State::Gone => StakeRefusal::Gone { wallet },
        })
    }

    /// Whether the stake can be taken back now.
    ///
    /// # Errors
    /// It is bound, and the error says until when; or there is none.
    pub fn may_withdraw(&self) -> Result<(), StakeRefusal> {
        let wallet = self.wallet;
        Err(match self.state {
            State::Unbonded if self.open_jobs == 0 => return Ok(()),
            State::Unbonded => StakeRefusal::HeldByJobs { wallet, way_out: self.way_out() },
            State::Unbonding => StakeRefusal::TooEarly { way_out: self.way_out() },
            State::Active => StakeRefusal::StillActive { wallet },
            State::Unregistered => StakeRefusal::NoStake { wallet },
            State::Gone => StakeRefusal::Gone { wallet },
        })
    }
}
