//! Answers that arrive, whatever form the backend gives them.

#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use rig::{BOTH, Rig, chat, config, content, endpoints, say};
use serde_json::{Value, json};
use t4t_api::inference_runner::RunnerError;
use t4t_inference::{InferenceRequest, Kind};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};

async fn each_way(behaviour: Behaviour, check: impl AsyncFn(&Rig, &ScriptedBackend)) {
    for way in BOTH {
        let backend = ScriptedBackend::start(behaviour.clone()).await.unwrap();
        let rig = Rig::start(way, config(&endpoints(&[backend.url()]))).await;
        check(&rig, &backend).await;
        rig.assert_idle().await;
    }
}

#[actix_web::test]
async fn a_good_stream_is_passed_on_and_put_together() {
    each_way(Behaviour::Good, async |rig, _| {
        let outcome = rig.run(say("one two three")).await;
        let counts: Vec<u64> = outcome.chunks.iter().map(|(_, counted)| *counted).collect();
        assert_eq!(counts, [0, 1, 2, 3, 3, 3]);
        let first: Value = serde_json::from_str(&outcome.chunks[1].0).unwrap();
        assert_eq!(first["choices"][0]["delta"]["content"], "one ");
        let (response, prompt, completion) = outcome.answer();
        assert_eq!((content(&response), prompt, completion), ("one two three ", 3, 3));
        assert_eq!(response["choices"][0]["finish_reason"], "stop");
        assert_eq!(response["id"], "chatcmpl-echo");
        assert_eq!(response["system_fingerprint"], "fp_echo");
    })
    .await;
}

#[actix_web::test]
async fn the_backend_sees_the_request_as_the_app_wrote_it_but_for_what_must_change() {
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    backend.require_key("sk-secret");
    backend.set_models(&["m"]);
    let files = json!([{"name": "a", "url": format!("{}v1/", backend.url()), "apiKey": "sk-secret"}]);
    let rig = Rig::start(rig::Way::Mailbox, config(&files)).await;
    let request = json!({"model": "x", "messages": [{"role": "user", "content": "hi"}], "top_k": 1, "nobody_knows": {"a": [1]},
        "max_completion_tokens": 90});
    let mut call = chat(request);
    call.model = "m".parse().unwrap();
    call.max_completion_tokens = Some(40);
    rig.run(call).await.answer();
    let sent = backend.last_request().unwrap();
    let expected = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "top_k": 1, "nobody_knows": {"a": [1]},
        "max_completion_tokens": 40, "max_tokens": 40, "stream": true, "stream_options": {"include_usage": true}});
    assert_eq!(sent.body, expected);
    assert!(sent.head.contains("Bearer sk-secret"));
}

#[actix_web::test]
async fn an_answer_in_one_piece_is_as_good_as_a_stream() {
    each_way(Behaviour::Whole, async |rig, _| {
        let outcome = rig.run(say("one two")).await;
        assert_eq!(outcome.chunks.len(), 1);
        let chunk: Value = serde_json::from_str(&outcome.chunks[0].0).unwrap();
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["choices"][0]["delta"]["content"], "one two ");
        let (response, prompt, completion) = outcome.answer();
        assert_eq!((content(&response), prompt, completion), ("one two ", 2, 2));
    })
    .await;
}

#[actix_web::test]
async fn a_backend_that_knows_no_stream_options_or_no_streams_is_asked_for_less() {
    for (behaviour, calls) in [(Behaviour::NoStreamOptions, 2), (Behaviour::NoStreaming, 3)] {
        each_way(behaviour, async |rig, backend| {
            let (response, prompt, completion) = rig.run(say("one two")).await.answer();
            assert_eq!((content(&response), completion), ("one two ", 2));
            assert!(prompt > 0);
            assert_eq!(backend.calls(), calls);
        })
        .await;
    }
}

#[actix_web::test]
async fn tool_calls_in_fragments_become_whole() {
    each_way(Behaviour::ToolCalls, async |rig, _| {
        let (response, _, completion) = rig.run(say("go")).await.answer();
        let call = |id: &str, name: &str, arguments: &str| {
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
        };
        let choice = &response["choices"][0];
        assert_eq!(
            choice["message"]["tool_calls"],
            json!([call("call_a", "first", "{\"x\":1}"), call("call_b", "second", "{}")])
        );
        assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &Value::Null));
        assert_eq!(completion, 4);
    })
    .await;
}

#[actix_web::test]
async fn an_answer_whose_end_is_not_marked_is_still_an_answer() {
    for behaviour in [Behaviour::NoFinishReason, Behaviour::NeverCloses, Behaviour::NotANumber] {
        each_way(behaviour.clone(), async |rig, _| {
            let outcome = rig.run(say("one two")).await;
            assert!(outcome.took.as_secs() < 4);
            let (response, prompt, completion) = outcome.answer();
            assert_eq!((content(&response), completion), ("one two ", 2), "{behaviour:?}");
            assert_eq!(response["choices"][0]["finish_reason"], "stop");
            assert!((1..20).contains(&prompt));
        })
        .await;
    }
}

