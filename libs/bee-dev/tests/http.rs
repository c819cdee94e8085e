//! The API's statuses and JSON, as Bee words them.
#![expect(clippy::unwrap_used, reason = "a fixture that fails ends its test")]

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use t4t_bee_dev::{BeeDev, BeeDevConfig};
use t4t_clock::SystemClock;
use t4t_crypto::WalletKey;
use t4t_swarm::chunk::Chunk;
use t4t_swarm::soc::{Soc, feed_update_id};
use t4t_swarm::{Bee, BeeConfig};

const DAYS_30: u64 = 24_000 * 17_280 * 30;

struct Node {
    _network: BeeDev,
    url: String,
    http: Client,
}

impl Node {
    async fn start() -> Self {
        Self::with(BeeDevConfig { seed: Some(3), ..BeeDevConfig::default() }).await
    }

    async fn with(config: BeeDevConfig) -> Self {
        let network = BeeDev::start(config).await.unwrap();
        // Installs the TLS provider that any client needs.
        Bee::new(BeeConfig::new(network.urls()[0].parse().unwrap()), SystemClock::shared()).unwrap();
        Self { url: network.urls()[0].clone(), _network: network, http: Client::new() }
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    fn stamped(&self, method: Method, path: &str, batch: &str) -> RequestBuilder {
        self.call(method, path).header("swarm-postage-batch-id", batch)
    }

    async fn get(&self, path: &str) -> Response {
        self.call(Method::GET, path).send().await.unwrap()
    }

    async fn buy(&self, depth: u8) -> String {
        let bought =
            self.call(Method::POST, &format!("/stamps/{DAYS_30}/{depth}?label=x")).send().await.unwrap();
        assert_eq!(bought.status(), 201);
        bought.json::<Value>().await.unwrap()["batchID"].as_str().unwrap().to_owned()
    }
}

async fn refusal(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn error(code: u16, message: &str) -> (u16, Value) {
    (code, json!({ "code": code, "message": message }))
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_json() {
    let node = Node::start().await;
    assert_eq!(refusal(node.call(Method::GET, "/nowhere")).await, error(404, "Not Found"));
    let wrong = node.call(Method::DELETE, "/bytes").send().await.unwrap();
    assert_eq!(wrong.headers()["allow"], "POST");
    assert_eq!(wrong.status(), 405);
    assert_eq!(node.get("/").await.text().await.unwrap(), "Ethereum Swarm Bee\n");
    assert_eq!(node.get("/v1/status").await.status(), 200);
    assert_eq!(node.get("/v1/health").await.status(), 404);
}

#[tokio::test]
async fn health_names_a_version_that_clients_support() {
    let node = Node::start().await;
    let health: Value = node.get("/health").await.json().await.unwrap();
    assert_eq!(health["apiVersion"], "8.1.0");
    assert!(health["version"].as_str().unwrap().starts_with("2.8.1-"));
}

#[tokio::test]
async fn an_upload_without_a_good_batch_says_what_is_wrong_with_it() {
    let node = Node::with(BeeDevConfig {
        stamp_usable_delay: std::time::Duration::from_secs(600),
        ..BeeDevConfig::default()
    })
    .await;
    let none = refusal(node.call(Method::POST, "/bytes").body("x")).await;
    assert_eq!((none.0, &none.1["message"]), (400, &json!("invalid header params")));
    let unknown = node.stamped(Method::POST, "/bytes", &"ee".repeat(32)).body("x");
    assert_eq!(refusal(unknown).await, error(404, "batch with id not found"));
    let fresh = node.buy(20).await;
    let upload = node.stamped(Method::POST, "/bytes", &fresh).body("x");
    assert_eq!(refusal(upload).await, error(422, "batch not usable yet or does not exist"));
    let message = node.stamped(Method::POST, "/pss/send/t/00", &fresh).body("x");
    assert_eq!(refusal(message).await, error(400, "batch not usable yet"));
    let unknown = node.stamped(Method::POST, "/pss/send/t/00", &"ee".repeat(32)).body("x");
    assert_eq!(refusal(unknown).await, error(400, "batch not found"));
    assert_eq!(
        refusal(node.call(Method::GET, &format!("/stamps/{fresh}"))).await,
        error(400, "batch not usable")
    );
    let unknown = node.call(Method::GET, &format!("/stamps/{}", "ee".repeat(32)));
    assert_eq!(refusal(unknown).await, error(404, "issuer does not exist"));
}

#[tokio::test]
async fn a_bucket_that_is_full_answers_402() {
    let node = Node::start().await;
    let batch = node.buy(17).await;
    for text in ["a", "b"] {
        let sent = node.stamped(Method::POST, "/pss/send/t/abcd", &batch).body(text).send().await.unwrap();
        assert_eq!(sent.status(), 201);
        assert_eq!(sent.json::<Value>().await.unwrap(), json!({ "code": 201, "message": "Created" }));
    }
    let third = node.stamped(Method::POST, "/pss/send/t/abcd", &batch).body("c");
    assert_eq!(refusal(third).await, error(402, "batch is overissued"));
    let buckets: Value = node.get(&format!("/stamps/{batch}/buckets")).await.json().await.unwrap();
    assert_eq!(buckets["bucketUpperBound"], 2);
    assert_eq!(buckets["buckets"][0xabcd], json!({ "bucketID": 0xabcd, "collisions": 2 }));
    let stamp: Value = node.get(&format!("/stamps/{batch}")).await.json().await.unwrap();
    assert_eq!((&stamp["utilization"], &stamp["utilizationRatio"]), (&json!(2), &json!(1.0)));
    assert_eq!((&stamp["immutableFlag"], &stamp["bucketDepth"]), (&json!(true), &json!(16)));
    assert_eq!(stamp["amount"], DAYS_30.to_string());
}

#[tokio::test]
async fn messages_have_the_nodes_own_limits() {
    let node = Node::start().await;
    let batch = node.buy(20).await;
    let send = |path: &str, bytes| node.stamped(Method::POST, path, &batch).body(vec![1; bytes]);
    assert_eq!(refusal(send("/pss/send/t/00", 4001)).await, error(500, "pss send failed"));
    assert_eq!(refusal(send("/pss/send/t/00", 4097)).await.0, 413);
    assert_eq!(refusal(send("/pss/send/t/00112233", 1)).await.1["message"], "invalid path params");
    assert_eq!(refusal(send("/pss/send/t/00?recipient=02", 1)).await.1["message"], "invalid query params");
    assert_eq!(send("/pss/send/t/00,ff", 1).send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn purchases_are_checked_as_on_the_chain() {
    let node = Node::start().await;
    let buy = |path: &str| node.call(Method::POST, path);
    assert_eq!(refusal(buy(&format!("/stamps/{DAYS_30}/16"))).await, error(400, "invalid depth"));
    assert_eq!(
        refusal(buy("/stamps/1/20")).await,
        error(400, "insufficient amount for 24h minimum validity")
    );
    assert_eq!(refusal(buy(&format!("/stamps/{DAYS_30}/40"))).await, error(400, "out of funds"));
    let batch = node.buy(17).await;
    let deep = node.call(Method::PATCH, &format!("/stamps/topup/{batch}/{}", u64::MAX));
    assert_eq!(refusal(deep).await, error(402, "out of funds"));
    let label = node.call(Method::PATCH, &format!("/stamps/{batch}")).json(&json!({ "label": "new" }));
    assert_eq!(label.send().await.unwrap().status(), 200);
    let stamps: Value = node.get("/stamps").await.json().await.unwrap();
    assert_eq!(stamps["stamps"][0]["label"], "new");
    let batches: Value = node.get("/batches").await.json().await.unwrap();
    assert_eq!(batches["batches"][0]["batchID"], json!(batch));
}

#[tokio::test]
async fn a_second_transaction_at_once_is_refused() {
    let delay = std::time::Duration::from_millis(500);
    let node = Node::with(BeeDevConfig { transaction_delay: delay, ..BeeDevConfig::default() }).await;
    let path = format!("/stamps/{DAYS_30}/20");
    let (a, b) = tokio::join!(node.call(Method::POST, &path).send(), node.call(Method::POST, &path).send());
    let mut statuses = [a.unwrap().status().as_u16(), b.unwrap().status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 429]);
}

#[tokio::test]
async fn a_feed_answers_with_its_newest_update() {
    let node = Node::start().await;
    let batch = node.buy(20).await;
    let key = WalletKey::from_bytes(&[0x11; 32]).unwrap();
    let topic = [5; 32];
    let mut owner = String::new();
    for (index, text) in ["one", "two"].into_iter().enumerate() {
        let soc =
            Soc::sign(feed_update_id(&topic, index as u64), Chunk::content(text.as_bytes()).unwrap(), &key);
        owner = hex::encode(soc.owner().as_bytes());
        let path = format!("/soc/{owner}/{}?sig={}", hex::encode(soc.id()), hex::encode(soc.signature()));
        let forged =
            node.stamped(Method::POST, &path, &batch).body(Chunk::content(b"forged").unwrap().data().clone());
        assert_eq!(refusal(forged).await, error(401, "invalid chunk"));
        let sent = node
            .stamped(Method::POST, &path, &batch)
            .body(soc.wrapped().data().clone())
            .send()
            .await
            .unwrap();
        assert_eq!(sent.json::<Value>().await.unwrap()["reference"], soc.address().to_string());
        let whole = node.get(&format!("/chunks/{}", soc.address())).await.bytes().await.unwrap();
        assert_eq!(whole, soc.to_bytes());
    }
    let newest = node.get(&format!("/feeds/{owner}/{}", hex::encode(topic))).await;
    assert_eq!(newest.headers()["swarm-feed-index"], "0000000000000001");
    assert_eq!(newest.headers()["swarm-feed-index-next"], "0000000000000002");
    assert_eq!(newest.text().await.unwrap(), "two");
    let none = node.call(Method::GET, &format!("/feeds/{owner}/{}", "06".repeat(32)));
    assert_eq!(refusal(none).await, error(404, "no update found"));
}

#[tokio::test]
async fn content_is_read_in_ranges_and_measured() {
    let node = Node::start().await;
    let batch = node.buy(20).await;
    let stored = node.stamped(Method::POST, "/bytes", &batch).body(vec![7; 5000]).send().await.unwrap();
    let tag = stored.headers()["swarm-tag"].to_str().unwrap().to_owned();
    let reference = stored.json::<Value>().await.unwrap()["reference"].as_str().unwrap().to_owned();
    let tag: Value = node.get(&format!("/tags/{tag}")).await.json().await.unwrap();
    assert_eq!((&tag["split"], &tag["synced"]), (&json!(3), &json!(3)));
    let path = format!("/bytes/{reference}");
    let part = node.call(Method::GET, &path).header("range", "bytes=10-19").send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.bytes().await.unwrap().len()), (206, 10));
    let head = node.call(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "5000");
    let bad = node.call(Method::GET, &path).header("swarm-chunk-retrieval-timeout", "5000");
    assert_eq!(refusal(bad).await, error(400, "could not parse headers"));
    let steward: Value = node.get(&format!("/stewardship/{reference}")).await.json().await.unwrap();
    assert_eq!(steward["isRetrievable"], true);
    let level = node.stamped(Method::POST, "/bytes", &batch).header("swarm-redundancy-level", "5").body("x");
    assert_eq!(refusal(level).await.1["message"], "invalid header params");
}

#[tokio::test]
async fn a_chunk_stamped_in_advance_is_taken() {
    let node = Node::start().await;
    let batch = node.buy(20).await;
    let chunk = Chunk::content(b"stamped elsewhere").unwrap();
    let envelope = node.stamped(Method::POST, &format!("/envelope/{}", chunk.address()), &batch);
    let envelope: Value = envelope.send().await.unwrap().json().await.unwrap();
    let part = |name: &str| envelope[name].as_str().unwrap().to_owned();
    let stamp = [batch, part("index"), part("timestamp"), part("signature")].concat();
    let post = |stamp: &str, body: &Chunk| {
        node.call(Method::POST, "/chunks").header("swarm-postage-stamp", stamp).body(body.data().clone())
    };
    assert_eq!(post(&stamp, &chunk).send().await.unwrap().status(), 201);
    let other = Chunk::content(b"another").unwrap();
    assert_eq!(refusal(post(&stamp, &other)).await, error(400, "invalid stamp"));
}

#[tokio::test]
async fn faults_are_read_and_set_over_http() {
    let node = Node::start().await;
    let faults: Value = node.get("/dev/faults").await.json().await.unwrap();
    assert_eq!(faults["drop_messages"], 0.0);
    let set = node.call(Method::PUT, "/dev/faults").json(&json!({ "stamp_full": true, "empty_frames": 2 }));
    assert_eq!(set.send().await.unwrap().status(), 200);
    let batch = node.buy(20).await;
    let upload = node.stamped(Method::POST, "/bytes", &batch).body("x");
    assert_eq!(refusal(upload).await, error(402, "batch is overissued"));
    assert_eq!(refusal(node.call(Method::PUT, "/dev/faults").body(r#"{"typo":1}"#)).await.0, 400);
}

#[tokio::test]
async fn an_update_of_a_single_owner_chunk_reaches_its_listeners() {
    let node = Node::start().await;
    let batch = node.buy(20).await;
    let key = WalletKey::from_bytes(&[0x22; 32]).unwrap();
    let soc = |text: &str| Soc::sign([9; 32], Chunk::content(text.as_bytes()).unwrap(), &key);
    let limit = std::time::Duration::from_secs(30);
    let listener = Bee::new(BeeConfig::new(node.url.parse().unwrap()), SystemClock::shared()).unwrap();
    let mut updates = listener.subscribe_chunk(&soc("").address());
    updates.wait_connected(limit).await.unwrap();
    for text in ["one", "two"] {
        let soc = soc(text);
        let owner = hex::encode(soc.owner().as_bytes());
        let path = format!("/soc/{owner}/{}?sig={}", hex::encode(soc.id()), hex::encode(soc.signature()));
        let sent = node
            .stamped(Method::POST, &path, &batch)
            .body(soc.wrapped().data().clone())
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 201);
        let update = t4t_clock::timeout(&SystemClock, limit, updates.next()).await.unwrap().unwrap();
        assert_eq!(update, text);
    }
}
