//! Which models are offered, under which names, and how a failing backend is worked around.

#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::time::{Duration, Instant};

use rig::{BOTH, PATIENCE, Rig, Way, config, content, endpoints, impatient, say};
use serde_json::json;
use t4t_api::inference_runner::{RunInference, RunnerError};
use t4t_testkit::backend::{Behaviour, Listing, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_types::{TokenPrices, Xbzz};

async fn two_backends() -> (ScriptedBackend, ScriptedBackend) {
    let first = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    let second = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    (first, second)
}

fn call_for(model: &str) -> RunInference {
    RunInference { model: model.parse().unwrap(), ..say("hello") }
}

#[actix_web::test]
async fn models_are_named_priced_and_found_where_they_are() {
    for way in BOTH {
        let (first, second) = two_backends().await;
        first.set_models(&["echo", "small"]);
        second.set_models(&["echo"]);
        let price = json!({"inputBzz": "0.3", "outputBzz": "1.5"});
        let files = json!([{"name": "a", "url": first.url(), "models": {"small": price}}, {"name": "b", "url": second.url()}]);
        let rig = Rig::start(way, config(&files)).await;
        assert_eq!(rig.models().await, ["a/echo", "b/echo", "echo", "small"]);
        let prices = TokenPrices { input: "0.3".parse::<Xbzz>().unwrap(), output: "1.5".parse().unwrap() };
        assert_eq!(rig.status().await.models[3].prices, Some(prices));
        assert_eq!(rig.status().await.models[0].prices, None);
        let (response, ..) = rig.run(call_for("b/echo")).await.answer();
        assert_eq!((&response["model"], first.calls(), second.calls()), (&json!("echo"), 0, 1));
        rig.run(call_for("echo")).await.answer();
        assert_eq!(first.calls() + second.calls(), 2);
    }
}

#[actix_web::test]
async fn the_context_that_a_backend_tells_is_told_on() {
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    let rig = Rig::start(Way::Mailbox, config(&endpoints(&[backend.url()]))).await;
    assert_eq!(rig.status().await.models[0].max_context_tokens, Some(4096));
}

#[actix_web::test]
async fn backends_that_do_not_list_their_models_hold_nobody_up() {
    let (first, second) = two_backends().await;
    first.set_listing(Listing::Hang);
    second.set_models(&["echo"]);
    let dead = "http://127.0.0.1:9".parse().unwrap();
    let started = Instant::now();
    let rig =
        Rig::start(Way::Mailbox, impatient(config(&endpoints(&[first.url(), second.url(), dead])))).await;
    assert!(started.elapsed() < PATIENCE + Duration::from_secs(1));
    assert_eq!(rig.models().await, ["echo"]);
    first.set_models(&["other"]);
    rig.running.discover().await;
    assert_eq!(rig.models().await, ["echo", "other"]);
}

#[actix_web::test]
async fn a_backend_that_fails_before_its_first_token_is_replaced_by_one_with_the_same_model() {
    for way in BOTH {
        for failure in
            [Behaviour::Refuse(500, "no".into()), Behaviour::HangBeforeHeaders, Behaviour::ResetAfter(20)]
        {
            let (first, second) = two_backends().await;
            first.set(failure);
            let rig = Rig::start(way, impatient(config(&endpoints(&[first.url(), second.url()])))).await;
            let (response, ..) = rig.run(call_for("a/echo")).await.answer();
            assert_eq!((content(&response), first.calls(), second.calls()), ("hello ", 1, 1));
        }
    }
}

#[actix_web::test]
async fn a_backend_that_fails_after_its_first_token_is_not_replaced() {
    for way in BOTH {
        let (first, second) = two_backends().await;
        first.set(Behaviour::EndsEarly);
        let rig = Rig::start(way, config(&endpoints(&[first.url(), second.url()]))).await;
        assert!(matches!(rig.run(call_for("a/echo")).await.error(), RunnerError::Backend { .. }));
        assert_eq!(second.calls(), 0);
    }
}

#[actix_web::test]
async fn a_wrong_request_is_not_tried_elsewhere() {
    let (first, second) = two_backends().await;
    first.set(Behaviour::Refuse(400, json!({"error": {"message": "no"}}).to_string()));
    let rig = Rig::start(Way::Mailbox, config(&endpoints(&[first.url(), second.url()]))).await;
    assert!(matches!(rig.run(call_for("a/echo")).await.error(), RunnerError::Refused { .. }));
    assert_eq!((second.calls(), rig.models().await.len()), (0, 3));
}

#[actix_web::test]
async fn a_model_that_keeps_failing_is_away_until_it_answers_again() {
    for way in BOTH {
        let backend = ScriptedBackend::start(Behaviour::Refuse(500, "no".into())).await.unwrap();
        let rig = Rig::start(way, config(&endpoints(&[backend.url()]))).await;
        for offered in [1, 1, 0] {
            assert!(rig.run(say("hi")).await.end.is_err());
            assert_eq!(rig.models().await.len(), offered);
        }
        let is_tried = async || (backend.calls() == 4).then_some(());
        eventually(PATIENCE, "a try at once", is_tried).await.unwrap();
        assert!(rig.models().await.is_empty());
        backend.set(Behaviour::Good);
        rig.running.discover().await;
        assert_eq!(rig.models().await, ["echo"]);
        assert_eq!(backend.last_request().unwrap().body["max_tokens"], 1);
        rig.running.discover().await;
        assert_eq!(backend.calls(), 5);
    }
}

#[actix_web::test]
async fn a_model_that_can_not_chat_is_not_offered() {
    let body = json!({"error": {"message": "\"echo\" does not support chat"}}).to_string();
    let backend = ScriptedBackend::start(Behaviour::Refuse(400, body)).await.unwrap();
    let rig = Rig::start(Way::Mailbox, config(&endpoints(&[backend.url()]))).await;
    assert!(matches!(rig.run(say("hi")).await.error(), RunnerError::Refused { .. }));
    let is_gone = async || rig.models().await.is_empty().then_some(());
    eventually(PATIENCE, "its failure when it was tried", is_gone).await.unwrap();
}

#[actix_web::test]
async fn a_backend_that_is_gone_for_two_rounds_is_away_and_its_model_stays_on_offer() {
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    let rig = Rig::start(Way::Mailbox, config(&endpoints(&[backend.url()]))).await;
    backend.set_listing(Listing::Refuse(503));
    for offered in [1, 0, 0] {
        rig.running.discover().await;
        assert_eq!(rig.models().await.len(), offered);
        assert_eq!(rig.status().await.models.len(), 1);
    }
    backend.set_models(&["echo"]);
    rig.running.discover().await;
    assert_eq!(rig.models().await, ["echo"]);
}

#[actix_web::test]
async fn one_name_that_the_market_does_not_take_leaves_the_others_on_offer() {
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    backend.set_models(&["m1", &format!("/models/{}.gguf", "x".repeat(115))]);
    let rig = Rig::start(Way::Mailbox, config(&endpoints(&[backend.url()]))).await;
    assert_eq!(rig.models().await, ["m1"]);
}

#[actix_web::test]
async fn a_backend_that_can_not_be_reached_or_is_busy_says_try_again() {
    for way in BOTH {
        let (first, second) = two_backends().await;
        let rig = Rig::start(way, config(&endpoints(&[first.url(), second.url()]))).await;
        drop(first);
        let (response, ..) = rig.run(call_for("a/echo")).await.answer();
        assert_eq!(content(&response), "hello ", "another backend has the model");
        second.set(Behaviour::Refuse(
            429,
            json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}).to_string(),
        ));
        let RunnerError::Refused { refusal } = rig.run(call_for("b/echo")).await.error() else { panic!() };
        assert!(matches!(refusal.status, Some(429 | 503)) && refusal.retry_after.is_some(), "{refusal:?}");
        assert!(!refusal.blames_request());
        drop(second);
        let RunnerError::Refused { refusal } = rig.run(call_for("echo")).await.error() else { panic!() };
        assert_eq!((refusal.status, refusal.retry_after.is_some()), (Some(503), true));
    }
}

