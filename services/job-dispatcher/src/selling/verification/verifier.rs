//! From a job's terms on the chain to the row of a job that is served or refused.

use std::sync::Arc;

use t4t_api::RegistryWatcher;
use t4t_api::registry_watcher::{GetHead, WatcherError};
use t4t_clock::SharedClock;
use t4t_inference::MIN_PROMPT_TOKENS;
use t4t_protocol::ACK_WINDOW_SECONDS;
use t4t_protocol::job::SellingState;
use t4t_store::selling::SellingJob;
use t4t_types::{Address, JobId, JobTerms, ModelId, SwarmRef, TokenUsage, Xbzz};
use tracing::warn;

use super::terms::{JobLimits, Verdict, contradicts, judge};
use crate::selling::job_set::{InFlight, InFlightGuard};
use crate::selling::listing::Listing;

/// For how long a job is read again whose terms can't be true: half of the acknowledgement's window, so that its refusal
/// is in a block before the window ends, also where its event came late.
const READ_AGAIN_MS: u64 = ACK_WINDOW_SECONDS * 1000 / 2;

/// For how long a job waits at a start until the registry was read.
const PRICES_WITHIN_MS: u64 = 8_000;

/// The longest prompt and the longest answer that models have, in tokens, with room to spare.
const LONGEST_TOKENS: u64 = 1 << 20;

/// The most that is taken for a model whose prices say little or nothing.
const FREE_MODELS_MOST: Xbzz = Xbzz::from_plur(1_000_000_000_000_000);

/// What a row holds where the client wrote a name that is none.
const NO_MODEL: &str = "?";

/// Why a job can't be judged yet; asked again, it may be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unverified {
    #[error("the chain can't be read: {0}")]
    Watcher(#[from] WatcherError),
    #[error("another job with the same request is being taken in")]
    SameRequestInFlight,
    #[error("the chain told that the job is this provider's, and its node says other terms")]
    TermsDiffer,
    #[error("the registry does not show this provider's prices yet")]
    NoPricesYet,
    #[error("no runner has registered since the start")]
    NoRunnerYet,
}

/// What is known of a job's event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// The block in which the job was posted.
    pub(crate) block: u64,
    /// Since when it is tried to take the job in, in milliseconds since 1970.
    pub(crate) since_ms: u64,
}

/// Judges jobs.
pub(crate) struct Verifier {
    wallet: Address,
    limits: JobLimits,
    listing: Arc<Listing>,
    watcher: Arc<dyn RegistryWatcher>,
    clock: SharedClock,
    /// Requests, with their clients, of which a job is being judged.
    judging: InFlight<(Address, SwarmRef)>,
}

impl Verifier {
    pub(crate) fn new(
        (wallet, limits): (Address, JobLimits),
        listing: Arc<Listing>,
        watcher: Arc<dyn RegistryWatcher>,
        clock: SharedClock,
    ) -> Self {
        Self { wallet, limits, listing, watcher, clock, judging: InFlight::default() }
    }

    /// What to do with a job, by its terms and by whether this provider can serve now.
    pub(crate) async fn judge(&self, terms: &JobTerms, told: Told) -> Result<Verdict, Unverified> {
        let chain_now = self.watcher.ask(GetHead {}).await?.now();
        let offer = self.listing.offer();
        let offers = |model: &ModelId| offer.offers(model);
        let verdict = judge(terms, self.wallet, chain_now, &self.limits, self.payments(terms), offers);
        if matches!(verdict, Verdict::Refuse(_)) && self.listing.is_starting() && offer.is_empty() {
            return Err(Unverified::NoRunnerYet);
        }
        if !matches!(verdict, Verdict::Serve(_)) {
            return Ok(verdict);
        }
        if let Some(problem) = self.listing.problem() {
            return Ok(Verdict::Refuse(problem.reason));
        }
        self.learn_shown_prices(told).await?;
        Ok(verdict)
    }

