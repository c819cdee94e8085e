//! The runner in front of llama.cpp's own server.

#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use futures_util::StreamExt;
use rig::{BOTH, Rig, chat, config, content, endpoints};
use serde_json::{Value, json};
use t4t_api::inference_runner::{RunInference, RunnerError};
use t4t_inference_runner::RunnerConfig;
use t4t_testkit::llama::{LLAMA_MODEL, Llama};

fn config_for(llama: &Llama) -> RunnerConfig {
    config(&endpoints(&[llama.url()]))
}

fn tell(request: &Value, cap: Option<u64>) -> RunInference {
    let mut request = request.clone();
    request["messages"] = json!([{"role": "user", "content": "tell me a story"}]);
    request["temperature"] = json!(0);
    RunInference {
        model: LLAMA_MODEL.parse().unwrap(),
        max_completion_tokens: cap,
        time_limit_ms: 60_000,
        ..chat(request)
    }
}

#[actix_web::test]
async fn a_real_backend_streams_and_reports_what_is_billed() {
    let llama = Llama::start().await.unwrap();
    for way in BOTH {
        let rig = Rig::start(way, config_for(&llama)).await;
        let models = rig.status().await.models;
        assert_eq!(models.len(), 1);
        assert_eq!((models[0].model.as_str(), models[0].max_context_tokens), (LLAMA_MODEL, Some(2048)));
        let outcome = rig.run(tell(&json!({"max_tokens": 24}), None)).await;
        assert!(outcome.chunks.len() > 5, "{} chunks", outcome.chunks.len());
        let (response, prompt, completion) = outcome.answer();
        assert_eq!(completion, 24);
        assert!((10..60).contains(&prompt), "{prompt}");
        assert!(!content(&response).is_empty());
        assert_eq!(response["choices"][0]["finish_reason"], "length");
        assert_eq!(response["model"], LLAMA_MODEL);
    }
}

#[actix_web::test]
async fn the_cap_is_kept_to_the_token_whatever_the_app_asks_for() {
    let llama = Llama::start().await.unwrap();
    let rig = Rig::start(rig::Way::Mailbox, config_for(&llama)).await;
    let asks = [
        json!({}),
        json!({"max_tokens": 100}),
        json!({"max_completion_tokens": 100}),
        json!({"n_predict": 100}),
        json!({"max_tokens": -1}),
    ];
    for ask in asks {
        let (response, _, completion) = rig.run(tell(&ask, Some(17))).await.answer();
        assert_eq!((completion, &response["choices"][0]["finish_reason"]), (17, &json!("length")), "{ask}");
    }
}

#[actix_web::test]
async fn several_choices_share_the_cap() {
    let llama = Llama::start().await.unwrap();
    let rig = Rig::start(rig::Way::Mailbox, config_for(&llama)).await;
    let (response, _, completion) = rig.run(tell(&json!({"n": 2}), Some(20))).await.answer();
    assert_eq!(response["choices"].as_array().unwrap().len(), 2);
    assert!(completion <= 20, "{completion}");
}

#[actix_web::test]
async fn probabilities_and_a_schema_come_through() {
    let llama = Llama::start().await.unwrap();
    let rig = Rig::start(rig::Way::Mailbox, config_for(&llama)).await;
    let ask = json!({"max_tokens": 8, "logprobs": true, "top_logprobs": 2});
    let (response, ..) = rig.run(tell(&ask, None)).await.answer();
    let logprobs = response["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(logprobs.len(), 8);
    assert_eq!(logprobs[0]["top_logprobs"].as_array().unwrap().len(), 2);
    let schema = json!({"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"], "additionalProperties": false});
    let ask = json!({"max_tokens": 60, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}});
    let (response, ..) = rig.run(tell(&ask, None)).await.answer();
    let answer: Value = serde_json::from_str(content(&response)).unwrap();
    assert!(answer["yes"].is_boolean());
}

#[actix_web::test]
async fn a_prompt_that_is_too_long_is_refused_in_the_backends_words() {
    let llama = Llama::start().await.unwrap();
    for way in BOTH {
        let rig = Rig::start(way, config_for(&llama)).await;
        let mut call = tell(&json!({"max_tokens": 8}), None);
        let long = json!({"messages": [{"role": "user", "content": "x".repeat(20_000)}]});
        call.request = rig::read(&long);
        let error = rig.run(call).await.error();
        let RunnerError::Refused { refusal } = error else { panic!("{error:?}") };
        let message = refusal.message;
        assert_eq!(refusal.status, Some(400));
        assert!(message.contains("context"), "{message}");
    }
}

#[actix_web::test]
async fn a_cancelled_request_frees_the_real_backend() {
    let llama = Llama::start().await.unwrap();
    for way in BOTH {
        let mut config = config_for(&llama);
        config.slots = 1;
        let rig = Rig::start(way, config).await;
        let mut items = rig.runner.open(tell(&json!({}), None)).await.unwrap();
        assert!(items.next().await.unwrap().is_ok());
        drop(items);
        rig.assert_idle().await;
        let (_, _, completion) = rig.run(tell(&json!({"max_tokens": 3}), None)).await.answer();
        assert_eq!(completion, 3);
    }
}
