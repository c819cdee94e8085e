//! Answers that are bought in chunks.

use reqwest::Response;
use serde_json::{Value, json};

use crate::gateway::{Gateway, chat, read, streamed};
use crate::market::{chunk, ended, selected};

fn part(delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({
        "id": "backend-7",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "/models/secret.gguf",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        "timings": {"ms": 1.5},
    })
}

/// Reads until the stream said this.
async fn until(response: &mut Response, said: &str) -> String {
    let mut text = String::new();
    while !text.contains(said) {
        let more = response.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&more).unwrap());
    }
    text
}

fn events(text: &str) -> Vec<Value> {
    let data = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn a_chunk_is_written_when_it_comes_and_under_the_streams_own_name() {
    let gateway = Gateway::start();
    gateway.buyer.plays_and_waits(vec![selected(), chunk(&part(&json!({"content": "Hel"}), None))]);
    let mut response = gateway.post(&streamed(json!({}))).send().await.unwrap();
    let mut text = until(&mut response, "Hel").await;
    gateway.buyer.say(0, chunk(&part(&json!({"content": "lo"}), Some("length"))));
    gateway
        .buyer
        .say(0, chunk(&json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})));
    gateway.buyer.say(0, ended());
    text.push_str(&response.text().await.unwrap());
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(!text.contains("secret") && !text.contains("backend-7") && !text.contains("usage"), "{text}");
    let events = events(&text);
    for field in ["id", "created", "model", "object"] {
        assert!(events.iter().all(|event| event[field] == events[0][field]), "{field} is the same in all");
    }
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "length");
    assert_eq!(events.last().unwrap()["timings"], json!({"ms": 1.5}), "all else is as it came");
}

#[tokio::test]
async fn chunks_end_with_a_reason_and_the_usage_that_was_asked_for() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![chunk(&part(&json!({"content": "hi"}), None)), ended()]);
    let text = gateway.transcript(&streamed(json!({"stream_options": {"include_usage": true}}))).await;
    let events = events(&text);
    let [.., end, usage] = events.as_slice() else { panic!("{text}") };
    assert_eq!(end["choices"][0]["finish_reason"], "stop");
    assert_eq!(usage["usage"], json!({"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}));
}

#[tokio::test]
async fn calls_that_nobody_asked_for_reach_no_app_in_chunks_either() {
    let gateway = Gateway::start();
    let delta = json!({"content": "hi", "tool_calls": [{"index": 0, "function": {"name": "rm"}}]});
    gateway.buyer.plays(vec![chunk(&part(&delta, None)), ended()]);
    let text = gateway.transcript(&streamed(json!({}))).await;
    assert!(text.contains(r#""content":"hi""#) && !text.contains("rm"), "{text}");
    let tools = json!({"tools": [{"type": "function", "function": {"name": "rm"}}]});
    let text = gateway.post(&streamed(tools)).send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#""name":"rm""#), "{text}");
}

#[tokio::test]
async fn a_chunk_that_is_none_ends_the_stream_with_an_error() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![chunk(&part(&json!({"content": "hi"}), None)), chunk(&json!("no")), ended()]);
    let text = gateway.transcript(&streamed(json!({}))).await;
    assert!(text.contains("unusable_answer") && !text.contains("[DONE]"), "{text}");
    let (status, body) = read(gateway.post(&chat()).send().await.unwrap()).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (502, &json!("no_answer")),
        "a plain request wants one object"
    );
}
