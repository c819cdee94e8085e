//! The shop window: registration, offerings, the published limit and the heartbeat.
//!
//! A heartbeat says "I serve": it is withheld while this provider can't.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use t4t_api::registry_watcher::{GetHead, ListProviders, ProviderListing};
use t4t_api::settlement::{
    AwaitTransaction, GetAccount, SettlementError, SubmitTransaction, TransactionIntent, TransactionKey,
    TransactionOutcome,
};
use t4t_types::{ModelId, Offering, TokenPrices, keccak256};
use tracing::{info, warn};

use super::service::Seller;

/// Longest answer time that is published, in seconds, as the reference publishes it.
const MAX_LATENCY_SECONDS: u64 = 120;

/// A head of the chain older than this says that this provider is cut off: it could miss an acknowledgement.
const STALE_HEAD_MS: u64 = 60_000;

/// Gas that must be there to take work on: a few hundred refusals at 62,000 gas and 1 gwei.
const MIN_GAS_WEI: u128 = 20_000_000_000_000_000;

/// How often the shop window is looked after at the start.
const STARTING_PAUSE: Duration = Duration::from_millis(500);

/// How long questions may fail before no more work is taken on.
const DOUBT_MS: u64 = 60_000;

/// How long a transaction of the shop window is waited for.
const RECEIPT_WAIT_MS: u64 = 60_000;

/// Offers in one list, as the registry bounds them.
const MAX_OFFERINGS: usize = 64;

/// What keeps this provider from serving.
enum Obstacle {
    /// It is so.
    Certain(String),
    /// It could not be asked, or is under way.
    Passing(String),
}

impl Obstacle {
    fn passing(error: impl std::fmt::Display) -> Self {
        Self::Passing(error.to_string())
    }

    fn into_certain(self) -> Self {
        Self::Certain(self.into_text())
    }

    fn into_text(self) -> String {
        match self {
            Self::Certain(reason) | Self::Passing(reason) => reason,
        }
    }
}

/// Whether work is taken on, and why not.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<GateState>,
}

#[derive(Debug, Default)]
struct GateState {
    closed: Option<String>,
    /// Since when questions fail, in milliseconds since 1970.
    doubtful_since_ms: Option<u64>,
}

impl Gate {
    /// Why no work is taken on; `None` if it is.
    pub(super) fn reason(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed.clone()
    }

    /// Says loudly when it closes and when it opens, and nothing in between.
    fn close(&self, reason: String) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed.as_ref() != Some(&reason) {
            warn!("no new jobs are taken: {reason}");
        }
        state.closed = Some(reason);
    }

    fn open(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed.take().is_some() {
            info!("new jobs are taken again");
        }
        state.doubtful_since_ms = None;
    }

    /// Closes once questions have failed for a while.
    fn doubt(&self, reason: String, now_ms: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since_ms = *state.doubtful_since_ms.get_or_insert(now_ms);
        drop(state);
        info!(reason, "the shop window could not be looked after");
        if now_ms.saturating_sub(since_ms) > DOUBT_MS {
            self.close(reason);
        }
    }
}

impl Seller {
    /// Looks after the shop window for as long as the process lives.
    pub(super) async fn keep_storefront(self: Arc<Self>) {
        loop {
            self.storefront_once().await;
            // While the other services are starting, so is this one.
            let pause = if self.is_starting() { STARTING_PAUSE } else { self.config.storefront_interval };
            self.clock.sleep(pause).await;
        }
    }

    /// Looks after the shop window once.
    pub(super) async fn storefront_once(&self) {
        self.runners.refresh().await;
        let seen = match self.obstacle().await {
            Ok(None) => self.publish().await,
            Ok(Some(reason)) => Err(Obstacle::Certain(reason)),
            Err(obstacle) => Err(obstacle),
        };
        match seen {
            Ok(()) => self.gate.open(),
            Err(Obstacle::Certain(reason)) => self.gate.close(reason),
            // One failed question is no reason to turn clients away.
            Err(Obstacle::Passing(reason)) => self.gate.doubt(reason, self.clock.unix_millis()),
        }
    }

