//! Apps that gave up waiting and ask again.

use std::time::Duration;

use reqwest::RequestBuilder;
use t4t_types::RequestId;

use crate::gateway::{Gateway, chat, eventually, streamed};
use crate::market::{HELLO, answered, selected};

fn ids(gateway: &Gateway) -> Vec<RequestId> {
    gateway.buyer.calls.lock().unwrap().iter().map(|call| call.id).collect()
}

/// Asks, and goes away before anything was answered.
async fn asks_and_leaves(gateway: &Gateway, request: RequestBuilder) {
    let before = gateway.buyer.begun();
    let asking = tokio::spawn(request.send());
    eventually("the purchase is begun", || gateway.buyer.begun() > before).await;
    asking.abort();
    eventually("the app is seen to be gone", || gateway.buyer.listened_to() == 0).await;
}

#[tokio::test]
async fn an_app_that_asks_again_after_its_timeout_joins_what_it_left() {
    for body in [chat(), streamed(serde_json::json!({}))] {
        let gateway = Gateway::start();
        gateway.buyer.plays_and_waits(vec![selected()]);
        asks_and_leaves(&gateway, gateway.post(&body)).await;
        asks_and_leaves(&gateway, gateway.post(&body).header("x-stainless-retry-count", "1")).await;
        gateway.buyer.plays(vec![answered(HELLO)]);
        let answer = gateway.post(&body).header("x-stainless-retry-count", "2").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap();
        gateway.post(&body).send().await.unwrap();
        let ids = ids(&gateway);
        assert!(ids[0] == ids[1] && ids[1] == ids[2], "three tries are one purchase: {ids:?}");
        assert_ne!(ids[2], ids[3], "its answer was read: the next one is another request");
    }
}

#[tokio::test]
async fn two_that_wait_for_the_same_are_two() {
    let gateway = Gateway::start();
    gateway.buyer.plays_and_waits(vec![selected()]);
    let first = tokio::spawn(gateway.post(&chat()).send());
    eventually("the first is begun", || gateway.buyer.begun() == 1).await;
    let second = tokio::spawn(gateway.post(&chat()).send());
    eventually("the second is begun", || gateway.buyer.begun() == 2).await;
    let ids = ids(&gateway);
    assert_ne!(ids[0], ids[1]);
    for (index, waiting) in [first, second].into_iter().enumerate() {
        gateway.buyer.say(index, answered(HELLO));
        assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn what_was_left_is_not_joined_by_another_body_another_key_or_too_late() {
    let gateway = Gateway::configured(|config| config.join_window = Some(Duration::from_secs(60)));
    gateway.buyer.plays_and_waits(vec![selected()]);
    let mut other = chat();
    other["temperature"] = serde_json::json!(1);
    asks_and_leaves(&gateway, gateway.post(&chat()).bearer_auth("a")).await;
    asks_and_leaves(&gateway, gateway.post(&other).bearer_auth("a")).await;
    asks_and_leaves(&gateway, gateway.post(&chat()).bearer_auth("b")).await;
    gateway.clock.advance(Duration::from_secs(60));
    asks_and_leaves(&gateway, gateway.post(&chat()).bearer_auth("a")).await;
    let mut ids = ids(&gateway);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn joining_can_be_off() {
    let gateway = Gateway::configured(|config| config.join_window = None);
    gateway.buyer.plays_and_waits(vec![selected()]);
    asks_and_leaves(&gateway, gateway.post(&chat())).await;
    asks_and_leaves(&gateway, gateway.post(&chat()).header("x-stainless-retry-count", "1")).await;
    let ids = ids(&gateway);
    assert_ne!(ids[0], ids[1]);
}
