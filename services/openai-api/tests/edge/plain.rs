//! Answers that come whole.

use serde_json::json;
use t4t_api::job_dispatcher::{BuyingError, BuyingProgress};

use crate::gateway::{Gateway, chat, read, streamed};
use crate::market::{HELLO, answered, posted, selected};

#[tokio::test]
async fn a_whole_answer_is_passed_on_to_the_letter() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![selected(), posted(), Ok(BuyingProgress::Acked), answered(HELLO)]);
    let response = gateway.post(&chat()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("x-t4t-provider"), "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
    assert_eq!(header("x-t4t-job"), format!("0x{}", "ab".repeat(32)));
    assert_eq!(header("x-t4t-cost-plur"), "123456789");
    assert_eq!(header("x-t4t-attempts"), "2");
    assert_eq!(response.text().await.unwrap(), HELLO);
}

#[tokio::test]
async fn a_request_is_passed_on_to_the_letter() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![answered(HELLO)]);
    let body =
        r#"{"top_k":40, "model":"llama3:8b","seed":1.50,"messages":[{"role":"user","content":"h\u0069"}]}"#;
    let request = gateway.http.post(gateway.url("/v1/chat/completions")).body(body);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let calls = gateway.buyer.calls.lock().unwrap();
    assert_eq!(calls[0].request.json().as_str(), body);
    assert_eq!(calls[0].model.as_str(), "llama3:8b");
}

#[tokio::test]
async fn an_answer_that_is_no_chat_completion_is_a_bad_gateway() {
    let gateway = Gateway::start();
    for response in ["null", "{}", r#"{"choices":[]}"#, r#"{"error":{"message":"out of memory"}}"#] {
        gateway.buyer.plays(vec![answered(response)]);
        let (status, body) = read(gateway.post(&chat()).send().await.unwrap()).await;
        assert_eq!((status, &body["error"]["code"]), (502, &json!("unusable_answer")), "{response}");
    }
}

#[tokio::test]
async fn a_purchase_that_ends_without_an_answer_is_a_bad_gateway() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![selected()]);
    let (status, body) = read(gateway.post(&chat()).send().await.unwrap()).await;
    assert_eq!((status, &body["error"]["code"]), (502, &json!("no_answer")));
}

#[tokio::test]
async fn a_request_sent_again_with_its_key_is_the_same_request() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![answered(HELLO)]);
    for key in ["a", "a", "b"] {
        gateway.post(&chat()).header("idempotency-key", key).send().await.unwrap();
    }
    gateway.post(&chat()).send().await.unwrap();
    let ids: Vec<_> = gateway.buyer.calls.lock().unwrap().iter().map(|call| call.id).collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    assert_ne!(ids[2], ids[3]);
}

#[tokio::test]
async fn a_key_sent_with_another_body_is_a_conflict_that_is_not_tried_again() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![answered(HELLO)]);
    gateway.post(&chat()).header("idempotency-key", "a").send().await.unwrap();
    let mut other = chat();
    other["seed"] = json!(1);
    let response = gateway.post(&other).header("idempotency-key", "a").send().await.unwrap();
    assert_eq!(response.headers()["x-should-retry"], "false");
    insta::assert_json_snapshot!(read(response).await);
    assert_eq!(gateway.buyer.begun(), 1);
}

#[tokio::test]
async fn an_error_after_progress_still_has_its_status() {
    let gateway = Gateway::start();
    let error = BuyingError::ProvidersFailed { attempts: 3, reason: "no answer in time".into() };
    gateway.buyer.plays(vec![selected(), posted(), Err(error)]);
    let (status, body) = read(gateway.post(&chat()).send().await.unwrap()).await;
    assert_eq!((status, &body["error"]["code"]), (502, &json!("providers_failed")));
}

#[tokio::test]
async fn what_is_wrong_in_an_answer_reaches_no_app() {
    let gateway = Gateway::start();
    let call = r#"{"function":{"name":"f","arguments":{"a":1}}}"#;
    let answer = format!(
        r#"{{"id":"x","choices":[{{"index":0,"message":{{"role":"assistant","content":null,"tool_calls":[{call},{call}]}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":-5,"completion_tokens":1e300,"total_tokens":"many"}}}}"#
    );
    gateway.buyer.plays(vec![answered(&answer)]);
    let mut with_tools = chat();
    with_tools["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (status, body) = read(gateway.post(&with_tools).send().await.unwrap()).await;
        assert_eq!(status, 200);
        assert_eq!(
            (&body["usage"], &body["choices"][0]["finish_reason"]),
            (&json!(null), &json!("tool_calls"))
        );
        let calls = body["choices"][0]["message"]["tool_calls"].as_array().unwrap().clone();
        assert!(calls.iter().all(|call| call["type"] == "function"));
        assert!(calls.iter().all(|call| call["function"]["arguments"] == r#"{"a":1}"#));
        ids.extend(calls.iter().map(|call| call["id"].as_str().unwrap().to_owned()));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "two calls in each of two turns");
    let (status, body) = read(gateway.post(&chat()).send().await.unwrap()).await;
    assert_eq!((status, &body["error"]["code"]), (502, &json!("unusable_answer")), "nobody asked for calls");
}

#[tokio::test]
async fn an_answers_text_never_stands_in_an_error() {
    let gateway = Gateway::start();
    for answer in [
        r#"{"choices":"the secret text"}"#,
        r#"{"choices":[{"message":{"content":"fine","refusal":{"the secret text":1}}}]}"#,
        r#"{"choices":[{"message":{"tool_calls":"the secret text"}}]}"#,
        r#"{"choices":[{"index":"the secret text","message":{}}]}"#,
    ] {
        gateway.buyer.plays(vec![answered(answer)]);
        for body in [chat(), streamed(json!({}))] {
            let response = gateway.post(&body).send().await.unwrap();
            assert_eq!(response.status(), 502, "{answer}");
            let told = response.text().await.unwrap();
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
