//! Where a wallet stands with its stake, as the chain has it.

use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use t4t_chain::ChainError;
use t4t_clock::{Clock, SystemClock};
use t4t_types::{Address, UnixSeconds, Xbzz};

use super::MarketView;
use t4t_terminal::output::{Table, age, utc};

/// How long a person waits for one answer of the chain.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How often an endpoint is asked that does not have the newest block yet, and how long in between.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// How far a wallet is between registering and having its stake back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
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
pub(super) struct Standing {
    /// The wallet.
    pub(super) wallet: Address,
    /// The registry that holds the stake.
    pub(super) registry: Address,
    /// How far it is.
    pub(super) state: State,
    /// What it has at stake.
    pub(super) stake: Xbzz,
    /// What an active provider needs at least.
    pub(super) min_stake: Xbzz,
    /// What the open jobs can burn; a version-1 registry does not say.
    pub(super) at_risk: Option<Xbzz>,
    /// Jobs that are not settled.
    pub(super) open_jobs: u32,
    /// From when on the stake can be withdrawn; none while the wallet is active.
    pub(super) unbonding_at: Option<UnixSeconds>,
    /// The newest block's time.
    pub(super) chain_time: UnixSeconds,
    /// What the wallet holds beside the stake.
    pub(super) in_wallet: Xbzz,
    /// Whether the registry takes a wallet again that has left.
    pub(super) can_return: bool,
}

impl Standing {
    /// Reads it.
    pub(super) async fn read(market: &MarketView, wallet: Address) -> anyhow::Result<Self> {
        let read = async {
            market.rpc.verify_chain(market.chain_id).await?;
            let (_, standing) = Self::look(market, wallet).await?;
            Ok::<_, ChainError>(standing)
        };
        let advice = "the stake can't be read: check GNOSIS_RPC_URL, T4T_CHAIN_ID and REGISTRY_ADDRESS";
        read.await.context(advice)
    }

    /// Reads it as it is after a block, which an endpoint may not have yet.
    pub(super) async fn read_after(market: &MarketView, wallet: Address, block: u64) -> Option<Self> {
        for _ in 0..LOOKS {
            match Self::look(market, wallet).await {
                Ok((seen, standing)) if seen >= block => return Some(standing),
                _ => SystemClock.sleep(BETWEEN_LOOKS).await,
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

    /// Refuses where more stake would be of no use.
    pub(super) fn may_add(&self) -> anyhow::Result<()> {
        let wallet = self.wallet;
        match self.state {
            State::Active => Ok(()),
            State::Unregistered => bail!(
                "the wallet {wallet} is not registered as a provider and has no stake to add to: start \
                 `t4t provider`, which registers it"
            ),
            State::Unbonding | State::Unbonded => bail!(
                "the wallet {wallet} has left the market, and more stake would only be bound with the rest: {}",
                self.way_out()
            ),
            State::Gone => bail!("{}", self.gone()),
        }
    }

    /// Refuses where there is nothing to leave, or no way back that was not given up in words.
    pub(super) fn may_leave(&self, for_good: bool) -> anyhow::Result<()> {
        let wallet = self.wallet;
        match self.state {
            State::Active if self.can_return || for_good => Ok(()),
            State::Active => bail!(
                "leaving the registry {} is for ever, since it never takes a wallet again: add --for-good if {wallet} \
                 is never to sell there again",
                self.registry
            ),
            State::Unregistered => {
                bail!("the wallet {wallet} is not registered as a provider: there is nothing to leave")
            }
            State::Unbonding | State::Unbonded => {
                bail!("the wallet {wallet} has left the market already: {}", self.way_out())
            }
            State::Gone => bail!("{}", self.gone()),
        }
    }

    /// Refuses while the stake is bound, and says until when.
    pub(super) fn may_withdraw(&self) -> anyhow::Result<()> {
        let wallet = self.wallet;
        match self.state {
            State::Unbonded if self.open_jobs == 0 => Ok(()),
            State::Unbonded => bail!("open jobs still hold the stake of {wallet}: {}", self.way_out()),
            State::Unbonding => bail!("it is too early to withdraw the stake: {}", self.way_out()),
            State::Active => bail!(
                "the wallet {wallet} is an active provider: run `t4t stake leave` first, the stake is free two \
                 days later"
            ),
            State::Unregistered => {
                bail!("the wallet {wallet} has no stake: `t4t wallet show` names the wallet in use")
            }
            State::Gone => bail!("{}", self.gone()),
        }
    }

    /// Whether it has left, and may never come back.
    pub(super) fn is_left_for_good(&self) -> bool {
        !self.can_return && !matches!(self.state, State::Active | State::Unregistered)
    }

    fn gone(&self) -> String {
        format!(
            "the wallet {} has left this registry for good and has no stake there: use another wallet (`t4t \
             wallet new` with another T4T_DATA_DIR)",
            self.wallet
        )
    }

    /// What takes the stake back of a wallet that has left.
    fn way_out(&self) -> String {
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
    fn moment(&self, at: UnixSeconds) -> String {
        let text = utc(at.get().saturating_mul(1000));
        let left = age(at.since(self.chain_time).saturating_mul(1000));
        format!("{} UTC (in {left})", text.trim_end_matches(".000"))
    }

    /// What is to be done about it, if anything.
    fn next_step(&self) -> Option<String> {
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

    /// All of it, for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let at_risk = match self.at_risk {
            Some(amount) if amount.is_zero() => "nothing".to_owned(),
            Some(amount) => format!("{amount} xBZZ, which the open jobs can burn at most"),
            None => "not told by this registry (version 1)".to_owned(),
        };
        let withdrawal = match (self.state, self.unbonding_at) {
            (State::Unbonding, Some(at)) => format!("from {} on", self.moment(at)),
            (State::Unbonded, _) if self.open_jobs > 0 => "once no job is open".to_owned(),
            (State::Unbonded, _) => "now".to_owned(),
            (State::Active, _) if self.can_return => "two days after leaving".to_owned(),
            (State::Active, _) => {
                "two days after leaving, which is for ever on this registry (version 1)".to_owned()
            }
            _ => "nothing to withdraw".to_owned(),
        };
        let state = match self.state {
            State::Unregistered => "not registered",
            State::Active => "active",
            State::Unbonding => "left, the stake is still bound",
            State::Unbonded => "left, the stake is unbonded",
            State::Gone => "left for good, without a stake",
        };
        let mut table = Table::bare();
        table.row(["wallet".into(), self.wallet.to_string()]);
        table.row(["registry".into(), self.registry.to_string()]);
        table.row(["state".into(), state.to_owned()]);
        table.row(["stake".into(), format!("{} xBZZ (at least {})", self.stake, self.min_stake)]);
        table.row(["at risk".into(), at_risk]);
        table.row(["open jobs".into(), self.open_jobs.to_string()]);
        table.row(["withdrawal".into(), withdrawal]);
        table.row(["in the wallet".into(), format!("{} xBZZ", self.in_wallet)]);
        let mut lines = table.lines();
        lines.extend(self.next_step().map(|step| format!("next: {step}")));
        lines
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
    fn leaving_is_said_to_be_for_ever_where_it_is() {
        let says_so = |state, can_return| {
            standing(state, can_return).lines().iter().any(|line| line.contains("for ever"))
        };
        assert!(says_so(State::Active, false) && !says_so(State::Active, true));
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
        let lines = standing(State::Active, true).lines();
        assert!(lines.last().unwrap().starts_with("next: run `t4t stake add 10`"), "{lines:?}");
    }
}
