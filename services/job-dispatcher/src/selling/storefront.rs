//! The shop window: registration, offerings, the published limit and the heartbeat.
//!
//! A heartbeat says "I serve": it is withheld while this provider can't.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use t4t_api::inference_runner::RunnerModel;
use t4t_api::registry_watcher::{GetHead, ListProviders, ProviderListing, WatcherError};
use t4t_api::settlement::{
    Account, AwaitTransaction, GetAccount, RegistryIntent, SettlementError, SubmitTransaction,
    TransactionKey, TransactionOutcome,
};
use t4t_protocol::provider_feed;
use t4t_runtime::config::ProviderSettings;
use t4t_swarm::FeedManifest;
use t4t_types::{ModelId, Offering, TokenPrices, Xbzz, keccak256};
use tracing::{info, warn};

use super::gate::{Obstacle, SEE_DOCTOR, Trouble};
use super::service::Seller;

/// Longest answer time that is published, in seconds, as the reference publishes it.
const MAX_LATENCY_SECONDS: u64 = 120;

/// A head of the chain older than this says that this provider is cut off: it could miss an acknowledgement.
const STALE_HEAD_MS: u64 = 60_000;

/// Wei that must be there to take work on, however little gas costs now: a few hundred refusals at 72,000 gas and 1
/// gwei.
const MIN_GAS_WEI: u128 = 20_000_000_000_000_000;

/// Gas that must be there for each job that may have to be closed; what settlement sets aside for a claim.
const CLOSING_GAS: u128 = 250_000;

/// Jobs beyond those at work that may have to be refused before anybody looks.
const SPARE_REFUSALS: usize = 20;

/// How often a closed shop is looked at: each look that finds it in order opens it.
const CLOSED_PAUSE: Duration = Duration::from_secs(2);

/// How long an entry of our own making may take to show; after that it is gone, and made again.
const REGISTERED_SHOWS_MS: u64 = 60_000;

/// How often the shop window is looked after at the start.
const STARTING_PAUSE: Duration = Duration::from_millis(500);

/// How long a transaction of the shop window is waited for.
const RECEIPT_WAIT_MS: u64 = 60_000;

const STAKE_MARGIN: Xbzz = ProviderSettings::STAKE_MARGIN;

/// Offers in one list, as the registry bounds them.
const MAX_OFFERINGS: usize = 64;

impl Seller {
    /// Looks after the shop window for as long as the process lives.
    pub(super) async fn keep_storefront(self: Arc<Self>) {
        loop {
            self.storefront_once().await;
            // While the other services are starting, so is this one.
            let pause = match self.gate.trouble() {
                _ if self.is_starting() => STARTING_PAUSE,
                Some(_) => CLOSED_PAUSE.min(self.config.storefront_interval),
                None => self.config.storefront_interval,
            };
            self.clock.sleep(pause).await;
        }
    }

    /// Looks after the shop window once.
    pub(super) async fn storefront_once(&self) {
        self.runners.refresh().await;
        let seen = match self.obstacle().await {
            Ok(None) => self.publish().await,
            Ok(Some(trouble)) => Err(Obstacle::Certain(trouble)),
            Err(obstacle) => Err(obstacle),
        };
        match seen {
            Ok(()) => self.gate.open(),
            Err(Obstacle::Certain(trouble)) => self.gate.close(trouble, self.clock.unix_millis()),
            // One failed question is no reason to turn clients away.
            Err(Obstacle::Passing(reason)) => self.gate.doubt(reason, self.clock.unix_millis()),
        }
    }

