//! Backends that hang, break, lie or never end: no claim above the runner's own count, no slot lost.

#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::time::Duration;

use rig::{BOTH, Outcome, PATIENCE, Rig, config, content, endpoints, impatient, say};
use t4t_api::inference_runner::{RunInference, RunnerError};
use t4t_inference_runner::RunnerConfig;
use t4t_testkit::backend::{Behaviour, ScriptedBackend};

const WORDS: &str = "one two three four five six seven eight nine ten";

async fn each_way(behaviour: Behaviour, check: impl AsyncFn(&Rig, &ScriptedBackend)) {
    each_way_with(behaviour, |config| config, check).await;
}

async fn each_way_with(
    behaviour: Behaviour,
    set: impl Fn(RunnerConfig) -> RunnerConfig,
    check: impl AsyncFn(&Rig, &ScriptedBackend),
) {
    for way in BOTH {
        let backend = ScriptedBackend::start(behaviour.clone()).await.unwrap();
        let mut config = set(config(&endpoints(&[backend.url()])));
        config.slots = 1;
        let rig = Rig::start(way, config).await;
        check(&rig, &backend).await;
        rig.assert_idle().await;
        backend.set(Behaviour::Good);
        assert!(rig.run(say("still there")).await.end.is_ok(), "{behaviour:?}");
    }
}

fn capped(words: &str, cap: u64) -> RunInference {
    RunInference { max_completion_tokens: Some(cap), ..say(words) }
}

/// What was billed is no more than what came.
fn assert_honest(outcome: Outcome) {
    let own_count = outcome.chunks.last().map_or(0, |(_, counted)| *counted);
    let (_, prompt, completion) = outcome.answer();
    assert!(completion <= own_count, "{completion} tokens billed, {own_count} counted");
    assert!(prompt < 30, "{prompt}");
}

fn assert_honest_ref(outcome: &Outcome) {
    let own_count = outcome.chunks.last().map_or(0, |(_, counted)| *counted);
    assert!(outcome.end.as_ref().unwrap().usage.completion <= own_count);
}

#[actix_web::test]
async fn a_backend_that_hangs_is_given_up_in_time() {
    for behaviour in [
        Behaviour::HangBeforeHeaders,
        Behaviour::HangAfter(0),
        Behaviour::HangAfter(3),
        Behaviour::OnlyComments,
    ] {
        each_way_with(behaviour.clone(), impatient, async |rig, backend| {
            let outcome = rig.run(say(WORDS)).await;
            assert!(
                outcome.took < PATIENCE + Duration::from_secs(1),
                "{behaviour:?} took {:?}",
                outcome.took
            );
            assert_eq!(outcome.error(), RunnerError::TimedOut);
            rig::eventually("cancelled call", Duration::from_secs(1), async || backend.open_calls() == 0)
                .await;
        })
        .await;
    }
}

#[actix_web::test]
async fn an_answer_that_is_not_finished_in_time_is_ended_there_and_sold_as_far_as_it_came() {
    each_way(Behaviour::Good, async |rig, backend| {
        backend.set_token_delay(Duration::from_millis(100));
        let call = RunInference { time_limit_ms: 350, ..say(WORDS) };
        let outcome = rig.run(call).await;
        assert!(!outcome.chunks.is_empty() && outcome.took < Duration::from_millis(1350));
        assert_honest_ref(&outcome);
        let (response, _, completion) = outcome.answer();
        assert_eq!(response["choices"][0]["finish_reason"], "length");
        assert!((1..10).contains(&completion) && content(&response).starts_with("one "), "{response}");
        backend.set_token_delay(Duration::ZERO);
    })
    .await;
}

#[actix_web::test]
async fn a_backend_that_refuses_work_is_blamed_for_it() {
    for (status, text) in [(500, "CUDA out of memory"), (302, ""), (404, "<html>")] {
        each_way(Behaviour::Refuse(status, text.into()), async |rig, _| {
            let error = rig.run(say(WORDS)).await.error();
            let RunnerError::Backend { reason } = &error else { panic!("{status}: {error:?}") };
            assert!(reason.contains("endpoint a") && reason.contains(text), "{reason}");
        })
        .await;
    }
}

#[actix_web::test]
async fn a_backend_that_can_not_take_it_now_says_so_with_its_status() {
    for (status, text) in [(429, "slow down"), (503, "loading")] {
        each_way(Behaviour::Refuse(status, text.into()), async |rig, _| {
            let error = rig.run(say(WORDS)).await.error();
            let RunnerError::Refused { refusal } = &error else { panic!("{status}: {error:?}") };
            assert_eq!((refusal.status, refusal.blames_request()), (Some(status), false));
            assert!(refusal.message.contains(text) && refusal.retry_after.is_some(), "{refusal:?}");
        })
        .await;
    }
}

