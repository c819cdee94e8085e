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
        assert_eq!(rig.models().await, ["a/echo", "b/echo", "small"]);
        let prices = TokenPrices { input: "0.3".parse::<Xbzz>().unwrap(), output: "1.5".parse().unwrap() };
        assert_eq!(rig.status().await.models[2].prices, Some(prices));
        assert_eq!(rig.status().await.models[0].prices, None);
        let (response, ..) = rig.run(call_for("b/echo")).await.answer();
        assert_eq!((&response["model"], first.calls(), second.calls()), (&json!("echo"), 0, 1));
        assert!(matches!(rig.run(call_for("echo")).await.error(), RunnerError::UnknownModel { .. }));
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
    assert!(matches!(rig.run(call_for("a/echo")).await.error(), RunnerError::BadRequest { .. }));
    assert_eq!((second.calls(), rig.models().await.len()), (0, 2));
}

#[actix_web::test]
async fn a_model_that_keeps_failing_is_not_offered_until_it_answers_again() {
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
    assert!(matches!(rig.run(say("hi")).await.error(), RunnerError::BadRequest { .. }));
    let is_gone = async || rig.models().await.is_empty().then_some(());
    eventually(PATIENCE, "its failure when it was tried", is_gone).await.unwrap();
}

#[actix_web::test]
async fn a_backend_that_is_gone_for_two_rounds_is_withdrawn() {
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    let rig = Rig::start(Way::Mailbox, config(&endpoints(&[backend.url()]))).await;
    backend.set_listing(Listing::Refuse(503));
    for offered in [1, 0, 0] {
        rig.running.discover().await;
        assert_eq!(rig.models().await.len(), offered);
    }
    backend.set_models(&["echo"]);
    rig.running.discover().await;
    assert_eq!(rig.models().await, ["echo"]);
}
