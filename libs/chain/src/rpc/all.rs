//! Questions to all endpoints at once: for what is too dear to take one endpoint's word, and for what each may lose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{self, FutureExt};
use futures_util::stream::FuturesUnordered;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::endpoint::Endpoint;
use super::{Failure, Inner, Rpc, RpcConfig};
use crate::error::ChainError;

/// What one endpoint did with a question.
pub(crate) type Heard = Result<Box<RawValue>, ChainError>;

impl Rpc {
    pub(crate) fn config(&self) -> &RpcConfig {
        &self.inner.config
    }

    /// How many endpoints there are.
    pub fn endpoints(&self) -> usize {
        self.inner.endpoints.len()
    }

    /// Whether so many answers are enough to believe what could cost money twice: two, where there are two endpoints.
    pub fn are_witnesses(&self, answers: usize) -> bool {
        answers >= self.inner.endpoints.len().min(2)
    }

    /// A client of each endpoint alone, which asks once: for reading the same from several and comparing it.
    pub fn each(&self) -> Vec<Self> {
        let limit = self.inner.config.request_timeout;
        let alone = |endpoint: &Arc<Endpoint>| {
            let inner = Inner {
                transport: Arc::clone(&self.inner.transport),
                endpoints: vec![Arc::clone(endpoint)],
                preferred: AtomicUsize::new(0),
                next_id: AtomicU64::new(1),
                config: RpcConfig { attempts: 1, deadline: limit, ..self.inner.config.clone() },
                clock: Arc::clone(&self.inner.clock),
                counters: Arc::clone(&self.inner.counters),
            };
            Self { inner: Arc::new(inner) }
        };
        self.inner.endpoints.iter().map(alone).collect()
    }

    /// The same, without those that are left alone just now.
    pub fn each_ready(&self) -> Vec<Self> {
        let now = self.inner.clock.unix_millis();
        let mut each = self.each();
        each.retain(|one| one.inner.endpoints.iter().all(|endpoint| endpoint.wait(now).is_zero()));
        each
    }

    /// Puts one question to every endpoint, once, and returns the answers of those that gave one.
    pub(crate) async fn ask_all<T: DeserializeOwned>(&self, method: &'static str, params: Value) -> Vec<T> {
        let question = [(method, params)];
        // With a closure here, the compiler could not tell that this may move to another thread.
        let mut asked = Vec::with_capacity(self.inner.endpoints.len());
        for endpoint in &self.inner.endpoints {
            asked.push(self.inner.send(endpoint, &question));
        }
        let answers =
            future::join_all(asked).await.into_iter().filter_map(|answers| answers.ok()?.pop()?.ok());
        answers.filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
    }

    /// Hands one question to every endpoint that is not left alone just now, and goes on as soon as one answer is `enough`;
    /// the others are asked to the end all the same. Returns what was heard until then; nobody is asked twice.
    pub(crate) async fn tell_all(
        &self,
        method: &'static str,
        params: Value,
        enough: impl Fn(&Heard) -> bool,
    ) -> Vec<Heard> {
        let inner = &self.inner;
        let now = inner.clock.unix_millis();
        let all = 0..inner.endpoints.len();
        let mut told: Vec<usize> =
            all.filter(|index| inner.endpoints[*index].wait(now) == Duration::ZERO).collect();
        if told.is_empty() {
            told = inner.free_endpoint(&None).await.map_or_else(|_| Vec::new(), |found| vec![found]);
        }
        let is_alone = told.len() == 1;
        let mut under_way = FuturesUnordered::new();
        for index in told {
            let one = self.clone().tell(index, method, params.clone());
            // Whoever stops listening does not stop them.
            under_way.push(if is_alone { one.boxed() } else { carried_on(one, method).boxed() });
        }
        let mut heard = Vec::new();
        while let Some(answer) = under_way.next().await {
            let is_enough = enough(&answer);
            heard.push(answer);
            if is_enough {
                break;
            }
        }
        heard
    }

    async fn tell(self, index: usize, method: &'static str, params: Value) -> Heard {
        let endpoint = &self.inner.endpoints[index];
        match self.inner.send(endpoint, &[(method, params)]).await {
            Ok(mut answers) => {
                endpoint.succeeded();
                answers.pop().unwrap_or_else(|| Err(ChainError::malformed(method, "no answer")))
            }
            Err(failure) => {
                if let Failure::Retry { retry_after, .. } = &failure {
                    endpoint.failed(
                        self.inner.clock.unix_millis(),
                        *retry_after,
                        self.inner.transport.random(),
                    );
                }
                Err(failure.into_error(endpoint))
            }
        }
    }
}

/// Runs to its end, whether it is waited for or not.
async fn carried_on(one: impl Future<Output = Heard> + Send + 'static, method: &'static str) -> Heard {
    tokio::spawn(one)
        .await
        .unwrap_or_else(|_| Err(ChainError::malformed(method, "the question was broken off")))
}