#[actix_web::test]
async fn the_answer_of_another_model_is_not_sold_unless_the_operator_says_that_it_is_the_same() {
    each_way(Behaviour::WrongModel, async |rig, _| {
        let error = rig.run(say("one")).await.error();
        assert!(matches!(&error, RunnerError::Backend { reason } if reason.contains("answersAs")), "{error}");
    })
    .await;
    let backend = ScriptedBackend::start(Behaviour::WrongModel).await.unwrap();
    let files =
        json!([{"name": "a", "url": backend.url(), "models": {"echo": {"answersAs": "another-model"}}}]);
    let rig = Rig::start(rig::Way::Mailbox, config(&files)).await;
    let (response, _, completion) = rig.run(say("one")).await.answer();
    assert_eq!((&response["model"], completion), (&json!("another-model"), 1));
}

#[actix_web::test]
async fn what_the_backend_says_about_a_wrong_request_survives_word_for_word() {
    let text = "This model's maximum context length is 4096 tokens. However, you requested 5000.";
    let body = json!({"error": {"message": text, "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}});
    for status in [400, 404, 413, 422] {
        each_way(Behaviour::Refuse(status, body.to_string()), async |rig, backend| {
            let error = rig.run(say("hi")).await.error();
            let RunnerError::Refused { refusal } = error else { panic!("{error:?}") };
            assert_eq!((refusal.status, refusal.message.as_str()), (Some(status), text));
            assert_eq!(refusal.code.as_deref(), Some("context_length_exceeded"));
            assert_eq!(refusal.param.as_deref(), Some("messages"));
            assert_eq!(refusal.kind.as_deref(), Some("invalid_request_error"));
            // Once more without the limit that the app did not ask for.
            assert_eq!(backend.calls(), 2);
        })
        .await;
    }
    each_way(Behaviour::ErrorInStream, async |rig, _| {
        let RunnerError::Refused { refusal } = rig.run(say("hi")).await.error() else { panic!() };
        assert_eq!((refusal.status, refusal.message.as_str()), (Some(400), "the context is full"));
    })
    .await;
}

#[actix_web::test]
async fn a_refused_key_names_the_endpoint_and_shows_no_key() {
    for way in BOTH {
        let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
        let files = json!([{"name": "gpu", "url": backend.url(), "apiKey": "sk-wrong"}]);
        let rig = Rig::start(way, config(&files)).await;
        backend.require_key("sk-right");
        let error = rig.run(say("hi")).await.error().to_string();
        assert!(error.contains("endpoint gpu") && error.contains("apiKey"), "{error}");
        assert!(!error.contains("sk-") && !error.contains("127.0.0.1"), "{error}");
    }
}

#[actix_web::test]
async fn a_backend_that_repeats_its_key_does_not_give_it_away() {
    let body = json!({"error": {"message": "no model for key sk-secret"}}).to_string();
    let backend = ScriptedBackend::start(Behaviour::Refuse(400, body)).await.unwrap();
    let files = json!([{"name": "gpu", "url": backend.url(), "apiKey": "sk-secret"}]);
    let rig = Rig::start(rig::Way::Mailbox, config(&files)).await;
    let error = format!("{:?}", rig.run(say("hi")).await.error());
    assert!(error.contains("no model for key") && !error.contains("sk-secret"), "{error}");
}

#[actix_web::test]
async fn unknown_models_and_unreadable_requests_cost_no_backend() {
    each_way(Behaviour::Good, async |rig, backend| {
        let mut unknown = say("hi");
        unknown.model = "nobody has it".parse().unwrap();
        assert!(matches!(rig.run(unknown).await.error(), RunnerError::UnknownModel { .. }));
        let model = json!({"Model": "big:405b", "MAX_TOKENS": 100_000, "messages": []});
        let picture =
            json!([{"role": "user", "content": [{"type": "image", "image": "http://169.254.169.254/"}]}]);
        for request in [json!([]), json!(7), json!({"n": 1000}), model] {
            let unreadable = InferenceRequest::read(Kind::Chat, request.to_string().into()).unwrap_err();
            assert_eq!(unreadable.into_refusal().status, Some(400), "{request}");
        }
        let error = rig.run(chat(json!({ "messages": picture }))).await.error();
        assert!(
            matches!(&error, RunnerError::Refused { refusal } if refusal.status == Some(400)),
            "{error:?}"
        );
        assert_eq!(backend.calls(), 0);
    })
    .await;
}
