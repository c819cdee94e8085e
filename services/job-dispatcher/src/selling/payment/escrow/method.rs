//! The escrow as a way in which jobs are paid.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use t4t_api::{RegistryWatcher, Settlement};
use t4t_clock::SharedClock;
use t4t_protocol::{Message, VerifiedEnvelope};
use t4t_store::{Side, Store, StoreError};
use t4t_types::{Address, JobId, JobRef};
use tokio::task::JoinHandle;
use tracing::warn;

use super::acks::Acks;
use super::announcer::Announcer;
use super::beginning::Beginning;
use super::chain::Chain;
use super::claims::Claims;
use super::closing::Closing;
use super::config::EscrowConfig;
use super::expiry::Expiry;
use super::follower::Follower;
use super::look_up::LookUp;
use super::names::job_of;
use super::notices::Notices;
use super::orders::Orders;
use super::overdue::OverdueClaims;
use super::refusals::Refusals;
use super::reorgs::Reorgs;
use super::rows::Rows;
use super::sweep::Sweep;
use super::taking_in::TakingIn;
use crate::carriage::Courier;
use crate::chronicle::Chronicle;
use crate::selling::job_set::{InFlight, JobSet};
use crate::selling::payment::{Due, PayableJobs, PaymentError, PaymentMethod, Recovered};
use crate::selling::problem::SharedProblem;
use crate::selling::serving::Fetcher;
use crate::selling::verification::{LookRate, NoticeRate, ReplyRate, Verifier};

/// What the escrow stands on.
pub(crate) struct EscrowDeps {
    /// The wallet that is paid, by its address.
    pub(crate) wallet: Address,
    pub(crate) watcher: Arc<dyn RegistryWatcher>,
    pub(crate) settlement: Arc<dyn Settlement>,
    pub(crate) courier: Arc<dyn Courier>,
    pub(crate) store: Store,
    pub(crate) clock: SharedClock,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) fetcher: Fetcher,
}

/// Jobs that are paid from the escrow of version 1.
pub(crate) struct Escrow {
    follower: Follower,
    notices: Notices,
    orders: Arc<Orders>,
    sweep: Sweep,
    expiry: Expiry,
    sweep_interval: Duration,
}

impl Escrow {
    /// Tells jobs to `payable`, and notes in `problem` when no more of them should come. Must be called inside a Tokio
    /// runtime.
    pub(crate) fn new(
        config: EscrowConfig,
        deps: EscrowDeps,
        payable: PayableJobs,
        problem: SharedProblem,
    ) -> Self {
        let (interval, keep_answers) = (config.sweep_interval, config.keep_answers);
        let shared = Shared::new(&deps);
        let expiry = Expiry::new(deps.store.clone(), Arc::clone(&deps.clock), keep_answers);
        let notices = shared.notices(&deps);
        let follower = shared.follower(&deps, payable.clone());
        let closing = shared.closing(&deps);
        let sweep = Sweep {
            config: config.clone(),
            chain: shared.chain.clone(),
            rows: shared.rows.clone(),
            refusals: shared.refusals.clone(),
            closing: closing.clone(),
            look_up: follower.look_up.clone(),
            overdue: OverdueClaims::new(problem),
            payable,
        };
        let orders = Arc::new(shared.orders(config, deps, closing));
        Self { follower, notices, orders, sweep, expiry, sweep_interval: interval }
    }

    async fn sweep_forever(self: Arc<Self>) {
        loop {
            self.sweep.chain.clock.sleep(self.sweep_interval).await;
            self.sweep().await;
        }
    }

    async fn sweep_all(&self) -> Result<(), StoreError> {
        self.expiry.run_now_and_then().await?;
        self.sweep.run().await
    }
}

/// What several parts of the escrow share, while they are made.
struct Shared {
    chain: Chain,
    rows: Rows,
    announcer: Announcer,
    refusals: Refusals,
    reorgs: Arc<Reorgs>,
    claimed: JobSet,
    held: InFlight<JobId>,
    looks: Arc<LookRate>,
}

