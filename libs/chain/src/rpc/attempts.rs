//! Asking one endpoint after the other until enough have answered.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::second::{Consensus, Opinions};
use super::wire::{self, Answer, Question, Unusable};
use super::{Failure, Inner, Reply, Unanswered, transport};
use crate::error::{ChainError, EndpointFault, shortened};

impl Inner {
    /// The best answers, and an endpoint that gave them.
    pub(super) async fn attempts(
        &self,
        questions: &[Question],
        last: &mut Option<ChainError>,
    ) -> Result<(usize, Vec<Answer>), Unanswered> {
        let mut opinions = Opinions::default();
        for _ in 0..self.config.attempts.max(1) {
            let Some(index) = self.next_to_ask(&opinions, last).await.map_err(Unanswered::Error)? else {
                break;
            };
            let endpoint = &self.endpoints[index];
            let limit = endpoint.batch_limit();
            opinions.asks(index);
            let sent = match questions.len() > limit {
                true => Err(Failure::BatchRefused),
                false => self.send(endpoint, questions).await,
            };
            match sent {
                Ok(answers) => {
                    if opinions.add(index, answers) {
                        break;
                    }
                }
                Err(Failure::BatchRefused) if opinions.is_answered() => {}
                Err(Failure::BatchRefused) => {
                    if questions.len() <= limit {
                        endpoint.refused_batch(questions.len());
                    }
                    return Err(Unanswered::Split(endpoint.batch_limit()));
                }
                Err(Failure::TooLarge { limit }) => {
                    opinions.too_large();
                    *last = Some(ChainError::TooLarge { limit });
                }
                Err(Failure::Final(error)) => return Err(Unanswered::Error(error)),
                Err(Failure::Retry { fault, retry_after }) => {
                    tracing::debug!(endpoint = %endpoint.name, %fault, "an endpoint of the chain failed");
                    self.failed(index, retry_after);
                    *last = Some(Failure::Retry { fault, retry_after }.into_error(endpoint));
                }
            }
        }
        let first = opinions.first();
        match opinions.into_consensus() {
            Some(consensus) => Ok(self.settled(first, consensus)),
            None => Err(Unanswered::Error(last.take().unwrap_or_else(|| self.deadline_passed()))),
        }
    }

    /// Whom to ask next. For a second opinion nobody is waited for, and nobody is asked twice.
    pub(super) async fn next_to_ask(
        &self,
        opinions: &Opinions,
        last: &Option<ChainError>,
    ) -> Result<Option<usize>, ChainError> {
        if !opinions.is_answered() {
            return self.free_endpoint(last).await.map(Some);
        }
        let now = self.clock.unix_millis();
        let is_free = |index: &usize| self.endpoints[*index].wait(now).is_zero();
        Ok(self.ring().find(|index| opinions.is_unasked(*index) && is_free(index)))
    }

    /// Notes who was right and who was not.
    pub(super) fn settled(&self, first: Option<usize>, consensus: Consensus) -> (usize, Vec<Answer>) {
        let Consensus { answers, right, wrong } = consensus;
        right.iter().for_each(|index| self.endpoints[*index].succeeded());
        for index in &wrong {
            tracing::debug!(endpoint = %self.endpoints[*index].name, "an endpoint refused what another one answered");
            self.failed(*index, None);
        }
        let best = right.last().or(wrong.last()).copied().unwrap_or_default();
        if first.is_some_and(|first| !right.contains(&first)) && !right.is_empty() {
            self.preferred.store(best, Ordering::Relaxed);
        }
        (best, answers)
    }

    /// An endpoint did not do its work: it rests, and another one is preferred.
    pub(super) fn failed(&self, index: usize, retry_after: Option<Duration>) {
        self.endpoints[index].failed(self.clock.unix_millis(), retry_after, self.transport.random());
        self.prefer_another_than(index);
    }

