//! Taking in what the chain tells of: from a posted job to a row that is served or refused.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::registry_watcher::{GetHead, GetJob};
use t4t_inference::MIN_PROMPT_TOKENS;
use t4t_protocol::ACK_WINDOW_SECONDS;
use t4t_protocol::job::SellingState;
use t4t_runtime::KillPoint;
use t4t_store::selling::SellingJob;
use t4t_types::{JobId, JobStatus, JobTerms, ModelId, TokenUsage, Xbzz};
use tracing::warn;

use super::service::Seller;
use super::verify::{Verdict, contradicts, judge};
use super::work::{LONGEST_PAUSE, WorkError};

/// For how long taking in a job is tried: beyond it the acknowledgement is due and the job can't be served.
const TAKE_IN_MS: u64 = 60_000;

/// For how long a job is read again whose terms can't be true: half of the acknowledgement's window, so that its refusal
/// is in a block before the window ends, also where its event came late.
const READ_AGAIN_MS: u64 = ACK_WINDOW_SECONDS * 1000 / 2;

/// For how long a job waits at a start until the registry was read.
const PRICES_WITHIN_MS: u64 = 8_000;

/// The first pause before a job is looked at again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest prompt and the longest answer that models have, in tokens, with room to spare.
const LONGEST_TOKENS: u64 = 1 << 20;

/// The most that is taken for a model whose prices say little or nothing.
const FREE_MODELS_MOST: Xbzz = Xbzz::from_plur(1_000_000_000_000_000);

impl Seller {
    /// Looks at a job that the chain told of, and works on it if it is ours and open; tries again while that fails.
    /// Safe to call again and again. `block` is the one in which the job was posted.
    pub(super) async fn consider(self: Arc<Self>, job: JobId, block: u64) {
        let began_ms = self.clock.unix_millis();
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.take_in(job, (block, began_ms)).await {
            let tried_ms = self.clock.unix_millis().saturating_sub(began_ms);
            warn!(%job, tried_ms, error = &error as &dyn std::error::Error, "a job could not be taken in yet");
            if tried_ms > TAKE_IN_MS {
                return;
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// `told` is the block in which the job was posted, and since when it is tried, in milliseconds since 1970.
    async fn take_in(self: &Arc<Self>, job: JobId, told: (u64, u64)) -> Result<(), WorkError> {
        if let Some(row) = self.ledger.store.selling_by_job(job).await?
            && !self.gives_way(&row).await?
        {
            if !row.state.is_final() {
                self.spawn_work(job);
            }
            return Ok(());
        }
        let mut terms = self.watcher.ask(GetJob { job }).await?;
        if terms.status == JobStatus::None {
            // The event came from one node, the answer from another that is a block behind.
            return Err(WorkError::NotThereYet);
        }
        if self.take_claimed(job, &terms).await? {
            return Ok(());
        }
        let verdict = match self.doubt(job, &mut terms, told).await? {
            Some(refusal) => refusal,
            None => self.verdict(&terms).await?,
        };
        if matches!(verdict, Verdict::Serve(_)) {
            self.learn_shown_prices(told).await?;
        }
        // Of two jobs with one request, the second is judged once the first is stored.
        let Some(_entered) = self.taking_in.enter((terms.client, terms.request_hash)) else {
            return Err(WorkError::TakenInNow);
        };
        let earlier = match &verdict {
            Verdict::Serve(_) => {
                self.ledger.store.selling_by_request(terms.client, terms.request_hash).await?
            }
            _ => None,
        };
        let (verdict, inherited) = match earlier {
            Some(earlier) if self.is_gone(&earlier).await? => (verdict, Some(earlier)),
            Some(_) => (Verdict::Refuse("the same request was posted before".into()), None),
            None => (verdict, None),
        };
        let Some(row) = self.new_row(job, &terms, verdict) else { return Ok(()) };
        {
            // No work begins before it is known whether an answer is there already.
            let _inheriting = self.in_progress.enter(job);
            self.ledger.found(&row).await?;
            KillPoint::SellingFound.pass();
            if let Some(earlier) = inherited {
                self.inherit(&row, earlier).await?;
            }
        }
        self.spawn_work(job);
        Ok(())
    }

    /// Reads a job again whose terms can't be those of the job that the chain told of. In time it is refused: ignored, it
    /// would cost stake if the event was true, while a refusal of what is not ours costs nothing.
    async fn doubt(
        &self,
        job: JobId,
        terms: &mut JobTerms,
        (block, began_ms): (u64, u64),
    ) -> Result<Option<Verdict>, WorkError> {
        if self.taken_back.contains(&job) {
            // The event is no more; what the terms say of the id needs not fit it.
            return Ok(None);
        }
        let head = self.watcher.ask(GetHead {}).await?;
        let blocks_ago = head.block.saturating_sub(block);
        if !contradicts(terms, self.wallet, head.now(), blocks_ago) {
            return Ok(None);
        }
        if self.clock.unix_millis().saturating_sub(began_ms) < READ_AGAIN_MS {
            return Err(WorkError::TermsDiffer);
        }
        // For as long, the refusal may need to get into a block.
        let refused_by = head.now().plus(2 * ACK_WINDOW_SECONDS);
        terms.delivery_deadline = terms.delivery_deadline.max(refused_by);
        Ok(Some(Verdict::Refuse("the chain's node says other terms than the chain's event".into())))
    }

    /// Has the registry read, if it was not since the start: only it tells which prices a job was planned by. No job
    /// waits for that until it is late.
    async fn learn_shown_prices(&self, (_, began_ms): (u64, u64)) -> Result<(), WorkError> {
        if self.listing.learn_shown_prices().await.is_ok() {
            return Ok(());
        }
        if self.clock.unix_millis().saturating_sub(began_ms) < PRICES_WITHIN_MS {
            return Err(WorkError::NoPricesYet);
        }
        warn!("the registry can't be read: a job is billed by the prices of now, whatever it was planned by");
        Ok(())
    }

    /// The row of a job that is served or refused; `None` if it is nobody's business here.
    fn new_row(&self, job: JobId, terms: &JobTerms, verdict: Verdict) -> Option<SellingJob> {
        let (model, reason) = match verdict {
            Verdict::Ignore => return None,
            Verdict::Serve(model) => (model, None),
            // A name that is none is kept out of the database.
            Verdict::Refuse(reason) => {
                (terms.model.parse().unwrap_or_else(|_| self.nameless.clone()), Some(reason))
            }
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

    /// What to do with a job, by its terms and by whether this provider can serve now.
    async fn verdict(&self, terms: &JobTerms) -> Result<Verdict, WorkError> {
        let chain_now = self.chain_now().await?;
        let offers = |model: &ModelId| self.listing.offer().offers(model);
        let verdict = judge(terms, self.wallet, chain_now, &self.config, self.payments(terms), offers);
        if matches!(verdict, Verdict::Refuse(_)) && self.listing.is_starting() && self.listing.offer().is_empty() {
            return Err(WorkError::NoRunnerYet);
        }
        match (verdict, self.listing.problem()) {
            (Verdict::Serve(_), Some(problem)) => Ok(Verdict::Refuse(problem.reason)),
            (verdict, _) => Ok(verdict),
        }
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
        let least = cost(short).unwrap_or(self.config.min_payment).min(self.config.min_payment);
        let most = cost(long).unwrap_or(FREE_MODELS_MOST).max(FREE_MODELS_MOST);
        (least, most)
    }
}
