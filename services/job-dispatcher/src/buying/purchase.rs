//! One purchase: providers are tried until one answers, the tries are used up or time is.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use t4t_api::job_dispatcher::{BoughtAnswer, BuyCompletion, BuyingError, BuyingProgress};
use t4t_api::registry_watcher::GetHead;
use t4t_clock::timeout;
use t4t_protocol::job::BuyingState;
use t4t_protocol::{Demand, most_prompt_tokens};
use t4t_store::buying::BuyingJob;
use t4t_types::{Address, Xbzz};

use super::answer::{Answer, AskedFor};
use super::attempt::{Failed, outcome};
use super::board::Purchase;
use super::bounds::Offer;
use super::choice::Selected;
use super::service::Buyer;
use super::spend::Hold;

/// Seconds beyond one delivery that a request may take, at least and at most: so that a provider that acknowledges and
/// never answers does not use up the time of the next one.
const SECOND_TRY: (u64, u64) = (60, 300);

/// Time that is kept for a request's own end.
const MARGIN: Duration = Duration::from_secs(10);

/// A provider is not asked for less time than this.
const LEAST_SECONDS: u64 = 60;

/// Refusals for which a request gets another try.
const FREE_TRIES: u32 = 5;

/// Beyond a request's end, an attempt that is being judged gets this long.
const JUDGED_WITHIN: Duration = Duration::from_secs(90);

/// What a request may gain on its way: `,"stream":false`.
const STREAM_FIELD_BYTES: usize = 16;

/// A head of the chain older than this says that this gateway is cut off: it could not follow a payment.
const STALE_HEAD_MS: u64 = 60_000;

/// What the tries of a request came to so far.
#[derive(Debug)]
pub(super) struct Tries {
    /// The newest attempt's number: each has one of its own, also over restarts.
    pub(super) last: u32,
    /// How many count: those of this life, and earlier ones that were paid or may still be.
    used: u32,
    pub(super) providers: HashSet<Address>,
    /// Why the newest failed.
    reason: Option<String>,
    /// Who says that the request itself is wrong.
    blame: Option<(Address, BuyingError)>,
    /// What a backend said that no provider did better than.
    refusal: Option<BuyingError>,
    /// An answer that says nothing: the app's, if the others give none that does.
    empty: Option<(BuyingJob, Answer)>,
    /// Tries that cost nothing and so don't count among those that may fail.
    free: u32,
    /// What is too dear now, and what to tell the app if nothing else is left.
    pub(super) dear: Option<(Xbzz, BuyingError)>,
}

impl Tries {
    /// Those of an earlier life. What came back whole counts for nothing: it may be bought again.
    fn of(earlier: &[BuyingJob]) -> Self {
        let counted: Vec<&BuyingJob> = earlier.iter().filter(|row| may_be_paid(row)).collect();
        Self {
            last: earlier.last().map_or(0, |row| row.attempt),
            used: u32::try_from(counted.len()).unwrap_or(u32::MAX),
            providers: counted.iter().map(|row| row.provider).collect(),
            reason: earlier.last().and_then(outcome),
            blame: None,
            refusal: None,
            empty: None,
            free: 0,
            dear: None,
        }
    }

    fn begin(&mut self, provider: Address) {
        (self.last, self.used) = (self.last + 1, self.used + 1);
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
            Failed::Refused(error) => {
                let said = error.to_string();
                self.refusal = Some(error);
                self.cost_nothing();
                Ok(said)
            }
            Failed::Free(why) => {
                self.reason = Some(why.clone());
                self.cost_nothing();
                Ok(why)
            }
            Failed::TooDear { needs, error } => {
                let said = error.to_string();
                self.providers.remove(&provider);
                self.dear = Some((needs, error));
                self.cost_nothing();
                Ok(said)
            }
            Failed::Provider(why) => {
                self.reason = Some(why.clone());
                Ok(why)
            }
        }
    }

    /// How many providers were tried.
    fn tried(&self) -> u32 {
        self.used.saturating_add(self.free)
    }

    /// A refusal costs whoever says it nothing, and comes at once: strangers that refuse don't use up a request's tries.
    fn cost_nothing(&mut self) {
        if self.free < FREE_TRIES {
            (self.free, self.used) = (self.free + 1, self.used.saturating_sub(1));
        }
    }

    /// Whether an offer was found to be too dear.
    pub(super) fn is_too_dear(&self, offer: &Offer) -> bool {
        self.dear.as_ref().is_some_and(|(needs, _)| offer.needs >= *needs)
    }

    /// What the app is told where none of the tries gave an answer.
    fn into_error(self) -> BuyingError {
        let attempts = self.tried();
        let Self { reason, blame, refusal, dear, .. } = self;
        let reason = reason.unwrap_or_else(|| "no provider was left to ask".to_owned());
        let failed = BuyingError::ProvidersFailed { attempts, reason };
        let said = blame.map(|(_, error)| error).or(refusal).or(dear.map(|(_, error)| error));
        said.unwrap_or(failed)
    }
}

