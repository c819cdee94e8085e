//! One purchase: providers are tried until one answers, the tries are used up or time is.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use t4t_api::job_dispatcher::{BoughtAnswer, BuyCompletion, BuyingError, BuyingProgress};
use t4t_api::registry_watcher::{Candidate, GetHead, ListCandidates, WatcherError};
use t4t_clock::timeout;
use t4t_crypto::random_bytes;
use t4t_protocol::job::BuyingState;
use t4t_store::buying::BuyingJob;
use t4t_types::Address;

use super::answer::Answer;
use super::attempt::Failed;
use super::board::Purchase;
use super::capacity::Reservation;
use super::config::Strategy;
use super::select::choose;
use super::service::Buyer;
use super::trust::Standing;

/// Seconds beyond one delivery that a request may take, at least and at most: so that a provider that acknowledges and
/// never answers does not use up the time of the next one.
const SECOND_TRY: (u64, u64) = (60, 300);

/// Time that is kept for a request's own end.
const MARGIN: Duration = Duration::from_secs(10);

/// A provider is not asked for less time than this.
const LEAST_SECONDS: u64 = 60;

/// A head of the chain older than this says that this gateway is cut off: it could not follow a payment.
const STALE_HEAD_MS: u64 = 60_000;

/// For this part of the wait, a provider is taken for full because of others' open jobs. Anybody can post jobs that are
/// not served, for gas; a provider that is full indeed lets a job wait, and refuses it if no slot becomes free.
const OTHERS_BELIEVED: u32 = 2;

/// How often a busy market is looked at; the directory is in memory.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What the tries of a request came to so far.
#[derive(Debug)]
struct Tries {
    attempts: u32,
    providers: HashSet<Address>,
    /// Why the last provider failed.
    reason: String,
    /// Who says that the request itself is wrong.
    blame: Option<(Address, BuyingError)>,
}

impl Tries {
    /// Those of an earlier life.
    fn of(earlier: &[BuyingJob]) -> Self {
        let attempts = earlier.last().map_or(0, |row| row.attempt);
        let providers = earlier.iter().map(|row| row.provider).collect();
        Self { attempts, providers, reason: String::new(), blame: None }
    }

    fn begin(&mut self, provider: Address) {
        self.attempts += 1;
        self.providers.insert(provider);
    }

    /// Notes why a try failed and returns that, or the request's error if no other provider would do better.
    fn failed(&mut self, provider: Address, failed: Failed) -> Result<String, BuyingError> {
        match failed {
            Failed::Request(error) => Err(error),
            // Two say so.
            Failed::Blamed(error) if self.blame.is_some() => Err(error),
            Failed::Blamed(error) => {
                let said = error.to_string();
                self.blame = Some((provider, error));
                Ok(said)
            }
            Failed::Provider(why) => {
                self.reason.clone_from(&why);
                Ok(why)
            }
        }
    }

    fn into_error(self) -> BuyingError {
        let Self { attempts, reason, blame, .. } = self;
        blame.map_or(BuyingError::ProvidersFailed { attempts, reason }, |(_, error)| error)
    }
}

