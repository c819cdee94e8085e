//! The buying service: what it needs, how it starts and stops.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use t4t_api::job_dispatcher::{BuyAnswer, BuyingError as CallError};
use t4t_api::{
    Buying, Desk, Guard, ItemStream, RegistryWatcher, ServeStream, Settlement, carried, stream_route,
};
use t4t_clock::SharedClock;
use t4t_crypto::SealingKey;
use t4t_protocol::client_topic;
use t4t_runtime::recovery::TakenUp;
use t4t_store::{Side, Store, StoreError};
use t4t_swarm::{LinkState, SwarmError};
use t4t_types::{Address, Overlay, Xbzz};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use super::board::Board;
use super::capacity::Capacity;
use super::config::BuyingConfig;
use super::ledger::Ledger;
use super::posting::Posting;
use super::spend::Spend;
use super::trust::Trust;
use crate::carriage::Courier;
use crate::chronicle::Chronicle;

/// What the buying side stands on.
pub struct BuyingDeps {
    /// The wallet that pays, by its address.
    pub wallet: Address,
    /// The key that answers are sealed to.
    pub sealing_key: SealingKey,
    /// The view of the chain.
    pub watcher: Arc<dyn RegistryWatcher>,
    /// The wallet's service.
    pub settlement: Arc<dyn Settlement>,
    /// The way messages and payloads travel.
    pub courier: Arc<dyn Courier>,
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: SharedClock,
}

impl std::fmt::Debug for BuyingDeps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuyingDeps").field("wallet", &self.wallet).finish_non_exhaustive()
    }
}

/// Why the buying side can't start.
#[derive(Debug, thiserror::Error)]
pub enum BuyingError {
    /// The database can't be used.
    #[error("the database can't be used")]
    Store(#[from] StoreError),
}

/// What was found open at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Jobs that wait for their provider or their deadline.
    pub waiting: u32,
    /// What those have in escrow.
    pub in_escrow: Xbzz,
    /// Jobs past their deadline, whose payment is asked back.
    pub overdue: u32,
    /// Jobs that were answered and wait for their claim.
    pub answered: u32,
    /// Jobs whose payment had not left.
    pub never_paid: u32,
}

impl From<Recovered> for TakenUp {
    fn from(recovered: Recovered) -> Self {
        Self {
            jobs_waiting: recovered.waiting.into(),
            in_escrow: recovered.in_escrow,
            answers_unclaimed: recovered.answered.into(),
            never_paid: recovered.never_paid.into(),
            refunds_due: recovered.overdue.into(),
            ..Self::default()
        }
    }
}

/// The buying side at work.
pub(super) struct Buyer {
    pub(super) wallet: Address,
    pub(super) sealing_key: SealingKey,
    overlay: Mutex<Overlay>,
    pub(super) watcher: Arc<dyn RegistryWatcher>,
    pub(super) settlement: Arc<dyn Settlement>,
    pub(super) courier: Arc<dyn Courier>,
    pub(super) clock: SharedClock,
    pub(super) config: BuyingConfig,
    pub(super) ledger: Ledger,
    pub(super) board: Board,
    /// For purchases under way.
    pub(super) room: Arc<Semaphore>,
    pub(super) capacity: Capacity,
    pub(super) trust: Trust,
    /// What was spent today.
    pub(super) spend: Spend,
    /// Escrow transactions that wait for their block, so that their event tells the job before settlement does.
    pub(super) posting: Posting,
}

impl std::fmt::Debug for Buyer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buyer").field("wallet", &self.wallet).finish_non_exhaustive()
    }
}

impl Buyer {
    /// This node's address in Swarm, asked for again while it is not known.
    pub(super) async fn overlay(&self) -> Overlay {
        let known = *self.overlay.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.is_zero() {
            return known;
        }
        let asked = own_overlay(&*self.courier).await;
        *self.overlay.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        asked
    }
}

/// The buying service.
#[derive(Debug)]
pub struct BuyingService;

/// A buying service that runs.
pub struct Running {
    buying: Arc<dyn Buying>,
    buyer: Arc<Buyer>,
    recovered: Recovered,
    messages: watch::Receiver<LinkState>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("recovered", &self.recovered).finish_non_exhaustive()
    }
}

