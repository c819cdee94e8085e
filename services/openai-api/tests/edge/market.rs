//! What stands behind the edge in these tests: a buyer and a registry watcher that do as they are told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::stream;
use serde_json::value::RawValue;
use t4t_api::job_dispatcher::{Bought, BuyAnswer, BuyingError, BuyingProgress};
use t4t_api::registry_watcher::{
    Candidate, GetHead, GetJob, Head, ListCandidates, ListModels, ListProviders, ListedOffering, LookClosely,
    ModelListing, ProviderListing, WatchJobs, WatcherError,
};
use t4t_api::{Call, ItemStream, Serve, ServeStream};
use t4t_inference::{End, Piece};
use t4t_types::{
    Address, EncryptionKey, JobId, JobTerms, Overlay, TokenPrices, TokenUsage, TxHash, UnixSeconds, Xbzz,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// One item of a purchase.
pub(crate) type Item = Result<BuyingProgress, BuyingError>;

/// A buyer that answers every purchase with the same script.
#[derive(Debug, Default)]
pub(crate) struct ScriptedBuyer {
    /// What `open` fails with.
    pub(crate) refusal: Mutex<Option<BuyingError>>,
    /// What every stream begins with.
    pub(crate) script: Mutex<Vec<Item>>,
    /// Whether streams stay open after their script.
    pub(crate) stays_open: Mutex<bool>,
    /// What was asked for.
    pub(crate) calls: Mutex<Vec<BuyAnswer>>,
    /// The open end of each stream: feeds it, and tells whether the edge still listens.
    pub(crate) streams: Mutex<Vec<UnboundedSender<Item>>>,
}

impl ScriptedBuyer {
    /// Answers with these items and ends.
    pub(crate) fn plays(&self, script: Vec<Item>) {
        *self.script.lock().unwrap() = script;
        *self.stays_open.lock().unwrap() = false;
    }

    /// Answers with these items and then says nothing more by itself.
    pub(crate) fn plays_and_waits(&self, script: Vec<Item>) {
        self.plays(script);
        *self.stays_open.lock().unwrap() = true;
    }

    /// How many purchases were begun.
    pub(crate) fn begun(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// How many purchases the edge still listens to; meaningful while streams stay open.
    pub(crate) fn listened_to(&self) -> usize {
        self.streams.lock().unwrap().iter().filter(|stream| !stream.is_closed()).count()
    }

    /// Says something in the purchase that was begun as number `index`.
    pub(crate) fn say(&self, index: usize, item: Item) {
        send(&self.streams.lock().unwrap()[index], item);
    }
}

/// An answer's end is followed by what it cost, as a real buyer says it.
fn send(stream: &UnboundedSender<Item>, item: Item) {
    let is_end = matches!(item, Ok(BuyingProgress::Piece(Piece::End(_))));
    stream.send(item).unwrap();
    if is_end {
        stream.send(bought()).unwrap();
    }
}

#[async_trait]
impl ServeStream<BuyAnswer> for ScriptedBuyer {
    async fn open(&self, call: BuyAnswer) -> Result<ItemStream<BuyAnswer>, BuyingError> {
        if let Some(refusal) = self.refusal.lock().unwrap().clone() {
            self.calls.lock().unwrap().push(call);
            return Err(refusal);
        }
        let (sender, mut receiver) = unbounded_channel();
        for item in self.script.lock().unwrap().iter() {
            send(&sender, item.clone());
        }
        if *self.stays_open.lock().unwrap() {
            self.streams.lock().unwrap().push(sender);
        }
        self.calls.lock().unwrap().push(call);
        Ok(Box::pin(stream::poll_fn(move |context| receiver.poll_recv(context))))
    }
}

/// A watcher that knows what it is told.
#[derive(Debug)]
pub(crate) struct ScriptedWatcher {
    pub(crate) models: Mutex<Result<Vec<ModelListing>, WatcherError>>,
    pub(crate) head: Mutex<Result<Head, WatcherError>>,
    pub(crate) providers: Mutex<Vec<ProviderListing>>,
    pub(crate) asked: AtomicUsize,
}

impl Default for ScriptedWatcher {
    fn default() -> Self {
        let listing = |name: &str, providers, input, output, max_context_tokens| ModelListing {
            model: name.parse().unwrap(),
            providers,
            cheapest: TokenPrices { input: Xbzz::from_plur(input), output: Xbzz::from_plur(output) },
            max_context_tokens,
        };
        let models = vec![
            listing("llama3:8b", 2, 3_000_000_000_000_000, 15_000_000_000_000_000, 8192),
            listing("org/qwen 2.5%", 1, 1, 0, 0),
        ];
        let head = Head { block: 7, timestamp: UnixSeconds::new(1), age_ms: 4_000, is_registry_read: true };
        Self {
            models: Mutex::new(Ok(models)),
            head: Mutex::new(Ok(head)),
            providers: Mutex::default(),
            asked: AtomicUsize::new(0),
        }
    }
}

impl ScriptedWatcher {
    /// Lists one provider with this model, silent for so long.
    pub(crate) fn lists_away(&self, model: &str, silent_s: u64, active: bool) {
        let prices = TokenPrices { input: Xbzz::from_plur(1), output: Xbzz::from_plur(1) };
        let offering = ListedOffering { model: model.parse().unwrap(), prices, max_context_tokens: 0 };
        *self.providers.lock().unwrap() = vec![ProviderListing {
            provider: provider(),
            sealing_key: EncryptionKey::new([1; 32]),
            overlay: Overlay::new([2; 32]),
            metadata_uri: String::new(),
            stake: Xbzz::from_whole(10),
            min_stake: Xbzz::from_whole(1),
            active,
            live: false,
            last_heartbeat: UnixSeconds::new(1_800_000_000 - silent_s),
            total_jobs: 0,
            successful_jobs: 0,
            open_jobs: 0,
            max_concurrent_jobs: 1,
            offerings: vec![offering],
        }];
    }
}

#[async_trait]
impl Serve<ListProviders> for ScriptedWatcher {
    async fn ask(&self, _: ListProviders) -> Result<Vec<ProviderListing>, WatcherError> {
        Ok(self.providers.lock().unwrap().clone())
    }
}

#[async_trait]
impl Serve<ListModels> for ScriptedWatcher {
    async fn ask(&self, _: ListModels) -> Result<Vec<ModelListing>, WatcherError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.models.lock().unwrap().clone()
    }
}

#[async_trait]
impl Serve<GetHead> for ScriptedWatcher {
    async fn ask(&self, _: GetHead) -> Result<Head, WatcherError> {
        self.head.lock().unwrap().clone()
    }
}

/// Questions that the edge never asks.
macro_rules! never_asked {
    ($($call:ty => $reply:ty),*) => {$(
        #[async_trait]
        impl Serve<$call> for ScriptedWatcher {
            async fn ask(&self, _: $call) -> Result<$reply, <$call as Call>::Error> {
                Err(WatcherError::NotReady)
            }
        }
    )*};
}

never_asked!(ListCandidates => Vec<Candidate>, GetJob => JobTerms, LookClosely => ());

#[async_trait]
impl ServeStream<WatchJobs> for ScriptedWatcher {
    async fn open(&self, _: WatchJobs) -> Result<ItemStream<WatchJobs>, WatcherError> {
        Err(WatcherError::NotReady)
    }
}

pub(crate) fn provider() -> Address {
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().unwrap()
}

pub(crate) fn selected() -> Item {
    let prices = TokenPrices { input: "0.3".parse().unwrap(), output: "1.5".parse().unwrap() };
    let max_payment = "0.0002079".parse().unwrap();
    Ok(BuyingProgress::Selected { provider: provider(), prices, max_payment })
}

pub(crate) fn posted() -> Item {
    Ok(BuyingProgress::Posted { job: JobId::new([0xab; 32]), transaction: TxHash::new([0xcd; 32]) })
}

pub(crate) fn answered(response: &str) -> Item {
    let whole = RawValue::from_string(response.to_owned()).unwrap();
    let usage = TokenUsage { prompt: 11, completion: 3 };
    Ok(BuyingProgress::Piece(Piece::End(End { whole: Some(whole.into()), usage })))
}

fn bought() -> Item {
    Ok(BuyingProgress::Bought(Bought {
        provider: provider(),
        job: Some(JobId::new([0xab; 32])),
        cost: Xbzz::from_plur(123_456_789),
        attempts: 2,
    }))
}

/// An answer as llama.cpp and Ollama give it.
pub(crate) const HELLO: &str = r#"{"id":"chatcmpl-9","object":"chat.completion","created":1800000005,"model":"llama3:8b","system_fingerprint":"fp_ollama","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there."},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}}"#;
