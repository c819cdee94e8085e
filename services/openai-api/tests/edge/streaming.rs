//! Answers that come as a stream.

use std::time::Duration;

use serde_json::{Value, json};
use t4t_api::job_dispatcher::{BuyingError, BuyingProgress};
use t4t_openai_api::ProgressMode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gateway::{Gateway, chat, eventually, read, streamed};
use crate::market::{HELLO, answered, posted, provider, selected};

fn retrying() -> Result<BuyingProgress, BuyingError> {
    Ok(BuyingProgress::Retrying { provider: provider(), reason: "bad\n</think> answer".into() })
}

fn whole_story(response: &str) -> Vec<Result<BuyingProgress, BuyingError>> {
    let waiting = Ok(BuyingProgress::Waiting { busy: 2 });
    vec![waiting, selected(), retrying(), selected(), posted(), Ok(BuyingProgress::Acked), answered(response)]
}

/// The chunks of a transcript; checks what holds for every stream that went well.
fn chunks(transcript: &str) -> Vec<Value> {
    let events: Vec<_> =
        transcript.split_terminator("\n\n").filter(|event| !event.starts_with(':')).collect();
    let (last, chunks) = events.split_last().unwrap();
    assert_eq!(*last, "data: [DONE]");
    let parse = |event: &&str| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
    let chunks: Vec<Value> = chunks.iter().map(parse).collect();
    for field in ["id", "created", "model", "object"] {
        assert!(chunks.iter().all(|chunk| chunk[field] == chunks[0][field]), "{field} is the same in all");
    }
    chunks
}

/// Everything a field of the deltas of one choice adds up to.
fn joined(chunks: &[Value], choice: u64, field: &str) -> String {
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
    let own = choices.filter(|one| one["index"] == choice);
    own.filter_map(|one| one["delta"][field].as_str()).collect()
}

#[tokio::test]
async fn progress_is_shown_as_reasoning() {
    let gateway = Gateway::start();
    gateway.buyer.plays(whole_story(HELLO));
    insta::assert_snapshot!(gateway.transcript(&streamed(json!({}))).await);
}

#[tokio::test]
async fn progress_is_shown_as_thoughts_that_the_models_own_join() {
    let gateway = Gateway::configured(|config| config.progress = ProgressMode::Think);
    let response = HELLO.replace("Hello there.", r"<think>\nhm\n</think>\n\nHello there.");
    gateway.buyer.plays(whole_story(&response));
    insta::assert_snapshot!(gateway.transcript(&streamed(json!({}))).await);
}

#[tokio::test]
async fn progress_can_be_off_and_usage_comes_when_asked_for() {
    let gateway = Gateway::configured(|config| config.progress = ProgressMode::Off);
    gateway.buyer.plays(whole_story(HELLO));
    let body = streamed(json!({"stream_options": {"include_usage": true}}));
    insta::assert_snapshot!(gateway.transcript(&body).await);
}

#[tokio::test]
async fn tool_calls_come_complete_and_without_progress() {
    let gateway = Gateway::start();
    let response = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[
        {"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"},"extra_content":{"signature":"SIG"}},
        {"function":{"name":"time","arguments":{"zone":"CET"}}},
        {"id":"call_3","type":"custom","custom":{"name":"sql","input":"select 1"}}]},
        "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}"#;
    gateway.buyer.plays(whole_story(response));
    let body = streamed(json!({"tools": [{"type": "function", "function": {"name": "weather"}}]}));
    let transcript = gateway.transcript(&body).await;
    assert!(transcript.contains(r#""extra_content":{"signature":"SIG"}"#), "{transcript}");
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn choices_logprobs_refusals_and_unknown_fields_are_passed_on() {
    let gateway = Gateway::start();
    let response = r#"{"choices":[
        {"index":0,"message":{"role":"assistant","content":"a b","annotations":[{"x":1.50}]},
         "logprobs":{"content":[{"token":"a","logprob":-0.10},{"token":" b","logprob":-0.2}]},"finish_reason":"length"},
        {"index":1,"message":{"role":"assistant","content":null,"refusal":"no"},"finish_reason":"stop"},
        {"index":2,"message":{"role":"assistant","content":"c","reasoning":"r"},"finish_reason":null}]}"#;
    gateway.buyer.plays(vec![selected(), answered(response)]);
    let body = streamed(json!({"n": 3, "logprobs": true, "response_format": {"type": "json_object"}}));
    insta::assert_snapshot!(gateway.transcript(&body).await);
}

#[tokio::test]
async fn the_models_reasoning_follows_the_networks() {
    let gateway = Gateway::start();
    let response =
        r#"{"choices":[{"message":{"content":"yes","reasoning_content":"hm"},"finish_reason":"stop"}]}"#;
    gateway.buyer.plays(vec![posted(), answered(response)]);
    let chunks = chunks(&gateway.transcript(&streamed(json!({}))).await);
    let reasoning = joined(&chunks, 0, "reasoning_content");
    assert!(reasoning.starts_with("t4t network:\n- payment in escrow"), "{reasoning}");
    assert!(reasoning.ends_with("\nmodel reasoning:\nhm"), "{reasoning}");
    assert_eq!(joined(&chunks, 0, "content"), "yes");
}

#[tokio::test]
async fn a_long_answer_comes_in_pieces_that_make_it_up() {
    let gateway = Gateway::start();
    let text = "Größe 猫 words and more ".repeat(20_000);
    let answer = json!({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]});
    gateway.buyer.plays(vec![selected(), answered(&answer.to_string())]);
    let chunks = chunks(&gateway.transcript(&streamed(json!({}))).await);
    assert_eq!(joined(&chunks, 0, "content"), text);
    assert!((100..800).contains(&chunks.len()), "{}", chunks.len());
}