    /// What stands in the way of serving a job safely.
    async fn obstacle(&self) -> Result<Option<Trouble>, Obstacle> {
        // Models that are away stay in the shop window; a shop in which all are is closed.
        if self.models().iter().all(|model| model.away) {
            // Closed now, it would refuse what comes between the first runner's word and the next look.
            if self.is_starting() && self.runners.are_apart() {
                return Err(Obstacle::Passing("no runner has registered since the start".into()));
            }
            return Ok(Some(Trouble::new("no backend answers", "start one, or correct endpoints.json")));
        }
        if let Some(trouble) = self.courier.own_trouble().await {
            return Ok(Some(Trouble::new(trouble.reason, trouble.next_step)));
        }
        if let Err(error) = self.ledger.store.may_take_work().await {
            return Ok(Some(Trouble::new(error.to_string(), SEE_DOCTOR)));
        }
        if let Some(trouble) = self.late_claims() {
            return Ok(Some(trouble));
        }
        let head = self.watcher.ask(GetHead {}).await.map_err(Obstacle::passing)?;
        if head.age_ms > STALE_HEAD_MS {
            let reason = format!("the chain has told nothing for {} s", head.age_ms / 1000);
            return Ok(Some(Trouble::new(reason, "check GNOSIS_RPC_URL, or name more endpoints")));
        }
        let account = self.settlement.ask(GetAccount {}).await.map_err(Obstacle::passing)?;
        let needs = self.gas_to_close(&account).await?;
        Ok((account.xdai_wei < needs).then(|| {
            let reason = format!("the wallet {} has too little xDAI to close its jobs", account.address);
            Trouble::new(reason, format!("send it at least {} xDAI", in_xdai(needs.saturating_mul(2))))
        }))
    }

    /// Wei that closing every job that is or may soon be open takes at most.
    async fn gas_to_close(&self, account: &Account) -> Result<u128, Obstacle> {
        let open = self.ledger.store.selling_list_open().await.map_err(Obstacle::passing)?.len();
        let slots = usize::try_from(self.runners.limit()).unwrap_or(usize::MAX);
        let jobs = open.saturating_add(slots).saturating_add(SPARE_REFUSALS) as u128;
        Ok(account.max_fee_wei.saturating_mul(CLOSING_GAS).saturating_mul(jobs).max(MIN_GAS_WEI))
    }

    async fn publish(&self) -> Result<(), Obstacle> {
        let listing = self.own_listing().await.map_err(Obstacle::passing)?;
        let Some(listing) = listing else {
            // A node may be behind the one that took the registration: an entry of our own making shows in a moment.
            let registered_at_ms = self.registered_at_ms.load(Ordering::Relaxed);
            if self.clock.unix_millis().saturating_sub(registered_at_ms) < REGISTERED_SHOWS_MS {
                return Err(Obstacle::Passing("registered; the directory does not show it yet".into()));
            }
            return self.register().await;
        };
        if !listing.active {
            let next_step =
                "withdraw the stake once it is free (`t4t stake`); it is registered again after that";
            return Err(Obstacle::certain("this provider has left the market", next_step));
        }
        if listing.sealing_key != self.sealing_key.public() {
            let reason = "the registry holds another encryption key than pss.key";
            let next_step =
                "restore that file, or leave (`t4t stake leave`) and register again with the new one";
            return Err(Obstacle::certain(reason, next_step));
        }
        if let Some(trouble) = stake_trouble(&listing) {
            return Err(Obstacle::Certain(trouble));
        }
        let offerings = self.wanted_offerings();
        if !matches_listing(&offerings, &listing) && self.pace.take(self.clock.unix_millis()) {
            self.submit("offerings", RegistryIntent::UpdateOfferings { offerings }).await?;
        }
        self.publish_slots(listing.max_concurrent_jobs).await?;
        let chain_now = self.watcher.ask(GetHead {}).await.map_err(Obstacle::passing)?.now();
        if chain_now.since(listing.last_heartbeat) >= self.config.heartbeat_seconds {
            self.submit("heartbeat", RegistryIntent::Heartbeat).await?;
        }
        Ok(())
    }

    /// Publishes how many jobs are worked on at a time, where that has changed for good.
    async fn publish_slots(&self, published: u32) -> Result<(), Obstacle> {
        let (slots, now_ms) = (self.runners.limit(), self.clock.unix_millis());
        // Without a slot there is nothing to say: 0 would mean that there is no limit.
        if slots == 0 || !self.pace.is_steady(slots, published, now_ms) || !self.pace.take(now_ms) {
            return Ok(());
        }
        self.submit("cap", RegistryIntent::SetMaxConcurrentJobs { cap: slots }).await
    }

    /// Reads this provider's entry, and notes the prices that it shows.
    pub(super) async fn own_listing(&self) -> Result<Option<ProviderListing>, WatcherError> {
        let mut found = self.watcher.ask(ListProviders { provider: Some(self.wallet) }).await?;
        let listing =
            found.pop().filter(|listing| listing.provider == self.wallet && listing.last_heartbeat.get() > 0);
        let offerings = listing.as_ref().map_or(&[][..], |listing| &listing.offerings);
        self.shown_prices.saw(offerings, self.clock.unix_millis());
        self.on_offer.store(
            listing.as_ref().is_some_and(|listing| listing.live && !listing.offerings.is_empty()),
            Ordering::Relaxed,
        );
        Ok(listing)
    }

