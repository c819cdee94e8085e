//! A chain with the market, a proxy in front of it that fails on demand, and settlement services.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use bytes::Bytes;
use serde_json::{Value, json};
use t4t_api::Settlement;
use t4t_api::settlement::{
    AwaitTransaction, EscrowIntent, SettlementError, SubmitTransaction, TransactionIntent, TransactionKey,
    TransactionOutcome, TransactionStatus,
};
use t4t_chain::contracts::{JobOrder, Registration};
use t4t_chain::{Rpc, RpcConfig, deploy};
use t4t_clock::{Clock, SystemClock};
use t4t_crypto::WalletKey;
use t4t_settlement::{Pace, Running, SettlementConfig, SettlementDeps, SettlementService};
use t4t_store::Store;
use t4t_store::transactions::TransactionScope;
use t4t_testkit::anvil::{Anvil, AnvilConfig, Market};
use t4t_types::{Address, EncryptionKey, JobId, Overlay, SwarmRef, UnixSeconds, Xbzz};
use url::Url;

/// The gateway's wallet.
pub(crate) const CLIENT: u32 = 0;
/// The provider's wallet.
pub(crate) const PROVIDER: u32 = 1;

/// What a test's job costs at most.
pub(crate) const PRICE: Xbzz = Xbzz::from_plur(100_000_000_000_000);

/// A pace at which a test does not wait.
pub(crate) const FAST: Pace = Pace {
    head_refresh: Duration::from_millis(50),
    idle_refresh: Duration::from_millis(150),
    resend_after: Duration::from_millis(400),
    bump_after_blocks: 3,
    confirmations: 4,
};

/// What the proxy does with transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Sends {
    /// Hands them on.
    Pass = 0,
    /// Refuses them before the node sees them.
    Block = 1,
    /// Hands them on and loses the answer.
    LoseAnswer = 2,
    /// Hands them on, says that their nonce is used, and knows nothing of them ever after.
    Deny = 3,
    /// Hands them on, and says of each that it failed.
    Fail = 4,
}

/// What a lying node makes of a true answer.
fn lie(mode: u8, question: &Value, answer: &mut Value) {
    let method = question["method"].as_str().unwrap_or_default();
    let is_about_one = matches!(method, "eth_getTransactionByHash" | "eth_getTransactionReceipt");
    if mode == Sends::Deny as u8 && method == "eth_sendRawTransaction" {
        let error = json!({"code": -32000, "message": "nonce too low"});
        *answer = json!({"jsonrpc": "2.0", "id": question["id"], "error": error});
    } else if mode == Sends::Deny as u8 && is_about_one {
        answer["result"] = Value::Null;
    } else if mode == Sends::Fail as u8 && answer["result"]["status"].is_string() {
        answer["result"]["status"] = json!("0x0");
        answer["result"]["logs"] = json!([]);
    }
}

/// A proxy in front of the node.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) url: Url,
    mode: Arc<AtomicU8>,
    is_cut: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(node: Url) -> Self {
        let mode = Arc::new(AtomicU8::new(0));
        let sent = Arc::new(Mutex::new(Vec::new()));
        let is_cut = Arc::new(AtomicBool::new(false));
        let http = reqwest::Client::new();
        let shared = (node, Arc::clone(&mode), Arc::clone(&is_cut), Arc::clone(&sent), http);
        let server = HttpServer::new(move || {
            let shared = shared.clone();
            App::new().route(
                "/",
                web::post().to(move |body: Bytes| {
                    let (node, mode, is_cut, sent, http) = shared.clone();
                    async move {
                        match is_cut.load(Ordering::SeqCst) {
                            true => HttpResponse::BadGateway().finish(),
                            false => forward(node, &mode, &sent, &http, body).await,
                        }
                    }
                }),
            )
        });
        let server = server.workers(1).bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", server.addrs()[0]).parse().unwrap();
        actix_web::rt::spawn(server.run());
        Self { url, mode, is_cut, sent }
    }

    pub(crate) fn set(&self, mode: Sends) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }

    /// Whether it refuses everything.
    pub(crate) fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }

    /// Transactions that settlement tried to send, oldest first, as hexadecimal text.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