impl Buyer {
    /// Runs a purchase to its end and tells whoever follows it.
    pub(super) async fn run_purchase(self: Arc<Self>, call: BuyCompletion, purchase: Arc<Purchase>) {
        let seconds = self.config.delivery_seconds;
        let limit = Duration::from_secs(seconds.saturating_add(seconds.clamp(SECOND_TRY.0, SECOND_TRY.1)));
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let ends_at_ms = self.clock.unix_millis().saturating_add(limit_ms);
        let bought = timeout(&*self.clock, limit, Box::pin(self.buy(&call, &purchase, ends_at_ms))).await;
        let end = match bought {
            Ok(Ok(answer)) => {
                purchase.push(BuyingProgress::Answered(answer));
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(BuyingError::TimedOut { after_s: limit.as_secs() }),
        };
        self.board.finish(call.id, end);
    }

    async fn buy(
        &self,
        call: &BuyCompletion,
        purchase: &Purchase,
        ends_at_ms: u64,
    ) -> Result<BoughtAnswer, BuyingError> {
        let earlier =
            self.ledger.store.buying_by_request(call.id).await.map_err(|error| unavailable(&error))?;
        let mut tries = Tries::of(&earlier);
        // An attempt that was under way when the gateway stopped, or whose answer was asked for again.
        if let Some(row) = earlier.into_iter().next_back().filter(may_answer) {
            match self.drive(row.clone(), purchase).await {
                Ok(answer) => return Ok(self.bought(&row, answer, tries.attempts).await),
                Err(failed) => drop(tries.failed(row.provider, failed)?),
            }
        }
        while tries.attempts < self.config.max_attempts {
            self.can_pay().await?;
            if !purchase.is_wanted() {
                return Err(BuyingError::Unavailable {
                    reason: "the app hung up before anything was paid".into(),
                });
            }
            // Nobody waits for a second opinion.
            let wait = if tries.blame.is_some() { Duration::ZERO } else { self.config.provider_wait };
            let selected = self.select((call, tries.attempts + 1), &tries.providers, purchase, wait).await;
            let (candidate, reserved) = match selected {
                Ok(selected) => selected,
                Err(_) if tries.attempts > 0 => break,
                Err(error) => return Err(error),
            };
            let Some(delivery_seconds) = self.delivery_seconds(ends_at_ms, tries.attempts) else { break };
            tries.begin(candidate.provider);
            match self.attempt(call, tries.attempts, &candidate, purchase, delivery_seconds).await {
                Ok((row, answer)) => {
                    reserved.answered();
                    if let Some((blamer, _)) = tries.blame {
                        self.trust.failed(blamer);
                    }
                    return Ok(self.bought(&row, answer, tries.attempts).await);
                }
                Err(failed) => {
                    if matches!(failed, Failed::Provider(_)) {
                        self.trust.failed(candidate.provider);
                    }
                    let reason = tries.failed(candidate.provider, failed)?;
                    purchase.push(BuyingProgress::Retrying { provider: candidate.provider, reason });
                }
            }
        }
        Err(tries.into_error())
    }

    /// How long the next provider gets; `None` if that is too short for another try. An answer that comes after the
    /// request's own end would be paid for nobody.
    fn delivery_seconds(&self, ends_at_ms: u64, attempts: u32) -> Option<u64> {
        let left_ms = ends_at_ms.saturating_sub(self.clock.unix_millis());
        let left = (left_ms / 1000).saturating_sub(MARGIN.as_secs());
        let seconds = self.config.delivery_seconds.min(left);
        (attempts == 0 || seconds >= LEAST_SECONDS.min(self.config.delivery_seconds)).then_some(seconds)
    }

    /// Whether a request could be brought to a provider and its payment followed: nothing is paid before that is so.
    async fn can_pay(&self) -> Result<(), BuyingError> {
        self.ledger.store.has_room().map_err(|error| unavailable(&error))?;
        if let Some(trouble) = self.courier.own_trouble().await {
            // What is wrong and what to do about it, as it is: no node, no postage, no way to the network.
            return Err(BuyingError::Unavailable { reason: format!("{trouble} (`t4t doctor` shows more)") });
        }
        let head = self.watcher.ask(GetHead {}).await.map_err(|error| unavailable(&error))?;
        if head.age_ms > STALE_HEAD_MS {
            let seconds = head.age_ms / 1000;
            let reason = format!("the chain has told nothing for {seconds} s: check GNOSIS_RPC_URL");
            return Err(BuyingError::Unavailable { reason });
        }
        Ok(())
    }

    async fn attempt(
        &self,
        call: &BuyCompletion,
        number: u32,
        candidate: &Candidate,
        purchase: &Purchase,
        delivery_seconds: u64,
    ) -> Result<(BuyingJob, Answer), Failed> {
        let row =
            self.plan((call.id, number), &call.request, candidate, &call.model, delivery_seconds).await?;
        purchase.push(BuyingProgress::Selected {
            provider: row.provider,
            prices: row.prices,
            max_payment: row.max_payment,
        });
        let answer = self.drive(row.clone(), purchase).await?;
        Ok((row, answer))
    }

    async fn bought(&self, row: &BuyingJob, answer: Answer, attempts: u32) -> BoughtAnswer {
        let newest = self.ledger.store.buying_by_attempt((row.request_id, row.attempt)).await.ok().flatten();
        let id = (row.request_id, row.attempt);
        // Who does not say what was used can't be said to have taken more.
        let most = if answer.is_counted { answer.cost } else { row.max_payment };
        self.trust.answered(row.provider, id, most);
        if let Some(paid) = newest.as_ref().and_then(|row| row.paid) {
            self.trust.charged(id, paid).await;
        }
        let job = newest.and_then(|row| row.job);
        self.ledger.chronicle.note(row, "answered", format!("cost {} xBZZ", answer.cost));
        BoughtAnswer { response: answer.response, provider: row.provider, job, cost: answer.cost, attempts }
    }

    /// Chooses a provider that was not tried and takes one of its slots for the attempt; waits while all are busy.
    async fn select(
        &self,
        (call, attempt): (&BuyCompletion, u32),
        tried: &HashSet<Address>,
        purchase: &Purchase,
        wait: Duration,
    ) -> Result<(Candidate, Reservation), BuyingError> {
        let waiting_since = self.clock.unix_millis();
        let mut told_at = None;
        loop {
            let waited = Duration::from_millis(self.clock.unix_millis().saturating_sub(waiting_since));
            let mut all = self.trusted(call).await?;
            if waited >= wait / OTHERS_BELIEVED && !wait.is_zero() {
                all.iter_mut().for_each(|candidate| candidate.open_jobs = 0);
            }
            let untried = || all.iter().filter(|candidate| !tried.contains(&candidate.provider));
            let free = untried().filter(|candidate| !self.capacity.fills(candidate));
            let stands = |candidate: &&Candidate| self.trust.standing(candidate.provider) == Standing::Good;
            let (good, behind): (Vec<&Candidate>, Vec<&Candidate>) = free.partition(stands);
            let dice = random_bytes().map(u64::from_be_bytes).map_err(|error| unavailable(&error))?;
            let chosen = choose(&self.config.strategy, &good, dice);
            if let Some(candidate) = chosen.or_else(|| choose(&self.config.strategy, &behind, dice)) {
                match self.capacity.reserve(candidate, (call.id, attempt)) {
                    Some(reserved) => return Ok((candidate.clone(), reserved)),
                    // Another request took the last slot just now.
                    None => continue,
                }
            }
            let busy = u32::try_from(untried().count()).unwrap_or(u32::MAX);
            if busy == 0 || waited >= wait || !purchase.is_wanted() {
                let retry_after_s = self.config.provider_poll.as_secs().max(1);
                return Err(BuyingError::AllBusy { model: call.model.clone(), retry_after_s });
            }
            if told_at.is_none_or(|told_at| waited.saturating_sub(told_at) >= self.config.provider_poll) {
                purchase.push(BuyingProgress::Waiting { busy });
                told_at = Some(waited);
            }
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }

    /// The candidates that did not take a payment for nothing lately.
    async fn trusted(&self, call: &BuyCompletion) -> Result<Vec<Candidate>, BuyingError> {
        let mut all = self.candidates(call).await?;
        let mut soonest_ms = None;
        all.retain(|candidate| match self.trust.standing(candidate.provider) {
            Standing::Barred { for_ms } => {
                soonest_ms = Some(soonest_ms.map_or(for_ms, |soonest: u64| soonest.min(for_ms)));
                false
            }
            Standing::Good | Standing::Behind => true,
        });
        match soonest_ms {
            Some(for_ms) if all.is_empty() => {
                let minutes = for_ms.div_ceil(60_000);
                let reason = format!(
                    "every provider of {} took a payment and gave no answer; the first is asked again in {minutes} min",
                    call.model
                );
                Err(BuyingError::Unavailable { reason })
            }
            _ => Ok(all),
        }
    }

    async fn candidates(&self, call: &BuyCompletion) -> Result<Vec<Candidate>, BuyingError> {
        let provider = match self.config.strategy {
            Strategy::Manual(provider) => Some(provider),
            _ => None,
        };
        let list =
            |max_combined_price| ListCandidates { model: call.model.clone(), max_combined_price, provider };
        let unavailable = |error: WatcherError| BuyingError::Unavailable { reason: error.to_string() };
        let cap = self.config.max_combined_price;
        let found = self.watcher.ask(list(cap)).await.map_err(unavailable)?;
        if !found.is_empty() {
            return Ok(found);
        }
        if let Some(cap) = cap
            && !self.watcher.ask(list(None)).await.map_err(unavailable)?.is_empty()
        {
            return Err(BuyingError::AbovePriceCap { model: call.model.clone(), cap });
        }
        Err(BuyingError::UnknownModel { model: call.model.clone() })
    }
}

/// Whether a row found from an earlier run can still lead to an answer.
fn may_answer(row: &BuyingJob) -> bool {
    let is_open = !row.state.is_final();
    is_open || (row.state == BuyingState::Claimed && row.response_hash.is_some())
}

fn unavailable(error: &impl std::fmt::Display) -> BuyingError {
    BuyingError::Unavailable { reason: error.to_string() }
}