    /// Registers with a real overlay: zeros would stay on the chain for ever.
    async fn register(&self) -> Result<(), Obstacle> {
        let overlay = self.courier.overlay().await;
        let overlay = overlay.map_err(|error| {
            Obstacle::certain(
                format!("the Bee node does not answer: {error}"),
                "start Bee, or correct BEE_API_URL",
            )
        })?;
        let metadata = FeedManifest::new(self.wallet, provider_feed());
        let account = self.settlement.ask(GetAccount {}).await.map_err(Obstacle::passing)?;
        let stake = stake_with_margin(self.config.stake, account.xbzz);
        let intent = RegistryIntent::Register {
            sealing_key: self.sealing_key.public(),
            overlay,
            metadata_uri: metadata.uri(),
            stake,
        };
        info!(%stake, %overlay, "registering as a provider");
        if stake <= self.config.stake {
            warn!(
                %stake,
                "the stake is the least that there is: the first payment that burns takes this provider off the market; \
                 send it xBZZ and run `t4t stake add {STAKE_MARGIN}`"
            );
        }
        // Unregistered, nobody sends jobs: whatever keeps it from registering is worth a loud word.
        self.submit("register", intent).await.map_err(Obstacle::into_certain)?;
        self.registered_at_ms.store(self.clock.unix_millis(), Ordering::Relaxed);
        self.store_manifest(&metadata).await;
        let offerings = self.wanted_offerings();
        self.submit("offerings", RegistryIntent::UpdateOfferings { offerings }).await?;
        let cap = self.runners.limit().max(1);
        self.submit("cap", RegistryIntent::SetMaxConcurrentJobs { cap }).await
    }

    /// Puts the manifest of the provider's feed where its registration says. Anybody can make it again from the wallet's
    /// address, so that it may be missing.
    async fn store_manifest(&self, manifest: &FeedManifest) {
        for node in manifest.nodes() {
            if let Err(error) = self.courier.upload_request(node.clone()).await {
                warn!(%error, uri = manifest.uri(), "the manifest of this provider's feed could not be stored");
            }
        }
    }

    /// Sends a transaction and waits for it. Its name holds the time, so that the same wish can come up again later.
    async fn submit(&self, what: &str, intent: RegistryIntent) -> Result<(), Obstacle> {
        let failed = |error: SettlementError| match error {
            SettlementError::OutOfXbzz { .. } => {
                Obstacle::certain(format!("{what}: {error}"), "send xBZZ to it")
            }
            SettlementError::OutOfGas { .. } => {
                Obstacle::certain(format!("{what}: {error}"), "send xDAI to it")
            }
            SettlementError::Refused { .. } => Obstacle::certain(format!("{what}: {error}"), SEE_DOCTOR),
            _ => Obstacle::Passing(format!("{what}: {error}")),
        };
        let key = TransactionKey::new(format!("{what}:{}", self.clock.unix_millis()));
        info!(what, "the registry entry is being changed");
        self.settlement
            .ask(SubmitTransaction { key: key.clone(), intent: intent.into() })
            .await
            .map_err(failed)?;
        let wait = AwaitTransaction { key, wait_ms: RECEIPT_WAIT_MS };
        match self.settlement.ask(wait).await.map_err(failed)?.outcome {
            TransactionOutcome::Mined { .. } => Ok(()),
            TransactionOutcome::Pending => {
                Err(Obstacle::Passing(format!("{what}: the transaction waits for its block")))
            }
            TransactionOutcome::Reverted { reason, .. } => {
                Err(Obstacle::certain(format!("{what}: the contract refused it: {reason}"), SEE_DOCTOR))
            }
        }
    }

    /// What the runners offer together.
    pub(super) fn models(&self) -> Vec<RunnerModel> {
        self.runners.models(self.config.default_prices)
    }

