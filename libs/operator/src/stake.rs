//! Where a wallet stands with its stake, as the chain has it.

mod refusal;

use std::time::Duration;

use serde::Serialize;
use t4t_chain::ChainError;
use t4t_types::{Address, UnixSeconds, Xbzz};

pub use self::refusal::StakeRefusal;
use crate::market::MarketView;
use crate::text::{age, utc};

/// The chain does not say where a wallet stands.
#[derive(Debug, thiserror::Error)]
#[error("the stake can't be read: check GNOSIS_RPC_URL, T4T_CHAIN_ID and REGISTRY_ADDRESS")]
pub struct StandingError(#[from] ChainError);

/// How often an endpoint is asked that does not have the newest block yet, and how long in between.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// How far a wallet is between registering and having its stake back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is not registered, and may be.
    Unregistered,
    /// It is in the market.
    Active,
    /// It left, and it is too early to withdraw.
    Unbonding,
    /// It left, and only open jobs can keep it from withdrawing.
    Unbonded,
    /// It left, has no stake any more, and the registry never takes it again.
    Gone,
}

/// Where a wallet stands with its stake.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// The wallet.
    pub wallet: Address,
    /// The registry that holds the stake.
    pub registry: Address,
    /// How far it is.
    pub state: State,
    /// What it has at stake.
    pub stake: Xbzz,
    /// What an active provider needs at least.
    pub min_stake: Xbzz,
    /// What the open jobs can burn; a version-1 registry does not say.
    pub at_risk: Option<Xbzz>,
    /// Jobs that are not settled.
    pub open_jobs: u32,
    /// From when on the stake can be withdrawn; none while the wallet is active.
    pub unbonding_at: Option<UnixSeconds>,
    /// The newest block's time.
    pub chain_time: UnixSeconds,
    /// What the wallet holds beside the stake.
    pub in_wallet: Xbzz,
    /// Whether the registry takes a wallet again that has left.
    pub can_return: bool,
}

impl Standing {
    /// Reads it.
    ///
    /// # Errors
    /// The chain can't be read, or is another.
    pub async fn read(market: &MarketView, wallet: Address) -> Result<Self, StandingError> {
        market.rpc.verify_chain(market.chain_id).await?;
        let (_, standing) = Self::look(market, wallet).await?;
        Ok(standing)
    }

    /// Reads it as it is after a block, which an endpoint may not have yet.
    pub async fn read_after(market: &MarketView, wallet: Address, block: u64) -> Option<Self> {
        for _ in 0..LOOKS {
            match Self::look(market, wallet).await {
                Ok((seen, standing)) if seen >= block => return Some(standing),
                _ => market.clock.sleep(BETWEEN_LOOKS).await,
            }
        }
        None
    }

    /// The standing in no older a block than the one that is named.
    async fn look(market: &MarketView, wallet: Address) -> Result<(u64, Self), ChainError> {
        let (rpc, registry, token) = (&market.rpc, market.contracts.registry(), market.contracts.token());
        let head = rpc.latest_block().await?;
        let (record, min_stake, backing, open_jobs, unbonding_at, in_wallet) = tokio::try_join!(
            registry.provider(rpc, wallet),
            registry.min_stake(rpc),
            registry.backing(rpc, wallet),
            registry.open_jobs(rpc, wallet),
            registry.unbonding_at(rpc, wallet),
            token.balance_of(rpc, wallet),
        )?;
        let can_return = backing.is_some();
        let state = match record.is_registered() {
            false => State::Unregistered,
            true if record.active => State::Active,
            // A version-1 registry keeps its entry for ever.
            true if record.stake.is_zero() && !can_return => State::Gone,
            true if head.timestamp < unbonding_at => State::Unbonding,
            true => State::Unbonded,
        };
        let has_left = matches!(state, State::Unbonding | State::Unbonded);
        let standing = Self {
            wallet,
            registry: registry.address,
            state,
            stake: record.stake,
            min_stake,
            at_risk: backing.map(|backing| record.stake.saturating_sub(backing.free)),
            open_jobs,
            unbonding_at: has_left.then_some(unbonding_at),
            chain_time: head.timestamp,
            in_wallet,
            can_return,
        };
        Ok((head.number, standing))
    }

    /// Whether it has left, and may never come back.
    pub fn is_left_for_good(&self) -> bool {
        !self.can_return && !matches!(self.state, State::Active | State::Unregistered)
    }

