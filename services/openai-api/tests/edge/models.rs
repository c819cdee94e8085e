//! The list of models.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use t4t_api::registry_watcher::WatcherError;

use crate::gateway::{Gateway, read};

#[tokio::test]
async fn the_list_says_what_apps_read() {
    let gateway = Gateway::start();
    insta::assert_json_snapshot!(read(gateway.get("/v1/models").send().await.unwrap()).await);
}

#[tokio::test]
async fn a_model_is_found_by_its_name_however_it_is_written_in_a_path() {
    let gateway = Gateway::start();
    for path in [
        "/v1/models/org/qwen%202.5%25",
        "/v1/models/org%2Fqwen%202.5%25",
        "/models/org/qwen%202.5%25/",
        "//models/org%2fqwen%202.5%25",
    ] {
        let (status, body) = read(gateway.get(path).send().await.unwrap()).await;
        assert_eq!((status, &body["id"]), (200, &json!("org/qwen 2.5%")), "{path}");
    }
    insta::assert_json_snapshot!(read(gateway.get("/v1/models/llama3:8b").send().await.unwrap()).await);
    insta::assert_json_snapshot!(read(gateway.get("/v1/models/llama4:8b").send().await.unwrap()).await);
}

#[tokio::test]
async fn head_is_answered_like_get_without_the_body() {
    let gateway = Gateway::start();
    for (path, expected) in [("/v1/models", 200), ("/v1/models/llama3:8b", 200), ("/v1/models/x", 404)] {
        let whole = gateway.get(path).send().await.unwrap();
        let head = gateway.http.request(Method::HEAD, gateway.url(path)).send().await.unwrap();
        assert_eq!(head.status(), expected, "{path}");
        assert_eq!(head.headers()["content-length"], whole.headers()["content-length"]);
        assert!(head.text().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_list_is_kept_for_its_time_and_shown_longer_when_none_can_be_had() {
    let gateway = Gateway::start();
    let ask = async || gateway.get("/v1/models").send().await.unwrap().status().as_u16();
    let asked = || gateway.watcher.asked.load(Ordering::SeqCst);
    assert_eq!((ask().await, ask().await, asked()), (200, 200, 1));
    gateway.clock.advance(Duration::from_secs(60));
    assert_eq!((ask().await, asked()), (200, 2));
    *gateway.watcher.models.lock().unwrap() = Err(WatcherError::NotReady);
    gateway.clock.advance(Duration::from_secs(60));
    assert_eq!((ask().await, asked()), (200, 3));
    gateway.clock.advance(Duration::from_secs(600));
    assert_eq!((ask().await, asked()), (503, 4));
}

#[tokio::test]
async fn a_list_that_was_never_read_is_not_ready() {
    let gateway = Gateway::start();
    *gateway.watcher.models.lock().unwrap() = Err(WatcherError::NotReady);
    let response = gateway.get("/v1/models").send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    insta::assert_json_snapshot!(read(response).await);
}

#[tokio::test]
async fn models_with_too_few_providers_are_not_listed() {
    let gateway = Gateway::configured(|config| config.min_providers = 2);
    let (_, body) = read(gateway.get("/v1/models").send().await.unwrap()).await;
    assert_eq!(body["data"].as_array().unwrap().len(), 1);
    assert_eq!(body["data"][0]["id"], "llama3:8b");
}

#[tokio::test]
async fn only_allowed_models_are_listed() {
    let gateway =
        Gateway::configured(|config| config.allowed_models = Some(vec!["llama3:8b".parse().unwrap()]));
    let (_, body) = read(gateway.get("/v1/models").send().await.unwrap()).await;
    assert_eq!(body["data"].as_array().unwrap().len(), 1);
}