    fn wanted_offerings(&self) -> Vec<Offering> {
        let mut models = self.models();
        // The registry would refuse the whole list for one name; the runner has said so already.
        models.retain(|model| model.model.as_str().len() <= ModelId::MAX_OFFERED_BYTES);
        if models.len() > MAX_OFFERINGS {
            warn!(models = models.len(), "only the first {MAX_OFFERINGS} models by name are offered");
        }
        let offering = |model: RunnerModel| Offering {
            prices: model.prices.unwrap_or(self.config.default_prices),
            max_context_tokens: model.max_context_tokens.unwrap_or(0).into(),
            max_latency_seconds: MAX_LATENCY_SECONDS,
            model: model.model.to_string(),
        };
        models.into_iter().take(MAX_OFFERINGS).map(offering).collect()
    }

    /// Whether a runner serves the model.
    pub(super) fn offers(&self, model: &ModelId) -> bool {
        self.models().iter().any(|offered| offered.model == *model)
    }

    /// What the model costs here now.
    pub(super) fn prices_of(&self, model: &ModelId) -> TokenPrices {
        let own = self
            .models()
            .into_iter()
            .find(|offered| offered.model == *model)
            .and_then(|offered| offered.prices);
        own.unwrap_or(self.config.default_prices)
    }

    /// What a job for the model that is found now is billed by: never more than its client may have planned by.
    pub(super) fn billed_prices_of(&self, model: &ModelId) -> TokenPrices {
        self.shown_prices.billed(model, self.prices_of(model), self.clock.unix_millis())
    }

    /// Leaves the market. Irreversible until the stake is withdrawn.
    pub(super) async fn leave(&self) -> Result<(), String> {
        self.submit("deactivate", RegistryIntent::Deactivate).await.map_err(Obstacle::into_text)
    }
}

/// What to stake at registration: the margin on top, if the wallet has it.
fn stake_with_margin(least: Xbzz, in_wallet: Xbzz) -> Xbzz {
    least.checked_add(STAKE_MARGIN).filter(|stake| *stake <= in_wallet).unwrap_or(least)
}

/// What is to be said of a stake with which nobody can post a job.
fn stake_trouble(listing: &ProviderListing) -> Option<Trouble> {
    let missing = listing.min_stake.saturating_sub(listing.stake);
    if missing.is_zero() {
        return None;
    }
    let (stake, least) = (listing.stake, listing.min_stake);
    let with_margin = missing.saturating_add(STAKE_MARGIN);
    let reason =
        format!("the stake is {stake} xBZZ, below the registry's minimum of {least}: no jobs can be posted");
    let next_step = format!(
        "stop the provider, run `t4t stake add {missing}` (better {with_margin}, so that the next burned payment does not do \
         it again), and start it"
    );
    Some(Trouble::new(reason, next_step))
}

/// Wei as people say them, to four digits after the point, rounded up.
fn in_xdai(wei: u128) -> String {
    let parts = wei.div_ceil(100_000_000_000_000);
    format!("{}.{:04}", parts / 10_000, parts % 10_000)
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

#[cfg(test)]
mod tests {
    use t4t_types::{Address, UnixSeconds};

    use super::*;

    fn listing(stake: Xbzz) -> ProviderListing {
        ProviderListing {
            provider: Address::new([1; 20]),
            sealing_key: [1; 32].into(),
            overlay: [1; 32].into(),
            metadata_uri: String::new(),
            stake,
            min_stake: Xbzz::from_whole(100),
            active: true,
            live: false,
            last_heartbeat: UnixSeconds::new(1),
            total_jobs: 0,
            successful_jobs: 0,
            open_jobs: 0,
            max_concurrent_jobs: 0,
            offerings: Vec::new(),
        }
    }

    #[test]
    fn a_stake_below_the_minimum_by_one_plur_is_said_with_its_remedy() {
        assert!(stake_trouble(&listing(Xbzz::from_whole(100))).is_none());
        let short = Xbzz::from_whole(100).saturating_sub(Xbzz::from_plur(1));
        let trouble = format!("{:?}", stake_trouble(&listing(short)).unwrap());
        assert!(
            trouble.contains("99.9999999999999999") && trouble.contains("`t4t stake add 0.0000000000000001`")
        );
    }

    #[test]
    fn a_provider_registers_with_a_margin_where_the_wallet_has_it() {
        let least = Xbzz::from_whole(100);
        assert_eq!(stake_with_margin(least, Xbzz::from_whole(1000)), Xbzz::from_whole(110));
        assert_eq!(stake_with_margin(least, Xbzz::from_whole(109)), least);
        assert_eq!(stake_with_margin(least, Xbzz::ZERO), least);
    }
}