#[actix_web::test]
async fn a_connection_reset_at_any_byte_loses_no_slot_and_bills_nothing_that_did_not_come() {
    for way in BOTH {
        let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
        let rig = Rig::start(way, config(&endpoints(&[backend.url()]))).await;
        let (mut broken, mut whole) = (0, 0);
        for byte in (1..3600).step_by(59) {
            backend.set(Behaviour::ResetAfter(byte));
            let outcome = rig.run(say(WORDS)).await;
            match outcome.end {
                Ok(_) => {
                    whole += 1;
                    assert_honest(outcome);
                }
                Err(RunnerError::Backend { .. }) => broken += 1,
                Err(other) => panic!("byte {byte}: {other:?}"),
            }
        }
        assert!(broken > 20 && whole > 3, "{broken} broken, {whole} whole");
        rig.assert_idle().await;
    }
}

#[actix_web::test]
async fn an_answer_that_stops_in_a_character_or_between_two_tokens_is_not_sold() {
    for behaviour in [Behaviour::CutInsideCharacter, Behaviour::EndsEarly] {
        each_way(behaviour, async |rig, _| {
            let outcome = rig.run(say(WORDS)).await;
            assert_eq!(outcome.chunks.len(), 11);
            assert!(matches!(outcome.error(), RunnerError::Backend { .. }));
        })
        .await;
    }
}

#[actix_web::test]
async fn a_usage_that_can_not_be_true_bills_the_own_count() {
    let number = |number: &str| {
        Behaviour::Usage(Some(format!("{{\"prompt_tokens\":{number},\"completion_tokens\":{number}}}")))
    };
    let lies = [
        Behaviour::Usage(None),
        Behaviour::UsageTimes(10),
        Behaviour::UsageTimes(1_000_000_000_000),
        number("-1"),
        number("99999999999999999999999999"),
        number("1e308"),
        number("NaN"),
        number("0.5"),
        number("0"),
        number("\"7\""),
        number("null"),
        Behaviour::Usage(Some("[]".into())),
    ];
    for lie in lies {
        each_way(lie.clone(), async |rig, _| {
            let outcome = rig.run(say(WORDS)).await;
            assert_eq!(outcome.end.as_ref().unwrap().usage.completion, 10, "{lie:?}");
            assert_honest(outcome);
        })
        .await;
    }
}

#[actix_web::test]
async fn a_hundred_megabytes_are_not_read() {
    let bodies = [
        (Behaviour::Bulk(100 << 20), false, "longer than"),
        (Behaviour::Bulk(100 << 20), true, "sent more than"),
        (Behaviour::BulkOfFields(100 << 20), false, "does not end"),
        (Behaviour::BulkOfFields(100 << 20), true, "sent more than"),
    ];
    for (behaviour, is_whole, reason) in bodies {
        each_way(behaviour, async |rig, backend| {
            backend.set_whole(is_whole);
            let error = rig.run(say(WORDS)).await.error();
            assert!(
                matches!(&error, RunnerError::Backend { reason: told } if told.contains(reason)),
                "{error:?}"
            );
            backend.set_whole(false);
        })
        .await;
    }
}

#[actix_web::test]
async fn a_stream_without_end_is_cut_where_the_payment_ends() {
    each_way(Behaviour::Endless, async |rig, backend| {
        let (response, _, completion) = rig.run(capped(WORDS, 20)).await.answer();
        assert_eq!(completion, 20);
        assert_eq!(response["choices"][0]["finish_reason"], "length");
        assert!(content(&response).len() < 40 * "and ".len());
        rig::eventually("cancelled call", Duration::from_secs(1), async || backend.cancelled() == 1).await;
    })
    .await;
}

#[actix_web::test]
async fn a_stream_without_end_and_without_cap_is_cut_at_the_longest_answer() {
    for way in BOTH {
        let backend = ScriptedBackend::start(Behaviour::Endless).await.unwrap();
        let mut config = config(&endpoints(&[backend.url()]));
        config.limits.max_answer_bytes = 4000;
        let rig = Rig::start(way, config).await;
        let outcome = rig.run(say(WORDS)).await;
        assert_honest(outcome);
        rig.assert_idle().await;
    }
}

#[actix_web::test]
async fn no_completion_is_billed_above_the_cap() {
    each_way(Behaviour::Good, async |rig, _| {
        let (response, _, completion) = rig.run(capped(WORDS, 4)).await.answer();
        assert_eq!((content(&response), completion), ("one two three four ", 4));
        assert_eq!(response["choices"][0]["finish_reason"], "length");
    })
    .await;
}
