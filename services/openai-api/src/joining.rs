//! Apps that gave up waiting and ask again: they join the purchase they left instead of paying for another.
//!
//! Version 1 can't call a job back, so what an app leaves goes on and is paid. Client libraries ask again by themselves
//! after their own timeout, with the same bytes: three tries were three payments and no answer. Only what was left is
//! joined: two equal requests whose apps both wait are two (agents ask for several samples that way).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use t4t_api::job_dispatcher::BuyingError;
use t4t_clock::{SharedClock, timeout};
use t4t_panics::{Lock, LockGuard};
use t4t_types::{RequestId, keccak256};
use tokio::sync::Notify;

use crate::error::GatewayError;
use crate::idempotency::random_id;

/// The header in which client libraries count their tries of one request.
const RETRIES: &str = "x-stainless-retry-count";

/// The headers that may hold an API key.
const KEYS: [&str; 3] = ["authorization", "x-api-key", "api-key"];

/// How long one that says it is a retry waits for the connection of the first try to be seen closed.
const GRACE: Duration = Duration::from_secs(1);

/// Purchases that were left and are remembered.
const REMEMBERED: usize = 4096;

/// Who asks for what: the hash of the body and of the API key it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question([u8; 32]);

impl Question {
    /// The question with this body's hash.
    pub(crate) fn of(headers: &HeaderMap, body_hash: [u8; 32]) -> Self {
        let keys = KEYS.map(|name| keccak256(headers.get(name).map_or(&[][..], |value| value.as_bytes())));
        Self(keccak256([keys.concat(), body_hash.to_vec()].concat()))
    }
}

/// Whether the client's library says that it asked before.
pub(crate) fn is_retry(headers: &HeaderMap) -> bool {
    let count = headers.get(RETRIES).and_then(|value| value.to_str().ok()?.trim().parse::<u32>().ok());
    count.is_some_and(|count| count > 0)
}

/// The purchases that run without a key of their app's, and those that were left.
#[derive(Debug)]
pub(crate) struct Joining {
    /// For how long after it was begun a purchase is joined; `None` for never.
    window: Option<Duration>,
    clock: SharedClock,
    asked: Lock<Asked>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Asked {
    /// How many apps wait for each question.
    waiting: HashMap<Question, usize>,
    /// What was left, oldest first.
    left: VecDeque<Left>,
}

#[derive(Clone, Copy, Debug)]
struct Left {
    question: Question,
    id: RequestId,
    until_ms: u64,
}

impl Joining {
    /// Nothing was asked yet.
    pub(crate) fn new(window: Option<Duration>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { window, clock, asked: Lock::default(), left: Notify::new() })
    }

    fn asked(&self) -> LockGuard<'_, Asked> {
        self.asked.lock()
    }

    /// An app waits for an answer to this question: to one that was left, if there is one, else to a new one.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        question: Question,
        is_retry: bool,
    ) -> Result<Waiting, GatewayError> {
        let Some(window) = self.window else {
            return Ok(Waiting { of: None, question, id: random_id()?, until_ms: 0 });
        };
        let mut joined = self.take(question);
        if joined.is_none() && is_retry && self.asked().waiting.contains_key(&question) {
            joined = timeout(&*self.clock, GRACE, self.wait_for(question)).await.ok();
        }
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let (id, until_ms) = match joined {
            Some(left) => (left.id, left.until_ms),
            None => (random_id()?, self.clock.unix_millis().saturating_add(window_ms)),
        };
        if joined.is_some() {
            tracing::info!(request = %id, is_retry, "an app asks again for what it left, and joins it");
        }
        *self.asked().waiting.entry(question).or_default() += 1;
        Ok(Waiting { of: Some(Arc::clone(self)), question, id, until_ms })
    }

    fn take(&self, question: Question) -> Option<Left> {
        let (mut asked, now_ms) = (self.asked(), self.clock.unix_millis());
        asked.left.retain(|left| left.until_ms > now_ms);
        let place = asked.left.iter().position(|left| left.question == question)?;
        asked.left.remove(place)
    }

    async fn wait_for(&self, question: Question) -> Left {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // From here on it hears of what is left, so that nothing is missed between the look and the wait.
            left.as_mut().enable();
            if let Some(left) = self.take(question) {
                return left;
            }
            left.await;
        }
    }
}

/// An app that waits. Dropped before it is [`Self::done`], its purchase was left.
#[derive(Debug)]
pub(crate) struct Waiting {
    of: Option<Arc<Joining>>,
    question: Question,
    /// The request to ask the buyer with.
    pub(crate) id: RequestId,
    until_ms: u64,
}

impl Waiting {
    /// The app has its answer, or knows why there is none.
    pub(crate) fn done(mut self) {
        if let Some(joining) = self.of.take() {
            joining.asked().goes(self.question);
        }
    }