impl Buyer {
    /// Runs a purchase to its end and tells whoever follows it.
    pub(super) async fn run_purchase(self: Arc<Self>, call: BuyCompletion, purchase: Arc<Purchase>) {
        let seconds = self.config.delivery_seconds;
        let limit = Duration::from_secs(seconds.saturating_add(seconds.clamp(SECOND_TRY.0, SECOND_TRY.1)));
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let ends_at_ms = self.clock.unix_millis().saturating_add(limit_ms);
        let mut buying = Box::pin(self.buy(&call, &purchase, ends_at_ms));
        let bought = timeout(&*self.clock, limit, &mut buying).await;
        let is_late = bought.is_err();
        let end = match bought {
            Ok(Ok(answer)) => {
                purchase.push(BuyingProgress::Answered(answer));
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(BuyingError::TimedOut { after_s: limit.as_secs() }),
        };
        self.board.finish(call.id, end);
        if is_late {
            // What a provider claims in the last moment is judged like any other claim.
            let _judged = timeout(&*self.clock, JUDGED_WITHIN, buying).await;
        }
    }

    async fn buy(
        &self,
        call: &BuyCompletion,
        purchase: &Purchase,
        ends_at_ms: u64,
    ) -> Result<BoughtAnswer, BuyingError> {
        let earlier =
            self.ledger.store.buying_by_request(call.id).await.map_err(|error| unavailable(&error))?;
        let wanted = Wanted::of(call)?;
        let mut tries = Tries::of(&earlier);
        let bought = Box::pin(self.buy_or_note(&wanted, earlier, &mut tries, purchase, ends_at_ms)).await;
        match (bought, tries.empty.take()) {
            (Ok(Some((row, answer))), _) => {
                let newest = self.judge_answer(&row, &answer).await;
                Ok(self.bought(&row, newest, answer, tries.tried()))
            }
            // It was judged when it came.
            (_, Some((row, answer))) => {
                Ok(self.bought(&row, self.as_it_is_now(&row).await, answer, tries.tried()))
            }
            (Ok(None), None) => Err(tries.into_error()),
            (Err(error), None) => Err(error),
        }
    }

    /// An answer; `None` if there is none, and the tries say why.
    async fn buy_or_note(
        &self,
        wanted: &Wanted<'_>,
        earlier: Vec<BuyingJob>,
        tries: &mut Tries,
        purchase: &Purchase,
        ends_at_ms: u64,
    ) -> Result<Option<(BuyingJob, Answer)>, BuyingError> {
        // Attempts that were under way when the gateway stopped, or whose answer was asked for again.
        for row in earlier.into_iter().rev().filter(may_answer) {
            match self.drive(row.clone(), wanted.asked, purchase).await {
                Ok(answer) => return Ok(Some((row, answer))),
                Err(failed) => drop(tries.failed(row.provider, failed)?),
            }
        }
        while tries.used < self.config.max_attempts {
            self.can_pay().await?;
            if !purchase.is_wanted() {
                let what =
                    if tries.last == 0 { "before anything was paid" } else { "and nothing more was bought" };
                return Err(BuyingError::Unavailable { reason: format!("the app hung up {what}") });
            }
            // Nobody waits for a second opinion.
            let has_one = tries.blame.is_some() || tries.empty.is_some();
            let wait = if has_one { Duration::ZERO } else { self.config.provider_wait };
            let selected = match self.select(wanted, tries, purchase, wait).await {
                Ok(selected) => selected,
                Err(_) if tries.tried() > 0 => break,
                Err(error) => return Err(error),
            };
            let Some(delivery_seconds) = self.delivery_seconds(ends_at_ms, tries.tried()) else { break };
            let provider = selected.offer.known.candidate.provider;
            tries.begin(provider);
            let Selected { offer, slot, hold } = selected;
            match self.attempt(wanted, tries.last, (&offer, hold), purchase, delivery_seconds).await {
                Ok((row, answer)) => {
                    slot.answered();
                    if answer.is_empty && tries.empty.is_none() {
                        let reason = "its answer was empty".to_owned();
                        self.judge_answer(&row, &answer).await;
                        purchase.push(BuyingProgress::Retrying { provider, reason });
                        tries.empty = Some((row, answer));
                        continue;
                    }
                    if let Some((blamer, _)) = tries.blame {
                        self.trust.failed(blamer);
                    }
                    return Ok(Some((row, answer)));
                }
                Err(failed) => {
                    if matches!(failed, Failed::Provider(_) | Failed::Free(_)) {
                        self.trust.failed(provider);
                    }
                    let reason = tries.failed(provider, failed)?;
                    purchase.push(BuyingProgress::Retrying { provider, reason });
                }
            }
        }
        Ok(None)
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
        wanted: &Wanted<'_>,
        number: u32,
        (offer, hold): (&Offer, Hold),
        purchase: &Purchase,
        delivery_seconds: u64,
    ) -> Result<(BuyingJob, Answer), Failed> {
        let row = self.plan((wanted.call, number), offer, hold.explores, delivery_seconds).await?;
        // The row counts by itself from here on.
        drop(hold);
        purchase.push(BuyingProgress::Selected {
            provider: row.provider,
            prices: row.prices,
            max_payment: row.max_payment,
        });
        let answer = self.drive(row.clone(), wanted.asked, purchase).await?;
        Ok((row, answer))
    }

    fn bought(
        &self,
        row: &BuyingJob,
        newest: Option<BuyingJob>,
        answer: Answer,
        attempts: u32,
    ) -> BoughtAnswer {
        let (cost, job) = (answer.cost(), newest.and_then(|row| row.job));
        self.ledger.chronicle.note(row, "answered", format!("cost {cost} xBZZ"));
        BoughtAnswer { response: answer.response, provider: row.provider, job, cost, attempts }
    }

    /// The row as it is now; `None` if the database does not say.
    async fn as_it_is_now(&self, row: &BuyingJob) -> Option<BuyingJob> {
        self.ledger.store.buying_by_attempt((row.request_id, row.attempt)).await.ok().flatten()
    }

    /// Notes an answer, and what was claimed for it if that is known; returns the row as it is now.
    async fn judge_answer(&self, row: &BuyingJob, answer: &Answer) -> Option<BuyingJob> {
        let id = (row.request_id, row.attempt);
        if answer.is_empty {
            self.trust.answered_nothing(row.provider, id, answer.worth);
        } else {
            self.trust.answered(row.provider, id, answer.worth);
        }
        // Read after it was noted: a claim that came before was told to nobody.
        let newest = self.as_it_is_now(row).await;
        if let Some(paid) = newest.as_ref().and_then(|row| row.paid) {
            self.trust.charged(id, paid).await;
            self.capacity.settled(row.provider, id);
        }
        newest
    }
}

/// Whether a row found from an earlier run can still lead to an answer.
fn may_answer(row: &BuyingJob) -> bool {
    let is_open = !row.state.is_final();
    is_open || (row.state == BuyingState::Claimed && row.response_hash.is_some())
}

/// Whether a row's payment was taken or may still be.
fn may_be_paid(row: &BuyingJob) -> bool {
    let is_claimed = row.state == BuyingState::Claimed && row.paid.is_none_or(|paid| !paid.is_zero());
    !row.state.is_final() || is_claimed
}

/// What an app wants, with what of it decides the price and the answer's worth.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) call: &'a BuyCompletion,
    pub(super) demand: Demand,
    pub(super) asked: AskedFor,
}

impl<'a> Wanted<'a> {
    fn of(call: &'a BuyCompletion) -> Result<Self, BuyingError> {
        let bad_request = |message, param| BuyingError::BadRequest { message, param };
        let request: Value =
            serde_json::from_str(call.request.get()).map_err(|error| bad_request(error.to_string(), None))?;
        let demand = Demand::of(&request)
            .map_err(|error| bad_request(error.to_string(), Some(error.field().to_owned())))?;
        let has = |field: &str| request.get(field).is_some_and(|value| !value.is_null());
        let messages = request.get("messages").unwrap_or(&Value::Null);
        let asked = AskedFor {
            prompt: demand.prompt,
            // The provider's is a little longer: `stream` is written out.
            most_prompt: most_prompt_tokens(call.request.get().len() + STREAM_FIELD_BYTES, messages),
            tools: has("tools") || has("functions"),
        };
        Ok(Self { call, demand, asked })
    }
}

pub(super) fn unavailable(error: &impl std::fmt::Display) -> BuyingError {
    BuyingError::Unavailable { reason: error.to_string() }
}