    /// What takes the stake back of a wallet that has left.
    pub(super) fn way_out(&self) -> String {
        let jobs = match self.open_jobs {
            0 => String::new(),
            1 => "start `t4t provider` until its open job is settled, then ".to_owned(),
            jobs => format!("start `t4t provider` until its {jobs} open jobs are settled, then "),
        };
        match self.unbonding_at {
            Some(free_at) if self.state == State::Unbonding => {
                format!("{jobs}run `t4t stake withdraw` from {} on", self.moment(free_at))
            }
            _ => format!("{jobs}run `t4t stake withdraw`"),
        }
    }

    /// A moment to come, and how far off it is.
    pub fn moment(&self, at: UnixSeconds) -> String {
        let text = utc(at.get().saturating_mul(1000));
        let left = age(at.since(self.chain_time).saturating_mul(1000));
        format!("{} UTC (in {left})", text.trim_end_matches(".000"))
    }

    /// What is to be done about it, if anything.
    pub fn next_step(&self) -> Option<String> {
        match self.state {
            State::Active => {
                let missing = self.min_stake.checked_sub(self.stake).filter(|missing| !missing.is_zero())?;
                Some(format!(
                    "run `t4t stake add {missing}`: below {} xBZZ the provider gets no jobs",
                    self.min_stake
                ))
            }
            State::Unregistered => Some(format!(
                "`t4t provider` registers this wallet with {} xBZZ, if it is to sell",
                self.min_stake
            )),
            State::Unbonding | State::Unbonded => Some(self.way_out()),
            State::Gone => Some("use another wallet: this registry takes it never again".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(state: State, can_return: bool) -> Standing {
        let (now, hour) = (1_795_425_311, 3600);
        Standing {
            wallet: Address::new([1; 20]),
            registry: Address::new([2; 20]),
            state,
            stake: Xbzz::from_whole(90),
            min_stake: Xbzz::from_whole(100),
            at_risk: can_return.then_some(Xbzz::ZERO),
            open_jobs: 0,
            unbonding_at: (state == State::Unbonding).then_some(UnixSeconds::new(now + 3 * hour)),
            chain_time: UnixSeconds::new(now),
            in_wallet: Xbzz::ZERO,
            can_return,
        }
    }

    #[test]
    fn each_state_allows_one_way_on_at_most() {
        let allowed = |state| {
            let standing = standing(state, true);
            [standing.may_add(), standing.may_leave(false), standing.may_withdraw()].map(|may| may.is_ok())
        };
        assert_eq!(allowed(State::Unregistered), [false, false, false]);
        assert_eq!(allowed(State::Active), [true, true, false]);
        assert_eq!(allowed(State::Unbonding), [false, false, false]);
        assert_eq!(allowed(State::Unbonded), [false, false, true]);
        assert_eq!(allowed(State::Gone), [false, false, false]);
    }

    #[test]
    fn a_registry_that_takes_nobody_back_is_left_only_in_so_many_words() {
        let standing = standing(State::Active, false);
        let refused = standing.may_leave(false).unwrap_err().to_string();
        assert!(refused.contains("add --for-good") && refused.contains("for ever"), "{refused}");
        standing.may_leave(true).unwrap();
    }

    #[test]
    fn who_left_a_registry_that_takes_nobody_back_has_left_for_good() {
        for state in [State::Unbonding, State::Unbonded, State::Gone] {
            assert!(standing(state, false).is_left_for_good() && !standing(state, true).is_left_for_good());
        }
        assert!(!standing(State::Active, false).is_left_for_good());
    }

    #[test]
    fn too_early_names_the_moment_and_open_jobs_name_the_provider() {
        let mut standing = standing(State::Unbonding, true);
        let refused = standing.may_withdraw().unwrap_err().to_string();
        assert!(refused.contains("from 2026-11-23 12:15:11 UTC (in 3h) on"), "{refused}");
        standing.state = State::Unbonded;
        standing.open_jobs = 2;
        let refused = standing.may_withdraw().unwrap_err().to_string();
        assert!(refused.contains("start `t4t provider` until its 2 open jobs are settled"), "{refused}");
    }

    #[test]
    fn a_stake_below_the_minimum_says_how_much_is_missing() {
        let next_step = standing(State::Active, true).next_step().unwrap();
        assert!(next_step.starts_with("run `t4t stake add 10`"), "{next_step}");
    }
}
