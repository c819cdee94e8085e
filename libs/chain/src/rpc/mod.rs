//! JSON-RPC over HTTP with several endpoints of one chain.
//!
//! One endpoint is preferred until it fails; then the next one is, and the failed one is left alone for a pause that
//! doubles. A JSON-RPC error that is the endpoint's own counts as a failure; one that may be about the call is believed
//! once no other endpoint has a better answer.

mod all;
mod attempts;
mod blame;
mod config;
mod counts;
mod endpoint;
mod second;
mod transport;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use t4t_clock::{SharedClock, timeout};

use crate::error::{ChainError, EndpointFault};
use counts::Counters;
use endpoint::Endpoint;

use transport::Http;
use wire::{Answer, Question};

pub(crate) use all::Heard;
pub use config::RpcConfig;
pub use counts::RpcCounts;
pub use transport::{Reply, Transport};

/// Single questions that are under way at once where an endpoint takes no batches.
const SINGLES_AT_ONCE: usize = 8;

/// A client of one chain. Clones share everything.
#[derive(Clone)]
pub struct Rpc {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Arc<dyn Transport>,
    endpoints: Vec<Arc<Endpoint>>,
    preferred: AtomicUsize,
    next_id: AtomicU64,
    config: RpcConfig,
    clock: SharedClock,
    counters: Arc<Counters>,
}

/// Why one attempt gave no answers.
enum Failure {
    /// Another attempt may succeed.
    Retry { fault: EndpointFault, retry_after: Option<Duration> },
    /// The endpoint does not take so many questions at once.
    BatchRefused,
    /// The answer is longer than is taken; another endpoint's may not be.
    TooLarge { limit: usize },
    /// No endpoint will do better.
    Final(ChainError),
}

/// Why a list of questions got no answers.
enum Unanswered {
    /// They have to be asked in lists of at most this length.
    Split(usize),
    /// They can't be answered now.
    Error(ChainError),
}