async fn forward(
    node: Url,
    mode: &AtomicU8,
    sent: &Mutex<Vec<String>>,
    http: &reqwest::Client,
    body: Bytes,
) -> HttpResponse {
    let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_send = parsed["method"] == "eth_sendRawTransaction";
    let mode = mode.load(Ordering::SeqCst);
    if is_send {
        sent.lock().unwrap().push(parsed["params"][0].as_str().unwrap().to_owned());
    }
    if is_send && mode == Sends::Block as u8 {
        return HttpResponse::BadGateway().finish();
    }
    let request = http.post(node).header("content-type", "application/json").body(body);
    let answer = request.send().await.unwrap().bytes().await.unwrap();
    if is_send && mode == Sends::LoseAnswer as u8 {
        return HttpResponse::BadGateway().finish();
    }
    let mut told: Value = serde_json::from_slice(&answer).unwrap_or_default();
    match (&parsed, &mut told) {
        (Value::Array(questions), Value::Array(answers)) => {
            questions.iter().zip(answers).for_each(|(question, answer)| lie(mode, question, answer));
        }
        (question, answer) => lie(mode, question, answer),
    }
    let answer = told.to_string();
    HttpResponse::Ok().content_type("application/json").body(answer)
}

/// A chain with the market on it.
pub(crate) struct World {
    pub(crate) anvil: Anvil,
    pub(crate) market: Market,
    pub(crate) proxy: Proxy,
    folder: tempfile::TempDir,
    next_request: AtomicU64,
}

impl World {
    /// A chain that mines at once.
    pub(crate) async fn new() -> Self {
        // An error means that it is installed already.
        let _ = t4t_api::HttpClient::new(t4t_api::HttpClientConfig {
            service: "none",
            url: "http://127.0.0.1:1".parse().unwrap(),
            token: "none".into(),
        });
        let anvil = Anvil::start(AnvilConfig::default()).await.unwrap();
        let market = Market::deploy(&anvil).await.unwrap();
        let proxy = Proxy::start(anvil.rpc_url()).await;
        let folder = tempfile::tempdir().unwrap();
        Self { anvil, market, proxy, folder, next_request: AtomicU64::new(1) }
    }

    /// The same with a live provider.
    pub(crate) async fn with_provider() -> Self {
        let world = Self::new().await;
        let (rpc, key) = (world.anvil.rpc(), world.key(PROVIDER));
        let (token, registry) = (world.market.addresses.token(), world.market.addresses.registry());
        let stake = Xbzz::from_whole(1000);
        deploy::transact(rpc, &key, &token.approve(registry.address, stake)).await.unwrap();
        let registration = Registration {
            encryption_key: EncryptionKey::new([1; 32]),
            overlay: Overlay::new([2; 32]),
            metadata_uri: String::new(),
            stake,
        };
        deploy::transact(rpc, &key, &registry.register(&registration)).await.unwrap();
        world
    }

    pub(crate) fn key(&self, n: u32) -> WalletKey {
        self.anvil.dev_key(n)
    }

    pub(crate) fn wallet(&self, n: u32) -> Address {
        self.key(n).address()
    }

    pub(crate) fn config(&self) -> SettlementConfig {
        let config = SettlementConfig::new(self.anvil.chain_id(), self.market.addresses);
        SettlementConfig { pace: FAST, ..config }
    }

    /// A client of the chain through the proxy.
    pub(crate) fn rpc(&self) -> Rpc {
        let config = RpcConfig {
            deadline: Duration::from_secs(3),
            attempts: 2,
            backoff: Duration::from_millis(10),
            max_backoff: Duration::from_millis(50),
            ..RpcConfig::new([self.proxy.url.clone()])
        };
        Rpc::new(config, SystemClock::shared()).unwrap()
    }

    /// A client of the chain that prefers the proxy and knows the node as well.
    pub(crate) fn rpc_of_two(&self) -> Rpc {
        let config = RpcConfig {
            deadline: Duration::from_secs(3),
            ..RpcConfig::new([self.proxy.url.clone(), self.anvil.rpc_url()])
        };
        Rpc::new(config, SystemClock::shared()).unwrap()
    }

    pub(crate) fn scope(&self, n: u32) -> TransactionScope {
        TransactionScope { chain_id: self.anvil.chain_id(), wallet: self.wallet(n) }
    }

    pub(crate) async fn deps(&self, n: u32, rpc: Rpc) -> SettlementDeps {
        let market =
            t4t_store::Market { chain_id: self.anvil.chain_id(), escrow: self.market.addresses.escrow };
        let file = self.folder.path().join(format!("wallet-{n}.db"));
        let store = Store::open_for(&file, market).await.unwrap();
        SettlementDeps { rpc, store, wallet: self.key(n), clock: SystemClock::shared() }
    }