#[actix_web::test]
async fn a_changed_list_of_backends_is_used_and_a_broken_one_is_not() {
    let (first, second) = two_backends().await;
    first.set_models(&["one"]);
    second.set_models(&["two"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endpoints.json");
    let write = |backend: &ScriptedBackend, price: &str| {
        let price = json!({"inputBzz": price, "outputBzz": "1.5"});
        let entries = json!([{"name": "a", "url": backend.url(), "models": {"one": price, "two": price}}]);
        std::fs::write(&file, entries.to_string()).unwrap();
        entries
    };
    let mut config = config(&write(&first, "0.3"));
    config.endpoints_file = Some(file.clone());
    config.limits.file_interval = Duration::from_millis(20);
    let rig = Rig::start(Way::Mailbox, config).await;
    let offered = async || {
        let status = rig.status().await;
        status
            .models
            .iter()
            .map(|model| (model.model.to_string(), model.prices.unwrap().input.to_string()))
            .collect::<Vec<_>>()
    };
    let shows = async |name: &str, price: &str| {
        (offered().await == [(name.to_owned(), price.to_owned())]).then_some(())
    };
    shows("one", "0.3").await.unwrap();
    write(&first, "0.4");
    eventually(PATIENCE * 20, "another price", async || shows("one", "0.4").await).await.unwrap();
    write(&second, "0.5");
    eventually(PATIENCE * 20, "another backend", async || shows("two", "0.5").await).await.unwrap();
    std::fs::write(&file, "[{").unwrap();
    rig.running.discover().await;
    shows("two", "0.5").await.unwrap();
    write(&second, "0.6");
    eventually(PATIENCE * 20, "the file mended", async || shows("two", "0.6").await).await.unwrap();
}
