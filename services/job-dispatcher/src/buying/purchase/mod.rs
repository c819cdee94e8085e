//! One purchase: providers are tried until one answers, the tries are used up or time is.

mod tries;

use std::sync::Arc;
use std::time::Duration;

use t4t_api::job_dispatcher::{Bought, BuyAnswer, BuyingError, BuyingProgress};
use t4t_clock::{SharedClock, timeout};
use t4t_inference::{End, Piece};
use t4t_panics::contain;
use t4t_types::{JobId, RequestId};
use tracing::info;

use self::tries::Tries;
use super::choice::{Chooser, Selected};
use super::log::{InFlight, PurchaseLog};
use super::payment::{Delivered, Failed, Note, Order, PaymentMethod};
use super::trust::Trust;
use super::wanted::Wanted;

/// Seconds beyond one delivery that a request may take, at least and at most: so that a provider that acknowledges and
/// never answers does not use up the time of the next one.
const SECOND_TRY: (u64, u64) = (60, 300);

/// Time that is kept for a request's own end.
const MARGIN: Duration = Duration::from_secs(10);

/// A provider is not asked for less time than this.
const LEAST_SECONDS: u64 = 60;

/// Beyond a request's end, an attempt that is being judged gets this long.
const JUDGED_WITHIN: Duration = Duration::from_secs(90);

/// How far a purchase goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PurchaseConfig {
    /// How long a provider has, in seconds.
    pub(super) delivery_seconds: u64,
    /// How many providers are tried for one request.
    pub(super) max_attempts: u32,
    /// How long to wait for a busy provider.
    pub(super) provider_wait: Duration,
}

/// Runs purchases.
pub(super) struct Purchaser {
    pub(super) choice: Chooser,
    pub(super) payment: Arc<dyn PaymentMethod>,
    pub(super) trust: Trust,
    pub(super) in_flight: InFlight,
    pub(super) clock: SharedClock,
    pub(super) config: PurchaseConfig,
}

/// An answer, and whom it was bought from.
type Answered = (End, Bought);

impl Purchaser {
    /// Runs a purchase to its end, and after it that of whoever asked again when it had been given up.
    ///
    /// A panic in one purchase is its end, and nobody else's: what it had ordered is taken up by the sweep.
    pub(super) async fn run_all(self: Arc<Self>, mut call: BuyAnswer, mut log: Arc<PurchaseLog>) {
        let id = call.id;
        loop {
            if let Err(panicked) =
                contain(Box::pin(Arc::clone(&self).run_followed(call, Arc::clone(&log)))).await
            {
                self.in_flight.finish(id, Err(BuyingError::Unavailable { reason: panicked.to_string() }));
            }
            match self.in_flight.next(id) {
                Some(next) => (call, log) = next,
                None => return,
            }
        }
    }

    async fn run_followed(self: Arc<Self>, call: BuyAnswer, log: Arc<PurchaseLog>) {
        let id = call.id;
        let running = Box::pin(self.run(call, &log));
        tokio::select! {
            biased;
            () = running => {}
            never = self.note_leaving(id, &log) => match never {},
        }
        if let Some(cost) = log.cost().filter(|_| !log.is_read()) {
            self.payment.note(id, None, Note::Unread(cost)).await;
        }
    }

    /// Notes when the last app that followed a purchase hung up before its answer was there.
    async fn note_leaving(&self, id: RequestId, log: &PurchaseLog) -> std::convert::Infallible {
        log.left().await;
        if log.cost().is_none() && !self.payment.note(id, None, Note::HungUp).await {
            info!(request = %id, "the app hung up before anything was paid: nothing is posted");
        }
        std::future::pending().await
    }

    /// Runs a purchase to its end and tells whoever follows it.
    async fn run(&self, call: BuyAnswer, log: &PurchaseLog) {
        let seconds = self.config.delivery_seconds;
        let limit = Duration::from_secs(seconds.saturating_add(seconds.clamp(SECOND_TRY.0, SECOND_TRY.1)));
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let ends_at_ms = self.clock.unix_millis().saturating_add(limit_ms);
        let mut buying = Box::pin(self.buy(&call, log, ends_at_ms));
        let bought = timeout(&*self.clock, limit, &mut buying).await;
        let is_late = bought.is_err();
        let end = match bought {
            Ok(Ok((end, bought))) => tell(log, end, bought),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(BuyingError::TimedOut { after_s: limit.as_secs() }),
        };
        self.in_flight.finish(call.id, end);
        if is_late {
            // What a provider claims in the last moment is judged like any other claim.
            let _judged = timeout(&*self.clock, JUDGED_WITHIN, buying).await;
        }
    }