#[tokio::test]
async fn an_error_before_the_first_content_has_its_own_status() {
    let gateway = Gateway::start();
    let busy = BuyingError::AllBusy { model: "llama3:8b".parse().unwrap(), retry_after_s: 30 };
    for before in
        [vec![Ok(BuyingProgress::Waiting { busy: 2 })], vec![selected(), posted(), retrying(), selected()]]
    {
        gateway.buyer.plays(before.into_iter().chain([Err(busy.clone())]).collect());
        let response = gateway.post(&streamed(json!({}))).send().await.unwrap();
        assert_eq!(response.headers()["retry-after"], "30");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.status(), 503);
    }
}

#[tokio::test]
async fn an_unusable_answer_before_the_stream_began_is_a_bad_gateway() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![selected(), answered(r#"{"choices":7}"#)]);
    let (status, body) = read(gateway.post(&streamed(json!({}))).send().await.unwrap()).await;
    assert_eq!((status, &body["error"]["code"]), (502, &json!("unusable_answer")));
}

/// The transcript of a stream that began before its purchase ended so.
async fn ends_late(end: Result<BuyingProgress, BuyingError>) -> String {
    let gateway = Gateway::start();
    gateway.buyer.plays_and_waits(vec![posted()]);
    let request = gateway.post(&streamed(json!({}))).header("idempotency-key", "golden");
    let response = gateway.begins(request).await;
    assert_eq!((response.status().as_u16(), gateway.buyer.listened_to()), (200, 1));
    gateway.buyer.say(0, end);
    let transcript = response.text().await.unwrap();
    // How often the clock was moved meanwhile is not the same each time.
    let transcript = transcript.replace(": keepalive\n\n", "");
    let created =
        serde_json::from_str::<Value>(transcript.lines().next().unwrap().strip_prefix("data: ").unwrap());
    transcript.replace(&created.unwrap()["created"].to_string(), "1800000000")
}

#[tokio::test]
async fn an_error_after_the_stream_began_ends_it_without_done() {
    let error = BuyingError::ProvidersFailed { attempts: 2, reason: "no acknowledgement in time".into() };
    insta::assert_snapshot!(ends_late(Err(error)).await);
}

#[tokio::test]
async fn an_unusable_answer_ends_a_stream_with_an_error() {
    let transcript = ends_late(answered(r#"{"choices":7}"#)).await;
    assert!(transcript.contains(r#""code":"unusable_answer""#), "{transcript}");
    assert!(!transcript.contains("[DONE]"));
}

#[tokio::test]
async fn an_answer_after_the_stream_began_follows_its_progress() {
    let transcript = ends_late(answered(HELLO)).await;
    let chunks = chunks(&transcript);
    assert!(joined(&chunks, 0, "reasoning_content").starts_with("t4t network:\n- payment in escrow"));
    assert_eq!(joined(&chunks, 0, "content"), "Hello there.");
}

#[tokio::test]
async fn http_1_0_is_answered_without_chunks() {
    let gateway = Gateway::start();
    gateway.buyer.plays(whole_story(HELLO));
    for stream in [true, false] {
        let body = if stream { streamed(json!({})) } else { chat() }.to_string();
        let mut client = TcpStream::connect(gateway.running.addr()).await.unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.0\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        client.write_all((head + &body).as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
        if stream {
            assert!(!head.to_lowercase().contains("content-length"), "{head}");
            assert_eq!(joined(&chunks(body), 0, "content"), "Hello there.");
        } else {
            assert_eq!(body, HELLO);
        }
    }
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_by_comments() {
    let gateway = Gateway::start();
    gateway.buyer.plays_and_waits(vec![selected()]);
    let mut response = gateway.begins(gateway.post(&streamed(json!({})))).await;
    let mut seen = String::new();
    while seen.matches(": keepalive\n\n").count() < 2 {
        tokio::select! {
            chunk = response.chunk() => seen.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap()),
            () = gateway.time_passes() => {}
        }
    }
    gateway.buyer.say(0, answered(HELLO));
    assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_stream_that_only_waits_begins_after_the_keep_alive_interval() {
    let gateway = Gateway::start();
    gateway.buyer.plays_and_waits(vec![Ok(BuyingProgress::Waiting { busy: 1 })]);
    let mut response = gateway.begins(gateway.post(&streamed(json!({})))).await;
    assert_eq!(response.status(), 200);
    let first = response.chunk().await.unwrap().unwrap();
    assert!(std::str::from_utf8(&first).unwrap().contains(r#""role":"assistant""#));
}

#[tokio::test]
async fn an_app_that_goes_away_drops_the_purchase() {
    let gateway = Gateway::start();
    gateway.buyer.plays_and_waits(vec![selected()]);
    let streaming = gateway.begins(gateway.post(&streamed(json!({})))).await;
    assert_eq!(gateway.buyer.listened_to(), 1);
    drop(streaming);
    eventually("the stream's purchase is dropped", || gateway.buyer.listened_to() == 0).await;

    let whole = tokio::spawn(gateway.post(&chat()).send());
    eventually("the purchase is begun", || gateway.buyer.begun() == 2).await;
    whole.abort();
    eventually("the whole answer's purchase is dropped", || gateway.buyer.listened_to() == 0).await;
}

#[tokio::test]
async fn a_purchase_that_never_ends_is_given_up() {
    let gateway = Gateway::configured(|config| config.max_wait = Duration::from_secs(100));
    gateway.buyer.plays_and_waits(vec![selected()]);
    let (status, body) = read(gateway.begins(gateway.post(&chat())).await).await;
    assert_eq!((status, &body["error"]["code"]), (504, &json!("timeout")));
    eventually("the purchase is dropped", || gateway.buyer.listened_to() == 0).await;
}