    /// What stands in the way of serving a job safely.
    async fn obstacle(&self) -> Result<Option<String>, Obstacle> {
        if self.runners.models().is_empty() {
            return Ok(Some("no backend answers: start one, or correct endpoints.json".into()));
        }
        if !self.courier.has_stamp() {
            return Ok(Some("no usable postage batch: buy one, or set POSTAGE_BATCH_ID".into()));
        }
        let head = self.watcher.ask(GetHead {}).await.map_err(Obstacle::passing)?;
        if head.age_ms > STALE_HEAD_MS {
            let seconds = head.age_ms / 1000;
            return Ok(Some(format!("the chain has told nothing for {seconds} s: check GNOSIS_RPC_URL")));
        }
        let account = self.settlement.ask(GetAccount {}).await.map_err(Obstacle::passing)?;
        let is_poor = account.xdai_wei < MIN_GAS_WEI;
        Ok(is_poor
            .then(|| format!("the wallet {} has too little xDAI for gas: send it some", account.address)))
    }

    async fn publish(&self) -> Result<(), Obstacle> {
        let listing = self.own_listing().await?;
        let Some(listing) = listing else {
            // The directory is a look behind the chain: an entry of our own making shows in a moment.
            if self.has_registered.load(Ordering::Relaxed) {
                return Err(Obstacle::Passing("registered; the directory does not show it yet".into()));
            }
            return self.register().await;
        };
        if !listing.active {
            let reason = "this provider has left the market: register again once its stake is withdrawn";
            return Err(Obstacle::Certain(reason.into()));
        }
        if listing.sealing_key != self.sealing_key.public() {
            let reason = "the registry holds another encryption key than pss.key: restore that file";
            return Err(Obstacle::Certain(reason.into()));
        }
        let offerings = self.wanted_offerings();
        if !matches_listing(&offerings, &listing) {
            self.submit("offerings", TransactionIntent::UpdateOfferings { offerings }).await?;
        }
        if listing.max_concurrent_jobs != self.config.max_concurrent_jobs {
            let cap = self.config.max_concurrent_jobs;
            self.submit("cap", TransactionIntent::SetMaxConcurrentJobs { cap }).await?;
        }
        let chain_now = self.watcher.ask(GetHead {}).await.map_err(Obstacle::passing)?.now();
        if chain_now.since(listing.last_heartbeat) >= self.config.heartbeat_seconds {
            self.submit("heartbeat", TransactionIntent::Heartbeat).await?;
        }
        Ok(())
    }

    async fn own_listing(&self) -> Result<Option<ProviderListing>, Obstacle> {
        let found = self.watcher.ask(ListProviders { provider: Some(self.wallet) }).await;
        let mut found = found.map_err(Obstacle::passing)?;
        let listing =
            found.pop().filter(|listing| listing.provider == self.wallet && listing.last_heartbeat.get() > 0);
        self.on_offer.store(
            listing.as_ref().is_some_and(|listing| listing.live && !listing.offerings.is_empty()),
            Ordering::Relaxed,
        );
        Ok(listing)
    }

    /// Registers with a real overlay: zeros would stay on the chain for ever.
    async fn register(&self) -> Result<(), Obstacle> {
        let overlay = self.courier.overlay().await;
        let overlay =
            overlay.map_err(|error| Obstacle::Certain(format!("the Bee node does not answer: {error}")))?;
        let intent = TransactionIntent::Register {
            sealing_key: self.sealing_key.public(),
            overlay,
            metadata_uri: String::new(),
            stake: self.config.stake,
        };
        info!(stake = %self.config.stake, %overlay, "registering as a provider");
        // Unregistered, nobody sends jobs: whatever keeps it from registering is worth a loud word.
        self.submit("register", intent).await.map_err(Obstacle::into_certain)?;
        self.has_registered.store(true, Ordering::Relaxed);
        let offerings = self.wanted_offerings();
        self.submit("offerings", TransactionIntent::UpdateOfferings { offerings }).await?;
        let cap = self.config.max_concurrent_jobs;
        self.submit("cap", TransactionIntent::SetMaxConcurrentJobs { cap }).await
    }