    /// The app is told of an error. Where the purchase may go on all the same, whoever asks again joins it.
    pub(crate) fn failed(self, error: &GatewayError) {
        let goes_on = matches!(
            error,
            GatewayError::NoAnswer
                | GatewayError::Buying(BuyingError::TimedOut { .. } | BuyingError::Transport { .. })
        );
        if !goes_on {
            self.done();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(joining) = self.of.take() else { return };
        let mut asked = joining.asked();
        asked.goes(self.question);
        if asked.left.len() >= REMEMBERED {
            asked.left.pop_front();
        }
        asked.left.push_back(Left { question: self.question, id: self.id, until_ms: self.until_ms });
        drop(asked);
        joining.left.notify_waiters();
    }
}

impl Asked {
    fn goes(&mut self, question: Question) {
        if let Some(waiting) = self.waiting.get_mut(&question) {
            *waiting -= 1;
            if *waiting == 0 {
                self.waiting.remove(&question);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use t4t_clock::ManualClock;
    use t4t_types::UnixSeconds;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(900);

    fn question(number: u8) -> Question {
        Question::of(&HeaderMap::new(), [number; 32])
    }

    #[tokio::test]
    async fn only_what_was_left_is_joined_and_only_once() {
        let clock = ManualClock::new(UnixSeconds::new(1000));
        let joining = Joining::new(Some(WINDOW), clock.clone());
        let begin = async |number| joining.begin(question(number), false).await.unwrap();
        let (first, second) = (begin(1).await, begin(1).await);
        assert_ne!(first.id, second.id, "both wait");
        let left = first.id;
        drop(first);
        assert_ne!(begin(2).await.id, left, "another question");
        let again = begin(1).await;
        assert_eq!(again.id, left);
        assert_ne!(begin(1).await.id, left, "somebody waits for it again");
        again.done();
        second.failed(&GatewayError::Full { retry_after_s: 1 });
        assert!(joining.asked().left.iter().all(|other| other.id != left));
    }

    #[tokio::test]
    async fn what_was_left_is_joined_within_its_window_and_never_where_that_is_off() {
        let clock = ManualClock::new(UnixSeconds::new(1000));
        let joining = Joining::new(Some(WINDOW), clock.clone());
        let left = joining.begin(question(1), false).await.unwrap().id;
        clock.advance(WINDOW);
        assert_ne!(joining.begin(question(1), false).await.unwrap().id, left);
        let off = Joining::new(None, clock);
        let left = off.begin(question(1), false).await.unwrap().id;
        assert_ne!(off.begin(question(1), true).await.unwrap().id, left);
        assert!(off.asked().left.is_empty());
    }

    #[tokio::test]
    async fn a_retry_waits_for_the_first_try_to_be_seen_gone() {
        let joining = Joining::new(Some(WINDOW), ManualClock::new(UnixSeconds::new(1000)));
        let first = joining.begin(question(1), false).await.unwrap();
        let id = first.id;
        let retry = joining.begin(question(1), true);
        tokio::pin!(retry);
        assert!(futures_util::poll!(retry.as_mut()).is_pending());
        drop(first);
        assert_eq!(retry.await.unwrap().id, id);
    }

    #[tokio::test]
    async fn a_retry_of_what_others_still_wait_for_is_a_request_of_its_own() {
        let clock = ManualClock::new(UnixSeconds::new(1000));
        let joining = Joining::new(Some(WINDOW), clock.clone());
        let other = joining.begin(question(1), false).await.unwrap();
        let retry = joining.begin(question(1), true);
        tokio::pin!(retry);
        assert!(futures_util::poll!(retry.as_mut()).is_pending());
        clock.advance(GRACE);
        assert_ne!(retry.await.unwrap().id, other.id);
    }

    #[tokio::test]
    async fn a_purchase_that_may_go_on_after_its_error_is_joined() {
        let joining = Joining::new(Some(WINDOW), ManualClock::new(UnixSeconds::new(1000)));
        let first = joining.begin(question(1), false).await.unwrap();
        let id = first.id;
        first.failed(&BuyingError::TimedOut { after_s: 9 }.into());
        assert_eq!(joining.begin(question(1), false).await.unwrap().id, id);
    }

    #[test]
    fn what_was_left_is_bounded_and_another_key_asks_another_question() {
        let joining = Joining::new(Some(WINDOW), ManualClock::new(UnixSeconds::new(1000)));
        for number in 0..=REMEMBERED {
            let id = RequestId::new(keccak256(number.to_be_bytes()));
            drop(Waiting { of: Some(Arc::clone(&joining)), question: question(1), id, until_ms: u64::MAX });
        }
        assert_eq!(joining.asked().left.len(), REMEMBERED);
        let mut headers = HeaderMap::new();
        headers.insert("authorization".parse().unwrap(), "Bearer a".parse().unwrap());
        assert_ne!(Question::of(&headers, [1; 32]), question(1));
    }

    #[test]
    fn a_count_of_retries_is_a_sign_and_nothing_else_is() {
        for (value, expected) in [("1", true), ("2", true), ("0", false), ("x", false), ("-1", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRIES.parse().unwrap(), value.parse().unwrap());
            assert_eq!(is_retry(&headers), expected, "{value}");
        }
        assert!(!is_retry(&HeaderMap::new()));
    }
}