impl BuyingService {
    /// Takes up what an earlier run left open and starts to buy.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn start(config: BuyingConfig, deps: BuyingDeps) -> Result<Running, BuyingError> {
        let slots = config.slots;
        Self::start_behind(config, deps, |front| Arc::new(Desk::start("job-dispatcher", front, slots))).await
    }

    /// The same without a mailbox: whoever asks is answered where it asks. For simulations on one thread, whose order
    /// of events is decided by a seed; what is asked is not bounded.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_without_mailbox(
        config: BuyingConfig,
        deps: BuyingDeps,
    ) -> Result<Running, BuyingError> {
        Self::start_behind(config, deps, |front| front).await
    }

    async fn start_behind(
        config: BuyingConfig,
        deps: BuyingDeps,
        front: impl FnOnce(Arc<Front>) -> Arc<dyn Buying>,
    ) -> Result<Running, BuyingError> {
        // Each may outlive its reader, for whom a slot is kept.
        let purchases = config.slots.saturating_mul(2).min(Semaphore::MAX_PERMITS);
        let trust = Trust::load(deps.store.clone(), Arc::clone(&deps.clock)).await?;
        let chronicle = Chronicle::new(Side::Buying, deps.store.clone(), Arc::clone(&deps.clock));
        let spend = Spend::load(config.day, &deps.store, Arc::clone(&deps.clock)).await?;
        let ledger = Ledger::new(deps.store.clone(), chronicle, Arc::clone(&deps.clock), spend.clone());
        let buyer = Arc::new(Buyer {
            wallet: deps.wallet,
            sealing_key: deps.sealing_key,
            overlay: Mutex::new(own_overlay(&*deps.courier).await),
            watcher: deps.watcher,
            settlement: deps.settlement,
            courier: deps.courier,
            capacity: Capacity::new(Arc::clone(&deps.clock), Duration::from_secs(config.delivery_seconds)),
            trust,
            spend,
            clock: deps.clock,
            config,
            ledger,
            board: Board::default(),
            room: Arc::new(Semaphore::new(purchases)),
            posting: Posting::default(),
        });
        // Listening begins before anything is asked, so that no answer is missed.
        let inbox = buyer.courier.listen(&client_topic(deps.wallet), deps.wallet, deps.store);
        let messages = inbox.state();
        let recovered = buyer.recover().await?;
        let tasks = vec![
            tokio::spawn(Arc::clone(&buyer).follow_messages(inbox)),
            tokio::spawn(Arc::clone(&buyer).follow_chain()),
            tokio::spawn(Arc::clone(&buyer).sweep_forever()),
        ];
        let buying = front(Arc::new(Front(Arc::clone(&buyer))));
        Ok(Running { buying, buyer, recovered, messages, tasks })
    }
}

/// The node's address; zeros tell a provider that there is none, and it then answers through the chain.
async fn own_overlay(courier: &dyn Courier) -> Overlay {
    courier.overlay().await.unwrap_or_else(|error: SwarmError| {
        warn!(%error, "the Swarm node does not tell its address; answers are taken from the chain");
        Overlay::ZERO
    })
}

impl Running {
    /// The service, behind its mailbox.
    pub fn buying(&self) -> Arc<dyn Buying> {
        Arc::clone(&self.buying)
    }

    /// What was found open at the start.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Follows whether the providers' messages can arrive.
    pub fn messages(&self) -> watch::Receiver<LinkState> {
        self.messages.clone()
    }

    /// Looks at every open job once; tests drive time with it.
    pub async fn sweep_once(&self) {
        self.buyer.sweep_once().await;
    }

    /// Stops. What is open is taken up by the next start.
    pub async fn stop(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}

/// Adds the service's HTTP routes.
pub fn routes(config: &mut ServiceConfig, guard: &Guard, buying: &Arc<dyn Buying>) {
    stream_route::<BuyAnswer, dyn Buying>(config, guard, buying);
}

/// What stands behind the mailbox.
struct Front(Arc<Buyer>);

#[async_trait]
impl ServeStream<BuyAnswer> for Front {
    async fn open(&self, call: BuyAnswer) -> Result<ItemStream<BuyAnswer>, CallError> {
        let (progress, begun) = self.0.board.join(&call);
        let Some(purchase) = begun else { return Ok(progress) };
        let Ok(room) = Arc::clone(&self.0.room).try_acquire_owned() else {
            let reason = "too many purchases are under way whose apps hung up: try again in a minute".into();
            self.0.board.finish(call.id, Err(CallError::Unavailable { reason }));
            return Ok(progress);
        };
        // Detached from the reader: once something is paid, its end matters even when the app has hung up.
        let running = Arc::clone(&self.0).run_purchases(call, purchase);
        tokio::spawn(carried(async move {
            let _room = room;
            running.await;
        }));
        Ok(progress)
    }
}
