//! Slots: never more requests than there are, and each one back as soon as it is not needed.

#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::time::Duration;

use futures_util::StreamExt;
use rig::{BOTH, Rig, config, endpoints, eventually, impatient, say};
use t4t_api::inference_runner::{RunInference, RunnerError, RunnerStatus};
use t4t_api::{InferenceRunner, ItemStream};
use t4t_inference::Piece;
use t4t_testkit::backend::{Behaviour, ScriptedBackend};

const SECOND: Duration = Duration::from_secs(1);

async fn slow_backend() -> ScriptedBackend {
    let backend = ScriptedBackend::start(Behaviour::Endless).await.unwrap();
    backend.set_token_delay(Duration::from_millis(20));
    backend
}

async fn opened(runner: &dyn InferenceRunner, call: RunInference) -> ItemStream<RunInference> {
    let mut items = runner.open(call).await.unwrap();
    assert!(matches!(items.next().await, Some(Ok(Piece::Chunk(_)))));
    items
}

#[actix_web::test]
async fn a_request_beyond_the_slots_is_refused_at_once_and_the_status_still_answers() {
    for way in BOTH {
        let backend = slow_backend().await;
        let rig = Rig::start(way, config(&endpoints(&[backend.url()]))).await;
        let _first = opened(rig.runner.as_ref(), say("a")).await;
        let _second = opened(rig.runner.as_ref(), say("b")).await;
        for _ in 0..200 {
            assert_eq!(rig.run(say("c")).await.error(), RunnerError::Full { slots: 2 });
        }
        let RunnerStatus { slots, busy, .. } = rig.status().await;
        assert_eq!((slots, busy), (2, 2));
        assert_eq!(backend.calls(), 2);
    }
}

#[actix_web::test]
async fn a_caller_who_goes_away_frees_the_slot_and_stops_the_backend() {
    for way in BOTH {
        let backend = slow_backend().await;
        let rig = Rig::start(way, config(&endpoints(&[backend.url()]))).await;
        let items = opened(rig.runner.as_ref(), say("a")).await;
        drop(items);
        rig.assert_idle().await;
        eventually("cancelled call", SECOND, async || backend.cancelled() == 1).await;
    }
}

#[actix_web::test]
async fn a_caller_who_goes_away_before_the_first_token_frees_the_slot_too() {
    for way in BOTH {
        let backend = ScriptedBackend::start(Behaviour::HangBeforeHeaders).await.unwrap();
        let rig = Rig::start(way, config(&endpoints(&[backend.url()]))).await;
        let call = RunInference { time_limit_ms: 60_000, ..say("a") };
        let items = rig.runner.open(call).await.unwrap();
        eventually("call", SECOND, async || backend.open_calls() == 1).await;
        drop(items);
        rig.assert_idle().await;
        eventually("cancelled call", SECOND, async || backend.cancelled() == 1).await;
    }
}

#[actix_web::test]
async fn a_caller_who_does_not_read_holds_a_slot_no_longer_than_its_time() {
    for way in BOTH {
        let backend = ScriptedBackend::start(Behaviour::Endless).await.unwrap();
        let rig = Rig::start(way, config(&endpoints(&[backend.url()]))).await;
        let call = RunInference { time_limit_ms: 500, ..say("a") };
        let _unread = rig.runner.open(call).await.unwrap();
        eventually("free slot", Duration::from_millis(1500), async || rig.status().await.busy == 0).await;
        eventually("cancelled call", SECOND, async || backend.open_calls() == 0).await;
    }
}

#[actix_web::test]
async fn a_runner_that_stops_takes_nothing_new_and_lets_the_running_end() {
    for way in BOTH {
        let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
        backend.set_token_delay(Duration::from_millis(30));
        let rig = Rig::start(way, config(&endpoints(&[backend.url()]))).await;
        let items = opened(rig.runner.as_ref(), say("one two three")).await;
        let runner = rig.runner.clone();
        let rest = tokio::spawn(items.collect::<Vec<_>>());
        let stopping = tokio::spawn(rig.running.stop());
        eventually("refusal", SECOND, async || {
            matches!(runner.open(say("late")).await, Err(RunnerError::Transport { .. }))
        })
        .await;
        assert!(matches!(rest.await.unwrap().last(), Some(Ok(Piece::End(_)))));
        stopping.await.unwrap();
    }
}

#[actix_web::test]
async fn a_runner_that_stops_ends_what_takes_longer_than_the_grace_time() {
    for way in BOTH {
        let backend = slow_backend().await;
        let rig = Rig::start(way, impatient(config(&endpoints(&[backend.url()])))).await;
        let items = opened(rig.runner.as_ref(), say("a")).await;
        let rest = tokio::spawn(items.collect::<Vec<_>>());
        rig.running.stop().await;
        assert!(matches!(rest.await.unwrap().last(), Some(Err(RunnerError::Transport { .. }))));
        eventually("cancelled call", SECOND, async || backend.cancelled() == 1).await;
    }
}

#[actix_web::test]
async fn nobody_gets_in_without_the_token() {
    let backend = slow_backend().await;
    let rig = Rig::start(rig::Way::Http, config(&endpoints(&[backend.url()]))).await;
    let stranger = rig::client(rig.address.as_ref().unwrap(), "guessed");
    let refused = stranger.open(say("a")).await.err().unwrap();
    assert!(matches!(refused, RunnerError::Transport { .. }), "{refused:?}");
    assert_eq!(backend.calls(), 0);
}