    async fn buy(
        &self,
        call: &BuyAnswer,
        log: &PurchaseLog,
        ends_at_ms: u64,
    ) -> Result<Answered, BuyingError> {
        let earlier = self.payment.earlier(call.id).await?;
        let wanted = Wanted::of(call);
        let mut tries = Tries::of(&earlier);
        // Attempts that were in flight when the gateway stopped, or whose answer was asked for again.
        for order in earlier.iter().rev().filter(|order| order.may_answer) {
            match self.payment.resume(order.attempt, &wanted, log).await {
                Ok(delivered) => return Ok(self.take(delivered, tries.count()).await),
                Err(failed) => drop(tries.failed(order.provider, failed)?),
            }
        }
        let bought = self.try_providers(&wanted, &mut tries, log, ends_at_ms).await;
        match (bought, tries.empty.take()) {
            (Ok(Some(delivered)), _) => Ok(self.take(delivered, tries.count()).await),
            // It was judged when it came.
            (_, Some(delivered)) => {
                let job = self.payment.job(&delivered).await;
                Ok(self.bought(delivered, job, tries.count()).await)
            }
            (Ok(None), None) => Err(tries.into_error()),
            (Err(error), None) => Err(error),
        }
    }

    /// An answer; `None` if there is none, and the tries say why.
    async fn try_providers(
        &self,
        wanted: &Wanted<'_>,
        tries: &mut Tries,
        log: &PurchaseLog,
        ends_at_ms: u64,
    ) -> Result<Option<Delivered>, BuyingError> {
        while tries.used < self.config.max_attempts {
            self.payment.ready().await?;
            if !log.is_wanted() {
                let what = match tries.tried.last {
                    0 => "before anything was paid",
                    _ => "and nothing more was bought",
                };
                return Err(BuyingError::Unavailable { reason: format!("the app hung up {what}") });
            }
            // Nobody waits for a second opinion.
            let has_one = tries.blame.is_some() || tries.empty.is_some();
            let wait = if has_one { Duration::ZERO } else { self.config.provider_wait };
            let selected = match self.choice.select(wanted, &mut tries.tried, log, wait).await {
                Ok(selected) => selected,
                Err(_) if tries.count() > 0 => break,
                Err(error) => return Err(error),
            };
            let Some(delivery_seconds) = self.delivery_seconds(ends_at_ms, tries.count()) else { break };
            if let Some(delivered) = self.try_one(wanted, selected, delivery_seconds, tries, log).await? {
                return Ok(Some(delivered));
            }
        }
        Ok(None)
    }

    /// Gives one provider the order; `None` if that gave no answer that the app is given at once.
    async fn try_one(
        &self,
        wanted: &Wanted<'_>,
        selected: Selected,
        delivery_seconds: u64,
        tries: &mut Tries,
        log: &PurchaseLog,
    ) -> Result<Option<Delivered>, BuyingError> {
        let Selected { offer, slot, hold } = selected;
        let provider = offer.known.candidate.provider;
        tries.begin(provider);
        let order = Order { number: tries.tried.last, wanted, offer: &offer, hold, delivery_seconds };
        match self.payment.order(order, log).await {
            Ok(delivered) => {
                slot.answered();
                if delivered.answer.is_empty && tries.empty.is_none() {
                    self.payment.judge(&delivered).await;
                    let reason = "its answer was empty".to_owned();
                    log.push(BuyingProgress::Retrying { provider, reason });
                    tries.empty = Some(delivered);
                    return Ok(None);
                }
                if let Some((blamer, _)) = tries.blame {
                    self.trust.failed(blamer);
                }
                Ok(Some(delivered))
            }
            Err(failed) => {
                if matches!(failed, Failed::Provider(_) | Failed::Free(_)) {
                    self.trust.failed(provider);
                }
                let reason = tries.failed(provider, failed)?;
                log.push(BuyingProgress::Retrying { provider, reason });
                Ok(None)
            }
        }
    }

    /// How long the next provider gets; `None` if that is too short for another try. An answer that comes after the
    /// request's own end would be paid for nobody.
    fn delivery_seconds(&self, ends_at_ms: u64, attempts: u32) -> Option<u64> {
        let left_ms = ends_at_ms.saturating_sub(self.clock.unix_millis());
        let left = (left_ms / 1000).saturating_sub(MARGIN.as_secs());
        let seconds = self.config.delivery_seconds.min(left);
        (attempts == 0 || seconds >= LEAST_SECONDS.min(self.config.delivery_seconds)).then_some(seconds)
    }

    /// Takes an answer for the app.
    async fn take(&self, delivered: Delivered, attempts: u32) -> Answered {
        let job = self.payment.judge(&delivered).await;
        self.bought(delivered, job, attempts).await
    }

    async fn bought(&self, delivered: Delivered, job: Option<JobId>, attempts: u32) -> Answered {
        let Delivered { id, provider, answer } = delivered;
        let cost = answer.cost();
        self.payment.note(id.0, Some(id.1), Note::Answered(cost)).await;
        let end = End { whole: Some(answer.whole), usage: answer.usage };
        (end, Bought { provider, job, cost, attempts })
    }
}

fn tell(log: &PurchaseLog, end: End, bought: Bought) -> Result<(), BuyingError> {
    log.push_piece(Piece::End(end)).map_err(|full| BuyingError::Unavailable { reason: full.to_string() })?;
    log.push(BuyingProgress::Bought(bought));
    Ok(())
}
