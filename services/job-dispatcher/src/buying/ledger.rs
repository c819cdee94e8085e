//! The rows of bought jobs: every change goes through here, and whoever waits for a row is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use t4t_clock::SharedClock;
use t4t_protocol::job::BuyingStep;
use t4t_store::buying::BuyingJob;
use t4t_store::{Store, StoreError};
use t4t_types::RequestId;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::spend::Spend;
use crate::chronicle::{Chronicle, JobName};

/// Which attempt of which request.
pub(super) type AttemptId = (RequestId, u32);

/// Applies events to rows.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) store: Store,
    pub(super) chronicle: Chronicle,
    clock: SharedClock,
    waiting: Arc<Mutex<HashMap<AttemptId, watch::Sender<BuyingJob>>>>,
    spend: Spend,
    /// Held from the reading of a row until whoever waits for it was told, so that nobody is told an older state last.
    changing: Arc<tokio::sync::Mutex<()>>,
}

impl Ledger {
    pub(super) fn new(store: Store, chronicle: Chronicle, clock: SharedClock, spend: Spend) -> Self {
        Self { store, chronicle, clock, waiting: Arc::default(), spend, changing: Arc::default() }
    }

    /// Stores a planned attempt and its request, sealed to the provider.
    pub(super) async fn plan(&self, row: &BuyingJob, sealed: &[u8]) -> Result<(), StoreError> {
        self.store.buying_insert(row, sealed).await?;
        self.spend.changed(None, row);
        let detail = format!(
            "attempt {}, provider {}, model {}, escrow {} xBZZ, request {}",
            row.attempt, row.provider, row.model, row.max_payment, row.request_hash
        );
        self.chronicle.note(row, "planned", detail);
        Ok(())
    }

    /// Follows a row: its newest state, whenever it changes. What happened before is in the row itself: read it after.
    pub(super) fn watch(&self, row: &BuyingJob) -> watch::Receiver<BuyingJob> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, sender| sender.receiver_count() > 0);
        let id = (row.request_id, row.attempt);
        waiting.entry(id).or_insert_with(|| watch::channel(row.clone()).0).subscribe()
    }

    /// Whether somebody follows a row.
    pub(super) fn is_watched(&self, id: AttemptId) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(&id).is_some_and(|sender| sender.receiver_count() > 0)
    }

    /// Applies a step to a row. A step that contradicts what is final is logged and changes nothing.
    pub(super) async fn happened(&self, id: AttemptId, step: BuyingStep) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        if let Some(job) = step.job()
            && let Some(holder) = self.store.buying_by_job(job).await?
            && (holder.request_id, holder.attempt) != id
        {
            // Ids are counted: a reorganisation gave this one to another request, and what was told of it with it.
            let gone = BuyingStep::Reorganised { forgets_job: true };
            self.apply((holder.request_id, holder.attempt), &gone).await?;
        }
        self.apply(id, &step).await
    }

    async fn apply(&self, id: AttemptId, step: &BuyingStep) -> Result<(), StoreError> {
        let Some(before) = self.store.buying_by_attempt(id).await? else { return Ok(()) };
        let row = match before.after(step) {
            Ok(row) => row,
            // Messages are a provider's word, which it may give about what was never posted.
            Err(illegal) if matches!(step, BuyingStep::Acked | BuyingStep::Delivered { .. }) => {
                debug!(request = %id.0, attempt = id.1, %illegal, "a message was ignored");
                return Ok(());
            }
            Err(illegal) => {
                warn!(request = %id.0, attempt = id.1, %illegal, "a step was ignored");
                return Ok(());
            }
        };
        if is_as_it_was(&before, &row) {
            return Ok(());
        }
        self.store.buying_move(id, before.state, step, self.clock.unix_millis()).await?;
        if before.state != row.state {
            let name = JobName::from(&before).learnt(step.job());
            self.chronicle.note(name, step.as_str(), describe(step));
        }
        self.spend.changed(Some(&before), &row);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = waiting.get(&id) {
            sender.send_replace(row);
        }
        Ok(())
    }
}

/// Whether a step told nothing new; another reason for the same end is nothing new.
fn is_as_it_was(before: &BuyingJob, after: &BuyingJob) -> bool {
    let told = |row: &BuyingJob| (row.state, row.job, row.response_hash, row.paid);
    told(before) == told(after)
}

fn describe(step: &BuyingStep) -> String {
    let mut parts = Vec::new();
    parts.extend(step.job().map(|job| format!("job {job}")));
    parts.extend(step.response_hash().map(|hash| format!("answer {hash}")));
    parts.extend(step.paid().map(|paid| format!("paid {paid} xBZZ")));
    parts.extend(step.reason().map(str::to_owned));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use t4t_clock::ManualClock;
    use t4t_protocol::job::BuyingState;
    use t4t_types::{Address, EncryptionKey, JobId, Overlay, SwarmRef, TokenPrices, UnixSeconds, Xbzz};

    use super::super::spend::DayLimits;
    use super::*;
    use t4t_store::Side;

    fn planned(number: u8) -> BuyingJob {
        BuyingJob {
            request_id: RequestId::new([number; 32]),
            attempt: 1,
            state: BuyingState::Planned,
            provider: Address::new([2; 20]),
            provider_key: EncryptionKey::new([3; 32]),
            provider_overlay: Overlay::new([4; 32]),
            model: "m".parse().unwrap(),
            prices: TokenPrices::default(),
            request_hash: SwarmRef::new([number; 32]),
            max_payment: Xbzz::from_whole(5),
            delivery_deadline: UnixSeconds::new(900),
            job: None,
            response_hash: None,
            paid: None,
            reason: None,
            created_at_ms: 7,
            explored: false,
        }
    }

    #[tokio::test]
    async fn an_id_that_became_another_requests_takes_what_was_paid_for_it_along() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
        let clock: SharedClock = ManualClock::new(UnixSeconds::new(1_000_000));
        let chronicle = Chronicle::new(Side::Buying, store.clone(), Arc::clone(&clock));
        let spend = Spend::load(DayLimits::default(), &store, Arc::clone(&clock)).await.unwrap();
        let ledger = Ledger::new(store.clone(), chronicle, clock, spend);
        let (first, second) = (planned(1), planned(2));
        for row in [&first, &second] {
            ledger.plan(row, &[]).await.unwrap();
        }
        let (first, second) = ((first.request_id, 1), (second.request_id, 1));
        let posted = || BuyingStep::Posted { job: JobId::new([9; 32]) };
        let claimed = BuyingStep::Claimed { response_hash: None, paid: Xbzz::from_whole(4) };
        ledger.happened(first, posted()).await.unwrap();
        ledger.happened(first, claimed).await.unwrap();

        ledger.happened(second, posted()).await.unwrap();
        let before = store.buying_by_attempt(first).await.unwrap().unwrap();
        assert_eq!((before.state, before.job, before.paid), (BuyingState::Delivered, None, None));
        let now = store.buying_by_job(JobId::new([9; 32])).await.unwrap().unwrap();
        assert_eq!((now.request_id, now.state), (second.0, BuyingState::Posted));
    }
}