    /// Sends a transaction and waits for it. Its name holds the time, so that the same wish can come up again later.
    async fn submit(&self, what: &str, intent: TransactionIntent) -> Result<(), Obstacle> {
        let failed = |error: SettlementError| match error {
            SettlementError::OutOfXbzz { .. }
            | SettlementError::OutOfGas { .. }
            | SettlementError::Refused { .. } => Obstacle::Certain(format!("{what}: {error}")),
            _ => Obstacle::Passing(format!("{what}: {error}")),
        };
        let key = TransactionKey::new(format!("{what}:{}", self.clock.unix_millis()));
        info!(what, "the registry entry is being changed");
        self.settlement.ask(SubmitTransaction { key: key.clone(), intent }).await.map_err(failed)?;
        let wait = AwaitTransaction { key, wait_ms: RECEIPT_WAIT_MS };
        match self.settlement.ask(wait).await.map_err(failed)?.outcome {
            TransactionOutcome::Mined { .. } => Ok(()),
            TransactionOutcome::Pending => {
                Err(Obstacle::Passing(format!("{what}: the transaction waits for its block")))
            }
            TransactionOutcome::Reverted { reason, .. } => {
                Err(Obstacle::Certain(format!("{what}: the contract refused it: {reason}")))
            }
        }
    }

    fn wanted_offerings(&self) -> Vec<Offering> {
        let models = self.runners.models();
        if models.len() > MAX_OFFERINGS {
            warn!(models = models.len(), "only the first {MAX_OFFERINGS} models by name are offered");
        }
        let offering = |model: t4t_api::inference_runner::RunnerModel| Offering {
            prices: model.prices.unwrap_or(self.config.default_prices),
            max_context_tokens: model.max_context_tokens.unwrap_or(0).into(),
            max_latency_seconds: MAX_LATENCY_SECONDS,
            model: model.model.to_string(),
        };
        models.into_iter().take(MAX_OFFERINGS).map(offering).collect()
    }

    /// Whether a runner serves the model.
    pub(super) fn offers(&self, model: &ModelId) -> bool {
        self.runners.models().iter().any(|offered| offered.model == *model)
    }

    /// What the model costs here now.
    pub(super) fn prices_of(&self, model: &ModelId) -> TokenPrices {
        let models = self.runners.models();
        let own =
            models.into_iter().find(|offered| offered.model == *model).and_then(|offered| offered.prices);
        own.unwrap_or(self.config.default_prices)
    }

    /// Leaves the market. Irreversible until the stake is withdrawn.
    pub(super) async fn leave(&self) -> Result<(), String> {
        self.submit("deactivate", TransactionIntent::Deactivate).await.map_err(Obstacle::into_text)
    }
}

fn matches_listing(wanted: &[Offering], listing: &ProviderListing) -> bool {
    let digest = |parts: Vec<String>| keccak256(parts.join("\n"));
    let describe = |model: &str, prices: TokenPrices, context: u128| {
        format!("{model} {} {} {context}", prices.input.plur(), prices.output.plur())
    };
    let wanted =
        wanted.iter().map(|offer| describe(&offer.model, offer.prices, offer.max_context_tokens)).collect();
    let listed = listing.offerings.iter();
    let listed = listed
        .map(|offer| describe(offer.model.as_str(), offer.prices, offer.max_context_tokens.into()))
        .collect();
    digest(wanted) == digest(listed)
}