    /// Starts settlement for a wallet; once more after a stop or a crash.
    pub(crate) async fn start(&self, n: u32) -> Running {
        self.start_with(n, self.rpc()).await
    }

    /// The same through a given client.
    pub(crate) async fn start_with(&self, n: u32, rpc: Rpc) -> Running {
        let starting = SettlementService::start(self.config(), self.deps(n, rpc).await);
        can_move_to_another_thread(&starting);
        starting.await.unwrap()
    }

    /// Waits until settlement has read the newest block once more.
    pub(crate) async fn head_was_read(&self, rpc: &Rpc) {
        let reads = || rpc.counts().methods.get("eth_getBlockByNumber").copied().unwrap_or(0);
        let before = reads();
        // The one under way may have been asked before.
        eventually("the newest block was read", || async { reads() > before + 1 }).await;
    }

    /// A job for the provider that was not posted before.
    pub(crate) async fn job(&self) -> EscrowIntent {
        let number = self.next_request.fetch_add(1, Ordering::SeqCst);
        let mut request = [0xaa; 32];
        request[..8].copy_from_slice(&number.to_be_bytes());
        let now = self.anvil.rpc().latest_block().await.unwrap().timestamp;
        EscrowIntent::PostJob {
            provider: self.wallet(PROVIDER),
            request_hash: SwarmRef::new(request),
            model: "llama3:8b".parse().unwrap(),
            max_payment: PRICE,
            delivery_deadline: now.plus(3600),
        }
    }

    /// Jobs on the chain.
    pub(crate) async fn posted(&self) -> u64 {
        self.market.addresses.escrow().job_counter(self.anvil.rpc()).await.unwrap()
    }

    pub(crate) async fn ask(&self, method: &'static str, params: Value) -> Value {
        self.anvil.rpc().call(method, params).await.unwrap()
    }

    pub(crate) async fn set_next_base_fee(&self, wei: u128) {
        self.ask("anvil_setNextBlockBaseFeePerGas", json!([format!("{wei:#x}")])).await;
    }

    pub(crate) async fn now(&self) -> UnixSeconds {
        self.anvil.rpc().latest_block().await.unwrap().timestamp
    }
}

pub(crate) fn order_of(intent: &EscrowIntent) -> JobOrder {
    let EscrowIntent::PostJob { provider, request_hash, model, max_payment, delivery_deadline } = intent
    else {
        panic!("{intent:?} is no payment")
    };
    JobOrder {
        provider: *provider,
        request_hash: *request_hash,
        model: model.clone(),
        max_payment: *max_payment,
        delivery_deadline: *delivery_deadline,
    }
}

fn can_move_to_another_thread<T: Send>(_: &T) {}

pub(crate) type Answer = Result<TransactionStatus, SettlementError>;

pub(crate) async fn submit(
    settlement: &Arc<dyn Settlement>,
    key: &str,
    intent: impl Into<TransactionIntent>,
) -> Answer {
    settlement.ask(SubmitTransaction { key: TransactionKey::new(key), intent: intent.into() }).await
}

pub(crate) async fn outcome(settlement: &Arc<dyn Settlement>, key: &str) -> TransactionStatus {
    settlement.ask(AwaitTransaction { key: TransactionKey::new(key), wait_ms: 20_000 }).await.unwrap()
}

/// What is known now.
pub(crate) async fn known(settlement: &Arc<dyn Settlement>, key: &str) -> TransactionStatus {
    settlement.ask(AwaitTransaction { key: TransactionKey::new(key), wait_ms: 0 }).await.unwrap()
}

/// Submits, waits, and expects it to do its work.
pub(crate) async fn done(
    settlement: &Arc<dyn Settlement>,
    key: &str,
    intent: impl Into<TransactionIntent>,
) -> TransactionStatus {
    submit(settlement, key, intent).await.unwrap();
    let status = outcome(settlement, key).await;
    assert!(is_mined(&status), "{status:?}");
    status
}

pub(crate) fn is_mined(status: &TransactionStatus) -> bool {
    matches!(status.outcome, TransactionOutcome::Mined { .. })
}

pub(crate) fn job_of(status: &TransactionStatus) -> JobId {
    match status.outcome {
        TransactionOutcome::Mined { job: Some(job), .. } => job,
        _ => panic!("no job in {status:?}"),
    }
}

/// Waits until a condition holds, for at most 20 seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        SystemClock.sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came true that {what}");
}