    /// Reads again a job whose terms can't be those of the job that the chain told of. In time it is refused: ignored, it
    /// would cost stake if the event was true, while a refusal of what is not ours costs nothing.
    pub(crate) async fn doubt(
        &self,
        terms: &mut JobTerms,
        told: Told,
    ) -> Result<Option<Verdict>, Unverified> {
        let head = self.watcher.ask(GetHead {}).await?;
        let blocks_ago = head.block.saturating_sub(told.block);
        if !contradicts(terms, self.wallet, head.now(), blocks_ago) {
            return Ok(None);
        }
        if self.clock.unix_millis().saturating_sub(told.since_ms) < READ_AGAIN_MS {
            return Err(Unverified::TermsDiffer);
        }
        // For as long, the refusal may need to get into a block.
        let refused_by = head.now().plus(2 * ACK_WINDOW_SECONDS);
        terms.delivery_deadline = terms.delivery_deadline.max(refused_by);
        Ok(Some(Verdict::Refuse("the chain's node says other terms than the chain's event".into())))
    }

    /// Of two jobs with one request, the second is judged once the first is stored: once the guard is dropped.
    pub(crate) fn enter(&self, terms: &JobTerms) -> Result<InFlightGuard<(Address, SwarmRef)>, Unverified> {
        let entered = self.judging.enter((terms.client, terms.request_hash));
        entered.ok_or(Unverified::SameRequestInFlight)
    }

    /// The row of a job that is served or refused; `None` if it is nobody's business here.
    pub(crate) fn row(&self, job: JobId, terms: &JobTerms, verdict: Verdict) -> Option<SellingJob> {
        let (model, reason) = match verdict {
            Verdict::Ignore => return None,
            Verdict::Serve(model) => (model, None),
            Verdict::Refuse(reason) => (readable(&terms.model), Some(reason)),
        };
        Some(SellingJob {
            job,
            state: if reason.is_some() { SellingState::Refusing } else { SellingState::Accepted },
            client: terms.client,
            request_hash: terms.request_hash,
            prices: self.listing.offer().billed_prices_of(&model),
            model,
            max_payment: terms.max_payment,
            ack_deadline: terms.ack_deadline,
            delivery_deadline: terms.delivery_deadline,
            runs: 0,
            response_hash: None,
            usage: None,
            payment: None,
            paid: None,
            reason,
            created_at_ms: self.clock.unix_millis(),
        })
    }

    /// Has the registry read, if it was not since the start: only it tells which prices a job was planned by. No job
    /// waits for that until it is late.
    async fn learn_shown_prices(&self, told: Told) -> Result<(), Unverified> {
        if self.listing.learn_shown_prices().await.is_ok() {
            return Ok(());
        }
        if self.clock.unix_millis().saturating_sub(told.since_ms) < PRICES_WITHIN_MS {
            return Err(Unverified::NoPricesYet);
        }
        warn!("the registry can't be read: a job is billed by the prices of now, whatever it was planned by");
        Ok(())
    }

    /// The smallest payment served: what a short answer to a short prompt costs here, if that is below the setting. And
    /// the largest: what the longest prompt and answer would cost. A slash is two or three times the payment, so who
    /// pays a thousand times too much into escrow is not after an answer.
    fn payments(&self, terms: &JobTerms) -> (Xbzz, Xbzz) {
        let (short, long) = (
            TokenUsage { prompt: MIN_PROMPT_TOKENS, completion: 1 },
            TokenUsage { prompt: LONGEST_TOKENS, completion: LONGEST_TOKENS },
        );
        let prices = terms.model.parse().ok().map(|model| self.listing.offer().prices_of(&model));
        let cost =
            |usage| prices.and_then(|prices| prices.cost_rounded_up(usage)).filter(|cost| !cost.is_zero());
        // A model that is free still has to be paid for the claim's gas.
        let least = cost(short).unwrap_or(self.limits.min_payment).min(self.limits.min_payment);
        let most = cost(long).unwrap_or(FREE_MODELS_MOST).max(FREE_MODELS_MOST);
        (least, most)
    }
}

/// A model's name as a row holds it: one that is none is kept out of the database.
fn readable(model: &str) -> ModelId {
    model.parse().unwrap_or_else(|_| NO_MODEL.parse().expect("one character is a name"))
}