impl Shared {
    fn new(deps: &EscrowDeps) -> Self {
        let EscrowDeps { wallet, watcher, courier, store, clock, .. } = deps;
        let chronicle = Chronicle::new(Side::Selling, store.clone(), Arc::clone(clock));
        let chain = Chain { wallet: *wallet, watcher: Arc::clone(watcher), clock: Arc::clone(clock) };
        let rows = Rows::new(store.clone(), chronicle, Arc::clone(clock));
        let announcer = Announcer::new(Arc::clone(courier), store.clone(), Arc::clone(clock));
        let refusals = Refusals { provider: *wallet, rows: rows.clone(), clock: Arc::clone(clock) };
        let claimed = JobSet::default();
        let reorgs = Arc::new(Reorgs::new(chain.clone(), rows.clone(), claimed.clone()));
        let (held, looks) = (InFlight::default(), Arc::default());
        Self { chain, rows, announcer, refusals, reorgs, claimed, held, looks }
    }

    fn notices(&self, deps: &EscrowDeps) -> Notices {
        Notices {
            chain: self.chain.clone(),
            store: deps.store.clone(),
            announcer: self.announcer.clone(),
            rate: NoticeRate::default(),
            looks: Arc::clone(&self.looks),
            replies: ReplyRate::default(),
        }
    }

    fn follower(&self, deps: &EscrowDeps, payable: PayableJobs) -> Follower {
        let (chain, rows, reorgs) = (self.chain.clone(), self.rows.clone(), Arc::clone(&self.reorgs));
        let taking_in = TakingIn {
            verifier: Arc::clone(&deps.verifier),
            chain: chain.clone(),
            rows: rows.clone(),
            reorgs: Arc::clone(&reorgs),
            held: self.held.clone(),
            payable,
        };
        let look_up = LookUp { chain: chain.clone(), rows: rows.clone(), claimed: self.claimed.clone() };
        Follower { chain, rows, reorgs, taking_in, look_up, looks: Arc::clone(&self.looks) }
    }

    fn closing(&self, deps: &EscrowDeps) -> Closing {
        let settlement = Arc::clone(&deps.settlement);
        Closing {
            rows: self.rows.clone(),
            courier: Arc::clone(&deps.courier),
            claims: Claims { settlement, chain: self.chain.clone() },
            announcer: self.announcer.clone(),
            claimed: self.claimed.clone(),
            clock: Arc::clone(&deps.clock),
        }
    }

    fn orders(self, config: EscrowConfig, deps: EscrowDeps, closing: Closing) -> Orders {
        let Self { chain, rows, announcer, refusals, reorgs, held, .. } = self;
        let acks = Acks { settlement: deps.settlement, chain: chain.clone(), announcer };
        let beginning = Beginning { config, chain, rows: rows.clone(), acks, refusals: refusals.clone() };
        Orders { rows, reorgs, fetcher: deps.fetcher, beginning, refusals, closing, held }
    }
}

#[async_trait]
impl PaymentMethod for Escrow {
    async fn recover(&self) -> Result<Recovered, StoreError> {
        self.sweep.recover().await
    }

    fn start(self: Arc<Self>) -> Vec<JoinHandle<()>> {
        vec![tokio::spawn(self.follower.clone().follow()), tokio::spawn(self.sweep_forever())]
    }

    async fn on_message(&self, envelope: &VerifiedEnvelope) {
        if let Message::JobNotify(notify) = &envelope.message {
            self.notices.on_notice(envelope.from, notify).await;
        }
    }

    async fn due(&self, job: &JobRef) -> Result<Due, PaymentError> {
        match job_of(job) {
            Some(job) => Ok(self.orders.due(job).await?),
            None => Ok(Due::Nothing),
        }
    }

    async fn sweep(&self) {
        if let Err(error) = self.sweep_all().await {
            warn!(error = &error as &dyn std::error::Error, "open jobs can't be looked at now");
        }
    }

    async fn open_jobs(&self) -> Result<usize, StoreError> {
        Ok(self.sweep.rows.store.selling_list_open().await?.len())
    }
}
