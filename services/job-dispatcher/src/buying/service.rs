//! The buying service: what it needs, how it starts and stops.

use std::sync::Arc;
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
use t4t_swarm::LinkState;
use t4t_types::Address;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use super::capacity::Capacity;
use super::choice::{ChoiceConfig, Chooser, Strategy};
use super::config::BuyingConfig;
use super::listing::Listing;
use super::log::InFlight;
use super::payment::escrow::{Escrow, EscrowConfig, EscrowDeps};
use super::payment::{PaymentMethod, Recovered};
use super::pricing::EscrowPricing;
use super::purchase::{PurchaseConfig, Purchaser};
use super::spend::Spend;
use super::trust::Trust;
use crate::carriage::Courier;
use crate::chronicle::Chronicle;

/// What happened to jobs is kept this long.
const HISTORY_KEPT_MS: u64 = 30 * 24 * 3_600_000;

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

/// The buying service.
#[derive(Debug)]
pub struct BuyingService;

/// A buying service that runs.
pub struct Running {
    buying: Arc<dyn Buying>,
    payment: Arc<dyn PaymentMethod>,
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
        let BuyingDeps { wallet, sealing_key, watcher, settlement, courier, store, clock } = deps;
        let trust = Trust::load(store.clone(), Arc::clone(&clock)).await?;
        let spend = Spend::load(config.day, &store, Arc::clone(&clock)).await?;
        let capacity = Capacity::new(Arc::clone(&clock), Duration::from_secs(config.delivery_seconds));
        let only = match config.strategy {
            Strategy::Manual(provider) => Some(provider),
            _ => None,
        };
        let listing = Listing::new(Arc::clone(&watcher), trust.clone(), only, config.bounds.price_ceiling);
        let chronicle = Chronicle::new(Side::Buying, store.clone(), Arc::clone(&clock));
        // Listening begins before anything is asked, so that no answer is missed.
        let inbox = courier.listen(&client_topic(wallet), wallet, store.clone());
        let messages = inbox.state();
        let escrow = EscrowDeps {
            wallet,
            sealing_key: Arc::new(sealing_key),
            watcher,
            settlement,
            courier,
            rows: (store.clone(), chronicle),
            listing: listing.clone(),
            trust: trust.clone(),
            exposure: (spend.clone(), capacity.clone()),
            clock: Arc::clone(&clock),
        };
        let escrow = Arc::new(Escrow::new(escrow_config(&config), escrow).await);
        let recovered = escrow.recover().await?;
        let mut tasks = escrow.follow(inbox);
        tasks.push(tokio::spawn(sweep_forever(
            Arc::clone(&escrow),
            store,
            (clock.clone(), config.sweep_interval),
        )));
        let pricing =
            Arc::new(EscrowPricing { sizing: config.sizing, ceiling: config.bounds.escrow_ceiling });
        let choice_config =
            ChoiceConfig { strategy: config.strategy, bounds: config.bounds, poll: config.provider_poll };
        let choice = Chooser::new(
            choice_config,
            (listing, pricing),
            (trust.clone(), capacity, spend),
            Arc::clone(&clock),
        );
        let payment: Arc<dyn PaymentMethod> = escrow;
        let purchaser = Arc::new(Purchaser {
            choice,
            payment: Arc::clone(&payment),
            trust,
            in_flight: InFlight::default(),
            clock,
            config: purchase_config(&config),
        });
        // Each may outlive its reader, for whom a slot is kept.
        let purchases = config.slots.saturating_mul(2).min(Semaphore::MAX_PERMITS);
        let buying = front(Arc::new(Front { purchaser, slots: Arc::new(Semaphore::new(purchases)) }));
        Ok(Running { buying, payment, recovered, messages, tasks })
    }
}

fn escrow_config(config: &BuyingConfig) -> EscrowConfig {
    EscrowConfig {
        ack_grace_seconds: config.ack_grace_seconds,
        lone_grace_seconds: config.lone_grace_seconds,
        notice_resend: config.notice_resend,
    }
}

fn purchase_config(config: &BuyingConfig) -> PurchaseConfig {
    PurchaseConfig {
        delivery_seconds: config.delivery_seconds,
        max_attempts: config.max_attempts,
        provider_wait: config.provider_wait,
    }
}

/// Looks at every open order again and again, and drops what is old, for as long as the task lives.
async fn sweep_forever(escrow: Arc<Escrow>, store: Store, (clock, interval): (SharedClock, Duration)) {
    loop {
        clock.sleep(interval).await;
        escrow.sweep_once().await;
        let expired = async {
            store.envelopes_expire(clock.now()).await?;
            store.history_expire(clock.unix_millis().saturating_sub(HISTORY_KEPT_MS)).await
        };
        if let Err(error) = expired.await {
            warn!(error = &error as &dyn std::error::Error, "old rows can't be dropped now");
        }
    }
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
        self.payment.sweep_once().await;
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
struct Front {
    purchaser: Arc<Purchaser>,
    /// For purchases in flight.
    slots: Arc<Semaphore>,
}

#[async_trait]
impl ServeStream<BuyAnswer> for Front {
    async fn open(&self, call: BuyAnswer) -> Result<ItemStream<BuyAnswer>, CallError> {
        let in_flight = &self.purchaser.in_flight;
        let (progress, begun) = in_flight.join(&call);
        let Some(log) = begun else { return Ok(progress) };
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            let reason = "too many purchases are in flight whose apps hung up: try again in a minute".into();
            in_flight.finish(call.id, Err(CallError::Unavailable { reason }));
            return Ok(progress);
        };
        // Detached from the reader: once something is paid, its end matters even when the app has hung up.
        let running = Arc::clone(&self.purchaser).run_all(call, log);
        tokio::spawn(carried(async move {
            let _slot = slot;
            running.await;
        }));
        Ok(progress)
    }
}
