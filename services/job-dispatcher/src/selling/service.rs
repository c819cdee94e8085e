//! The selling service: what it stands on, and how its parts are wired.

use std::sync::Arc;

use secrecy::SecretString;
use t4t_api::{Desk, InferenceRunner, RegistryWatcher, Selling, Settlement};
use t4t_clock::SharedClock;
use t4t_crypto::SealingKey;
use t4t_protocol::provider_topic;
use t4t_store::{Store, StoreError};
use t4t_types::Address;

use super::config::SellingConfig;
use super::listing::{Listing, ListingConfig, ListingDeps};
use super::payment::escrow::{Escrow, EscrowConfig, EscrowDeps};
use super::payment::{PayableJobs, PaymentMethod};
use super::problem::SharedProblem;
use super::runners::{Runners, RunnersConfig};
use super::running::{Front, Running, hand_out};
use super::sales::Sales;
use super::serving::{Fetcher, Serving};
use super::verification::{JobLimits, Verifier};
use crate::carriage::Courier;

/// Messages to this service worked on at a time.
const SLOTS: usize = 256;

/// What the selling side stands on.
pub struct SellingDeps {
    /// The wallet that is paid, by its address.
    pub wallet: Address,
    /// The key that requests are sealed to.
    pub sealing_key: SealingKey,
    /// The view of the chain.
    pub watcher: Arc<dyn RegistryWatcher>,
    /// The wallet's service.
    pub settlement: Arc<dyn Settlement>,
    /// The way messages and payloads travel.
    pub courier: Arc<dyn Courier>,
    /// The runner in this process, if there is one.
    pub runner: Option<Arc<dyn InferenceRunner>>,
    /// The token that registered runners are called with; without one, none may register.
    pub token: Option<SecretString>,
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: SharedClock,
}

impl std::fmt::Debug for SellingDeps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SellingDeps").field("wallet", &self.wallet).finish_non_exhaustive()
    }
}

/// Why the selling side can't start.
#[derive(Debug, thiserror::Error)]
pub enum SellingStartError {
    /// The database can't be used.
    #[error("the database can't be used")]
    Store(#[from] StoreError),
}

/// The selling service.
#[derive(Debug)]
pub struct SellingService;

impl SellingService {
    /// Takes up what an earlier run left open and starts to sell.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn start(config: SellingConfig, deps: SellingDeps) -> Result<Running, SellingStartError> {
        Self::start_behind(config, deps, |front| Arc::new(Desk::start("job-dispatcher", front, SLOTS))).await
    }

    /// The same without a mailbox: whoever asks is answered where it asks. For simulations on one thread, whose order
    /// of events is decided by a seed; what is asked is not bounded.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_without_mailbox(
        config: SellingConfig,
        deps: SellingDeps,
    ) -> Result<Running, SellingStartError> {
        Self::start_behind(config, deps, |front| front).await
    }

    async fn start_behind(
        config: SellingConfig,
        deps: SellingDeps,
        front: impl FnOnce(Arc<Front>) -> Arc<dyn Selling>,
    ) -> Result<Running, SellingStartError> {
        let inbox = deps.courier.listen(&provider_topic(deps.wallet), deps.wallet, deps.store.clone());
        let (wallet, clock, messages) = (deps.wallet, Arc::clone(&deps.clock), inbox.state());
        let runners = start_runners(&config, &deps);
        let problem = SharedProblem::default();
        let listing = Arc::new(start_listing(&config, &deps, &runners, &problem));
        let (payable, jobs) = PayableJobs::channel();
        let escrow: Arc<dyn PaymentMethod> =
            Arc::new(start_escrow(&config, deps, Arc::clone(&listing), (payable, problem)));
        runners.refresh().await;
        let recovered = escrow.recover().await?;
        let sales = Arc::new(Sales::new(Serving::new(Arc::clone(&runners), clock)));
        let mut tasks = vec![
            tokio::spawn(hand_out(inbox, vec![Arc::clone(&escrow)])),
            tokio::spawn(Arc::clone(&listing).keep()),
            tokio::spawn(Arc::clone(&sales).follow(Arc::clone(&escrow), jobs)),
        ];
        tasks.extend(Arc::clone(&escrow).start());
        let methods = vec![escrow];
        let parts = Arc::new(Front { wallet, listing, runners, sales, methods });
        let selling = front(Arc::clone(&parts));
        Ok(Running { selling, parts, recovered, messages, tasks })
    }
}

fn start_runners(config: &SellingConfig, deps: &SellingDeps) -> Arc<Runners> {
    let runners_config = RunnersConfig {
        lease: config.runner_lease,
        token: deps.token.clone(),
        cap: config.max_concurrent_jobs,
    };
    Arc::new(Runners::new(deps.runner.clone(), Arc::clone(&deps.clock), runners_config))
}

fn start_listing(
    config: &SellingConfig,
    deps: &SellingDeps,
    runners: &Arc<Runners>,
    problem: &SharedProblem,
) -> Listing {
    let listing_config = ListingConfig {
        wallet: deps.wallet,
        sealing_key: deps.sealing_key.public(),
        stake: config.stake,
        default_prices: config.default_prices,
        heartbeat_seconds: config.heartbeat_seconds,
        interval: config.storefront_interval,
        runner_lease: config.runner_lease,
    };
    let listing_deps = ListingDeps {
        runners: Arc::clone(runners),
        watcher: Arc::clone(&deps.watcher),
        settlement: Arc::clone(&deps.settlement),
        courier: Arc::clone(&deps.courier),
        store: deps.store.clone(),
        clock: Arc::clone(&deps.clock),
        problems: vec![problem.clone()],
    };
    Listing::new(listing_config, listing_deps)
}

fn start_escrow(
    config: &SellingConfig,
    deps: SellingDeps,
    listing: Arc<Listing>,
    (payable, problem): (PayableJobs, SharedProblem),
) -> Escrow {
    let limits = JobLimits {
        min_payment: config.min_payment,
        min_delivery_seconds: config.min_delivery_seconds,
        max_delivery_seconds: config.max_delivery_seconds,
    };
    let (watcher, clock) = (Arc::clone(&deps.watcher), Arc::clone(&deps.clock));
    let verifier = Arc::new(Verifier::new((deps.wallet, limits), listing, watcher, clock));
    let escrow_config = EscrowConfig {
        start_within_seconds: config.start_within_seconds,
        give_up_seconds: config.give_up_seconds,
        ack_margin_seconds: config.ack_margin_seconds,
        sweep_interval: config.sweep_interval,
        keep_answers: config.keep_answers,
    };
    let escrow_deps = EscrowDeps {
        wallet: deps.wallet,
        watcher: deps.watcher,
        settlement: deps.settlement,
        fetcher: Fetcher::new(Arc::clone(&deps.courier), deps.sealing_key),
        courier: deps.courier,
        store: deps.store,
        clock: deps.clock,
        verifier,
    };
    Escrow::new(escrow_config, escrow_deps, payable, problem)
}
