//! Questions to all endpoints at once: for what is too dear to take one endpoint's word, and for what each may lose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use futures_util::StreamExt;
use futures_util::future::{self, FutureExt};
use futures_util::stream::FuturesUnordered;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::endpoint::Endpoint;
use super::{Failure, Inner, Rpc, RpcConfig};
use crate::error::ChainError;

/// How often one endpoint is told what another one took. With the pauses between, that outlasts a short limit of requests.
const MOST_TELLS: u32 = 8;

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

    /// Hands one question to every endpoint, to one that is left alone just now after its pause, and goes on as soon as
    /// one answer is `enough`. From then on each of the others is asked until it answers, a few times: what only one
    /// endpoint was told is only that one's to show. Returns what was heard until then.
    pub(crate) async fn tell_all(
        &self,
        method: &'static str,
        params: Value,
        enough: impl Fn(&Heard) -> bool,
    ) -> Vec<Heard> {
        let is_alone = self.inner.endpoints.len() == 1;
        let is_told = Arc::new(AtomicBool::new(false));
        let mut under_way = FuturesUnordered::new();
        for index in 0..self.inner.endpoints.len() {
            let params = params.clone();
            // Whoever stops listening does not stop them.
            under_way.push(match is_alone {
                true => self.clone().tell(index, method, params).boxed(),
                false => carried_on(self.clone(), index, method, params, Arc::clone(&is_told)).boxed(),
            });
        }
        let mut heard = Vec::new();
        while let Some(answer) = under_way.next().await {
            let is_enough = enough(&answer);
            heard.push(answer);
            if is_enough {
                is_told.store(true, Ordering::SeqCst);
                break;
            }
        }
        heard
    }

    /// Asks one endpoint once, after its pause.
    async fn tell(self, index: usize, method: &'static str, params: Value) -> Heard {
        let endpoint = &self.inner.endpoints[index];
        let pause = endpoint.wait(self.inner.clock.unix_millis());
        if !pause.is_zero() {
            self.inner.clock.sleep(pause).await;
        }
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

/// Asks one endpoint, whether it is waited for or not, and again where it fails while another one was told.
async fn carried_on(
    rpc: Rpc,
    index: usize,
    method: &'static str,
    params: Value,
    is_told: Arc<AtomicBool>,
) -> Heard {
    let (hear, heard) = oneshot::channel();
    tokio::spawn(async move {
        let mut last = rpc.clone().tell(index, method, params.clone()).await;
        let mut is_lost = is_unheard(&last);
        let _nobody_listens = hear.send(last);
        for _ in 1..MOST_TELLS {
            if !is_lost || !is_told.load(Ordering::SeqCst) {
                return;
            }
            last = rpc.clone().tell(index, method, params.clone()).await;
            is_lost = is_unheard(&last);
        }
    });
    heard.await.unwrap_or_else(|_| Err(ChainError::malformed(method, "the question was broken off")))
}

/// Whether an endpoint did not say anything about the question itself.
fn is_unheard(heard: &Heard) -> bool {
    !matches!(heard, Ok(_) | Err(ChainError::Answer { .. }))
}
