//! The older text completions.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::gateway::{Gateway, read};
use crate::market::{HELLO, answered, chunk, ended};

fn ask(gateway: &Gateway, fields: Value) -> RequestBuilder {
    let mut body = json!({"model": "llama3:8b", "prompt": "Say \"hello\"."});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let request = gateway.http.post(gateway.url("/v1/completions"));
    request.header("idempotency-key", body.to_string().len().to_string()).json(&body)
}

fn sent(gateway: &Gateway) -> Value {
    let call = gateway.buyer.calls.lock().unwrap().pop().unwrap();
    serde_json::from_str(call.request.json().as_str()).unwrap()
}

#[tokio::test]
async fn a_prompt_is_bought_as_a_chat_and_answered_as_a_text() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![answered(HELLO)]);
    for (fields, limit) in [
        (json!({}), 16),
        (json!({"prompt": ["Say \"hello\"."], "max_tokens": 5, "echo": false, "suffix": null}), 5),
    ] {
        let response = ask(&gateway, fields).send().await.unwrap();
        assert!(response.headers().contains_key("x-t4t-provider"));
        let (status, body) = read(response).await;
        assert_eq!(status, 200, "{body}");
        assert!(body["id"].as_str().unwrap().starts_with("cmpl-"));
        assert_eq!((&body["object"], &body["model"]), (&json!("text_completion"), &json!("llama3:8b")));
        let choice = json!({"text": "Hello there.", "index": 0, "logprobs": null, "finish_reason": "stop"});
        assert_eq!(body["choices"], json!([choice]));
        assert_eq!(body["usage"]["total_tokens"], 14);
        let messages = json!([{"role": "user", "content": "Say \"hello\"."}]);
        assert_eq!(sent(&gateway), json!({"model": "llama3:8b", "max_tokens": limit, "messages": messages}));
    }
}

#[tokio::test]
async fn a_text_comes_as_a_stream() {
    let gateway = Gateway::start();
    let part =
        json!({"choices": [{"index": 0, "delta": {"content": "Hello there."}, "finish_reason": "stop"}]});
    for script in [vec![answered(HELLO)], vec![chunk(&part), ended()]] {
        gateway.buyer.plays(script);
        let fields = json!({"stream": true, "stream_options": {"include_usage": true}});
        let text = ask(&gateway, fields).send().await.unwrap().text().await.unwrap();
        let events: Vec<Value> = text
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("data: {"))
            .map(|event| serde_json::from_str(&format!("{{{event}")).unwrap())
            .collect();
        assert!(events.iter().all(|event| event["object"] == "text_completion"), "{text}");
        let choices = || events.iter().filter_map(|event| event["choices"].get(0));
        let said: String = choices().filter_map(|choice| choice["text"].as_str()).collect();
        assert_eq!(said, "Hello there.");
        assert_eq!(choices().next_back().unwrap()["finish_reason"], "stop");
        assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 3);
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    }
}

#[tokio::test]
async fn what_a_chat_can_not_do_is_refused_by_its_name_before_it_is_paid() {
    let gateway = Gateway::start();
    for (fields, param) in [
        (json!({"suffix": "end"}), "suffix"),
        (json!({"echo": true}), "echo"),
        (json!({"best_of": 3}), "best_of"),
        (json!({"logprobs": 5}), "logprobs"),
        (json!({"messages": []}), "messages"),
        (json!({"prompt": null}), "prompt"),
        (json!({"prompt": ["a", "b"]}), "prompt"),
        (json!({"prompt": [1, 2]}), "prompt"),
        (json!({"prompt": []}), "prompt"),
        (json!({"max_tokens": "5"}), "max_tokens"),
        (json!({"model": null}), "model"),
    ] {
        let (status, body) = read(ask(&gateway, fields.clone()).send().await.unwrap()).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!(param)), "{fields}: {body}");
    }
    assert_eq!(gateway.buyer.begun(), 0);
}