    pub(super) fn prefer_another_than(&self, index: usize) {
        let next = (index + 1) % self.endpoints.len();
        // Lost only if another question has moved on already.
        let _ = self.preferred.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The endpoints, from the preferred one on.
    pub(super) fn ring(&self) -> impl Iterator<Item = usize> + use<> {
        let (preferred, count) = (self.preferred.load(Ordering::Relaxed), self.endpoints.len());
        (0..count).map(move |step| (preferred + step) % count)
    }

    /// The preferred endpoint or the next one that may be asked; waits for the first if none may be.
    pub(super) async fn free_endpoint(&self, last: &Option<ChainError>) -> Result<usize, ChainError> {
        let now = self.clock.unix_millis();
        // The first of equal waits is taken, so a free preferred endpoint stays preferred.
        let soonest =
            self.ring().map(|index| (self.endpoints[index].wait(now), index)).min_by_key(|(wait, _)| *wait);
        let (wait, index) = soonest.ok_or_else(|| self.deadline_passed())?;
        if wait >= self.config.deadline {
            let endpoint = self.endpoints[index].name.clone();
            let limited = || ChainError::RateLimited { endpoint, retry_after: wait };
            return Err(last.clone().unwrap_or_else(limited));
        }
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        Ok(index)
    }

    pub(super) async fn send(
        &self,
        endpoint: &Endpoint,
        questions: &[Question],
    ) -> Result<Vec<Answer>, Failure> {
        self.counters.count(questions.iter().map(|(method, _)| *method));
        let count = questions.len() as u64;
        let first_id = self.next_id.fetch_add(count, Ordering::Relaxed);
        let body = wire::body(first_id, questions)
            .map_err(|cause| Failure::Final(ChainError::malformed("a question", cause.to_string())))?;
        let (limit, max_bytes) = (self.config.request_timeout, self.config.max_response_bytes);
        let reply =
            transport::post(&*self.transport, &*self.clock, &endpoint.url, body, limit, max_bytes).await;
        let (bytes, refused) = match reply {
            Reply::Body { bytes, refused } => (bytes, refused),
            Reply::Fault { fault, retry_after } => return Err(Failure::Retry { fault, retry_after }),
            Reply::TooLarge => return Err(Failure::TooLarge { limit: max_bytes }),
        };
        wire::answers(&bytes, first_id, questions).map_err(|unusable| match (unusable, refused) {
            (Unusable::BatchRefused, _) => Failure::BatchRefused,
            (Unusable::Error { code, message }, _) => {
                Failure::retry(EndpointFault::Refuses { code, message })
            }
            (Unusable::RateLimited, _) => Failure::retry(EndpointFault::RateLimited),
            (Unusable::Garbage(_), Some(_)) if questions.len() > 1 => Failure::BatchRefused,
            (Unusable::Garbage(_), Some(status)) => Failure::retry(EndpointFault::Status(status)),
            (Unusable::Garbage(what), None) => Failure::retry(EndpointFault::Garbage(shortened(&what))),
        })
    }

    pub(super) fn deadline_passed(&self) -> ChainError {
        let preferred = self.preferred.load(Ordering::Relaxed);
        let endpoint =
            self.endpoints.get(preferred).map(|endpoint| endpoint.name.clone()).unwrap_or_default();
        ChainError::Unreachable { endpoint, fault: EndpointFault::Timeout(self.config.deadline) }
    }
}

impl Failure {
    pub(super) fn retry(fault: EndpointFault) -> Self {
        Self::Retry { fault, retry_after: None }
    }

    pub(super) fn into_error(self, endpoint: &Endpoint) -> ChainError {
        let endpoint = endpoint.name.clone();
        match self {
            Self::Retry { fault: EndpointFault::RateLimited, retry_after } => ChainError::RateLimited {
                endpoint,
                retry_after: retry_after.unwrap_or(Duration::from_secs(1)),
            },
            Self::Retry { fault, .. } => ChainError::Unreachable { endpoint, fault },
            Self::BatchRefused => ChainError::malformed("a batch", "the endpoint refused it"),
            Self::TooLarge { limit } => ChainError::TooLarge { limit },
            Self::Final(error) => error,
        }
    }
}
