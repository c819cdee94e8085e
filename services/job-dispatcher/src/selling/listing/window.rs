//! The shop window as the others see it, looked after for as long as the process lives.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::registry_watcher::WatcherError;
use t4t_api::{RegistryWatcher, Settlement};
use t4t_clock::SharedClock;
use t4t_store::Store;
use t4t_types::{Address, EncryptionKey, TokenPrices, Xbzz};

use super::checks::Checks;
use super::intake::{Intake, NotReady};
use super::offer::Offer;
use super::own_entry::OwnEntry;
use super::pace::Pace;
use super::publisher::Publisher;
use super::registration::{Identity, Registration};
use super::starting::Starting;
use super::transactions::Transactions;
use crate::carriage::Courier;
use crate::selling::problem::{Problem, SharedProblem};
use crate::selling::runners::Runners;

/// How often a closed shop is looked at: each look that finds it in order opens it.
const CLOSED_PAUSE: Duration = Duration::from_secs(2);

/// How often the shop window is looked after at the start.
const STARTING_PAUSE: Duration = Duration::from_millis(500);

/// What the operator decides about the shop window.
#[derive(Clone, Debug)]
pub(crate) struct ListingConfig {
    /// The wallet that is registered.
    pub(crate) wallet: Address,
    /// The key that requests are sealed to.
    pub(crate) sealing_key: EncryptionKey,
    /// What is staked at registration.
    pub(crate) stake: Xbzz,
    /// Prices of models for which no runner states any.
    pub(crate) default_prices: TokenPrices,
    pub(crate) heartbeat_seconds: u64,
    /// How often it is looked after.
    pub(crate) interval: Duration,
    /// How long a registered runner is known without saying so again.
    pub(crate) runner_lease: Duration,
}

/// What the shop window stands on.
pub(crate) struct ListingDeps {
    pub(crate) runners: Arc<Runners>,
    pub(crate) watcher: Arc<dyn RegistryWatcher>,
    pub(crate) settlement: Arc<dyn Settlement>,
    pub(crate) courier: Arc<dyn Courier>,
    pub(crate) store: Store,
    pub(crate) clock: SharedClock,
    /// What those who are paid for jobs note when no more of them should come.
    pub(crate) problems: Vec<SharedProblem>,
}

/// The shop window.
pub(crate) struct Listing {
    offer: Arc<Offer>,
    own_entry: Arc<OwnEntry>,
    checks: Checks,
    publisher: Publisher,
    intake: Intake,
    starting: Starting,
    clock: SharedClock,
    interval: Duration,
}

impl Listing {
    pub(crate) fn new(config: ListingConfig, deps: ListingDeps) -> Self {
        let ListingDeps { runners, watcher, settlement, courier, store, clock, problems } = deps;
        let offer = Arc::new(Offer::new(runners, config.default_prices, Arc::clone(&clock)));
        let own_entry = Arc::new(OwnEntry::new(config.wallet, watcher, Arc::clone(&offer)));
        let transactions = Transactions::new(settlement, Arc::clone(&clock));
        let starting = Starting::new(Arc::clone(&clock), config.runner_lease);
        let identity =
            Identity { wallet: config.wallet, sealing_key: config.sealing_key, stake: config.stake };
        let registration = Registration::new(
            identity,
            Arc::clone(&offer),
            Arc::clone(&courier),
            transactions.clone(),
            Arc::clone(&clock),
        );
        let checks = Checks {
            offer: Arc::clone(&offer),
            starting: starting.clone(),
            courier,
            store,
            problems,
            own_entry: Arc::clone(&own_entry),
            transactions: transactions.clone(),
        };
        let publisher = Publisher {
            offer: Arc::clone(&offer),
            own_entry: Arc::clone(&own_entry),
            registration,
            transactions,
            pace: Pace::default(),
            clock: Arc::clone(&clock),
            heartbeat_seconds: config.heartbeat_seconds,
        };
        let (intake, interval) = (Intake::default(), config.interval);
        Self { offer, own_entry, checks, publisher, intake, starting, clock, interval }
    }

    /// Looks after the shop window for as long as the process lives.
    pub(crate) async fn keep(self: Arc<Self>) {
        loop {
            self.look_after_once().await;
            // While the other services are starting, so is this one.
            let pause = match self.intake.problem() {
                _ if self.starting.is_now() => STARTING_PAUSE,
                Some(_) => CLOSED_PAUSE.min(self.interval),
                None => self.interval,
            };
            self.clock.sleep(pause).await;
        }
    }

    /// Looks after the shop window once.
    pub(crate) async fn look_after_once(&self) {
        self.offer.refresh().await;
        let seen = match self.checks.problem().await {
            Ok(None) => self.publisher.publish().await,
            Ok(Some(problem)) => Err(NotReady::Certain(problem)),
            Err(not_ready) => Err(not_ready),
        };
        match seen {
            Ok(()) => self.intake.open(),
            Err(NotReady::Certain(problem)) => self.intake.close(problem, self.clock.unix_millis()),
            // One failed question is no reason to turn clients away.
            Err(NotReady::Unknown(reason)) => self.intake.doubt(reason, self.clock.unix_millis()),
        }
    }

    /// What is sold here, and at which price.
    pub(crate) fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Why no new jobs are taken; `None` if they are.
    pub(crate) fn problem(&self) -> Option<Problem> {
        self.intake.problem()
    }

    /// Whether clients find this provider in the registry.
    pub(crate) fn is_on_offer(&self) -> bool {
        self.own_entry.is_on_offer()
    }

    /// Whether the runners may not have found this process yet.
    pub(crate) fn is_starting(&self) -> bool {
        self.starting.is_now()
    }

    /// Has the registry read, if it was not since the start: only it tells which prices a job was planned by.
    pub(crate) async fn learn_shown_prices(&self) -> Result<(), WatcherError> {
        if !self.offer.are_shown_prices_known() {
            self.own_entry.read().await?;
        }
        Ok(())
    }

    /// Leaves the market. Irreversible until the stake is withdrawn.
    pub(crate) async fn leave(&self) -> Result<(), String> {
        self.publisher.leave().await
    }
}
