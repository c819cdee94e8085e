//! Health and readiness.

use serde_json::json;
use t4t_api::registry_watcher::{Head, WatcherError};
use t4t_types::UnixSeconds;

use crate::gateway::{Gateway, read};

#[tokio::test]
async fn readiness_waits_for_the_chain_and_says_why() {
    let gateway = Gateway::start();
    let ready = async || read(gateway.get("/ready").send().await.unwrap()).await;
    assert_eq!(ready().await, (200, json!({"ready": true, "reasons": []})));
    *gateway.watcher.head.lock().unwrap() = Err(WatcherError::NotReady);
    let reason = "the registry is still being read, try again in a moment";
    assert_eq!(ready().await, (503, json!({"ready": false, "reasons": [reason]})));
    let stale = Head { block: 7, timestamp: UnixSeconds::new(1), age_ms: 61_000, is_registry_read: true };
    *gateway.watcher.head.lock().unwrap() = Ok(stale);
    let reason = "the newest block 7 was seen 61 s ago";
    assert_eq!(ready().await, (503, json!({"ready": false, "reasons": [reason]})));
    let (status, body) = read(gateway.get("/health").send().await.unwrap()).await;
    assert_eq!((status, &body["status"]), (200, &json!("ok")));
}