impl From<Unanswered> for ChainError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Error(error) => error,
            Unanswered::Split(_) => {
                Self::malformed("a batch", "an endpoint refused a single question as a batch")
            }
        }
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Rpc {
    /// A client of the endpoints in `config`, over HTTP. Nothing is asked yet.
    pub fn new(config: RpcConfig, clock: SharedClock) -> Result<Self, ChainError> {
        Self::over(Arc::new(Http::new()?), config, clock)
    }

    /// The same over another transport.
    pub fn over(
        transport: Arc<dyn Transport>,
        config: RpcConfig,
        clock: SharedClock,
    ) -> Result<Self, ChainError> {
        if let Some(url) = config.endpoints.iter().find(|url| !matches!(url.scheme(), "http" | "https")) {
            return Err(ChainError::Setup(format!(
                "an endpoint begins with http or https, not {}",
                url.scheme()
            )));
        }
        if config.endpoints.is_empty() {
            return Err(ChainError::Setup("no endpoint is configured".into()));
        }
        let endpoint = |url: &url::Url| Arc::new(Endpoint::new(url.clone(), &config));
        let endpoints = config.endpoints.iter().map(endpoint).collect();
        let inner = Inner {
            transport,
            endpoints,
            preferred: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            config,
            clock,
            counters: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Asks one question. A result that is not a `T` is [`ChainError::Malformed`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, ChainError> {
        let question = (method, params);
        let mut tries = self.inner.endpoints.len();
        loop {
            let (index, answer) = self.single(&question).await?;
            let raw = answer?;
            match serde_json::from_str(raw.get()) {
                Ok(result) => return Ok(result),
                Err(cause) if tries <= 1 => return Err(ChainError::malformed(method, cause.to_string())),
                Err(cause) => {
                    tracing::debug!(endpoint = %self.inner.endpoints[index].name, %cause, "not a result");
                    self.inner.failed(index, None);
                }
            }
            tries -= 1;
        }
    }

    /// Asks several questions in as few HTTP requests as the endpoint allows; answers come in the order of the
    /// questions. Fails as a whole only if the endpoints do; a question that the node refuses has its own error.
    pub async fn batch(
        &self,
        questions: Vec<(&'static str, Value)>,
    ) -> Result<Vec<Result<Value, ChainError>>, ChainError> {
        let mut answers = Vec::with_capacity(questions.len());
        let mut rest = &questions[..];
        let mut size = self.inner.config.max_batch.max(1);
        while !rest.is_empty() {
            if size == 1 {
                answers.extend(self.singles(rest).await?);
                break;
            }
            let (chunk, tail) = rest.split_at(size.min(rest.len()));
            match self.exchange(chunk).await {
                Ok((_, found)) => {
                    answers.extend(found.into_iter().map(parsed));
                    rest = tail;
                }
                Err(Unanswered::Split(smaller)) => size = smaller.max(1),
                Err(Unanswered::Error(error)) => return Err(error),
            }
        }
        Ok(answers)
    }

    /// Questions sent so far, failed attempts included.
    pub fn calls(&self) -> u64 {
        self.counts().methods.values().sum()
    }

    /// What was sent so far, by method.
    pub fn counts(&self) -> RpcCounts {
        self.inner.counters.snapshot()
    }

    /// The clock that the client was made with.
    pub fn clock(&self) -> &SharedClock {
        &self.inner.clock
    }

    /// Prefers the next endpoint from now on: the present one answers, but with an old state.
    pub fn prefer_next(&self) {
        self.inner.prefer_another_than(self.inner.preferred.load(Ordering::Relaxed));
    }

    /// Asks every endpoint for its chain and fails if one that answers serves another than `expected`, or if none
    /// answers.
    pub async fn verify_chain(&self, expected: u64) -> Result<(), ChainError> {
        let mut answered = false;
        let mut last = None;
        for endpoint in &self.inner.endpoints {
            let question = [("eth_chainId", Value::Array(Vec::new()))];
            let answer = match self.inner.send(endpoint, &question).await {
                Ok(mut answers) => match answers.swap_remove(0) {
                    Ok(answer) => answer,
                    Err(error) => {
                        last = Some(error);
                        continue;
                    }
                },
                Err(failure) => {
                    last = Some(failure.into_error(endpoint));
                    continue;
                }
            };
            let got: crate::encoding::Number = serde_json::from_str(answer.get())
                .map_err(|cause| ChainError::malformed("eth_chainId", cause.to_string()))?;
            if got.0 != expected {
                return Err(ChainError::WrongChain { expected, got: got.0 });
            }
            answered = true;
        }
        match last {
            Some(error) if !answered => Err(error),
            _ => Ok(()),
        }
    }

    /// One question's answer, and the endpoint that was asked last.
    async fn single(&self, question: &Question) -> Result<(usize, Answer), ChainError> {
        let (index, mut answers) = self.exchange(std::slice::from_ref(question)).await?;
        Ok((index, answers.pop().ok_or_else(|| ChainError::malformed(question.0, "no answer"))?))
    }

    async fn answer(&self, question: &Question) -> Answer {
        self.single(question).await?.1
    }

    /// Asks one by one, a few at a time.
    async fn singles(&self, questions: &[Question]) -> Result<Vec<Result<Value, ChainError>>, ChainError> {
        // With a closure here, the compiler could not tell that this may move to another thread.
        let mut asked = Vec::with_capacity(questions.len());
        for question in questions {
            asked.push(self.answer(question));
        }
        let answers: Vec<Answer> = stream::iter(asked).buffered(SINGLES_AT_ONCE).collect().await;
        let lost =
            answers.iter().find_map(|answer| answer.as_ref().err().filter(|error| error.is_transient()));
        lost.map_or_else(|| Ok(()), |error| Err(error.clone()))?;
        Ok(answers.into_iter().map(parsed).collect())
    }

    /// One HTTP request's worth of questions, with failover, within the deadline.
    async fn exchange(&self, questions: &[Question]) -> Result<(usize, Vec<Answer>), Unanswered> {
        let inner = &self.inner;
        let mut last = None;
        match timeout(&*inner.clock, inner.config.deadline, inner.attempts(questions, &mut last)).await {
            Ok(answers) => answers,
            Err(t4t_clock::Elapsed) => {
                Err(Unanswered::Error(last.unwrap_or_else(|| inner.deadline_passed())))
            }
        }
    }
}

fn parsed(answer: Answer) -> Result<Value, ChainError> {
    let raw: Box<RawValue> = answer?;
    serde_json::from_str(raw.get()).map_err(|cause| ChainError::malformed("an answer", cause.to_string()))
}
