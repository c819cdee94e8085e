//! Requests as HTTP: what can be wrong with them, and what every answer carries.

use reqwest::Method;
use serde_json::{Value, json};
use t4t_api::job_dispatcher::BuyingProgress;
use t4t_openai_api::{AllowedOrigins, ProgressMode};

use crate::gateway::{Gateway, chat, read, streamed};
use crate::market::{HELLO, answered, posted, selected};

#[tokio::test]
async fn what_is_wrong_with_a_body_is_said() {
    let gateway = Gateway::start();
    let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
    let bodies = [
        String::new(),
        "{\"model\":".into(),
        "[1]".into(),
        format!("{{{messages}}}"),
        format!(r#"{{"model":5,{messages}}}"#),
        r#"{"model":"m"}"#.into(),
        r#"{"model":"m","messages":"hi"}"#.into(),
        r#"{"model":"m","messages":[]}"#.into(),
        r#"{"model":"m","messages":[{"content":"hi"}]}"#.into(),
        format!(r#"{{"model":"m",{messages},"stream":"yes"}}"#),
        format!(r#"{{"model":"m",{messages},"max_tokens":1.5}}"#),
        format!(r#"{{"model":"m",{messages},"n":0}}"#),
        format!(r#"{{"model":"m",{messages},"x":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000)),
        format!(r#"{{"model":"m",{messages},"temperature":"hot"}}"#),
        format!(r#"{{"model":"m",{messages},"MAX_TOKENS":100000}}"#),
        format!(r#"{{"model":"m",{messages},"max_tokens":-5}}"#),
        r#"{"model":"m","messages":[{"role":"human","content":"hi"}]}"#.into(),
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/cat.png"}}]}]}"#.into(),
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}"#.into(),
    ];
    let mut told = Vec::new();
    for body in bodies {
        let request = gateway.http.post(gateway.url("/v1/chat/completions")).body(body);
        let (status, body) = read(request.send().await.unwrap()).await;
        assert_eq!(status, 400);
        told.push(body);
    }
    insta::assert_json_snapshot!(told);
    assert_eq!(gateway.buyer.begun(), 0);
}

#[tokio::test]
async fn what_frameworks_send_is_bought_as_it_was_meant() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![answered(HELLO)]);
    let with = |fields: &str, said: &str| {
        format!(r#"{{"model":"m", "messages":[{{"role":"user","content":"{said}"}}]{fields}}}"#)
    };
    for (body, sent) in [
        (with(r#","max_tokens":-1"#, "hi"), with(r#","max_tokens":null"#, "hi")),
        (with(r#","max_completion_tokens":0"#, "hi"), with(r#","max_completion_tokens":null"#, "hi")),
        (with(r#","max_tokens":64.0"#, "hi"), with(r#","max_tokens":64"#, "hi")),
        (with("", r"cut \ud83d"), with("", r"cut \ufffd")),
        (format!("\u{feff}{}", with("", "hi")), with("", "hi")),
    ] {
        let request = gateway.http.post(gateway.url("/v1/chat/completions")).body(body.clone());
        assert_eq!(request.send().await.unwrap().status(), 200, "{body}");
        assert_eq!(gateway.buyer.calls.lock().unwrap().pop().unwrap().request.json().as_str(), sent);
    }
}

#[tokio::test]
async fn the_progress_of_a_stream_is_not_sent_with_the_next_turn() {
    for mode in [ProgressMode::Reasoning, ProgressMode::Think] {
        let gateway = Gateway::configured(|config| config.progress = mode);
        gateway.buyer.plays(vec![selected(), posted(), Ok(BuyingProgress::Acked), answered(HELLO)]);
        let shown = gateway.transcript(&streamed(json!({}))).await;
        let mut answer = json!({"role": "assistant", "content": "", "reasoning_content": ""});
        for event in shown.split("\n\n").filter_map(|event| event.strip_prefix("data: {")) {
            let chunk: Value = serde_json::from_str(&format!("{{{event}")).unwrap();
            for field in ["content", "reasoning_content"] {
                let more = chunk["choices"][0]["delta"][field].as_str().unwrap_or_default();
                answer[field] = json!(answer[field].as_str().unwrap().to_owned() + more);
            }
        }
        assert!(answer.to_string().contains("t4t network:"), "{answer}");
        let mut next = chat();
        next["messages"].as_array_mut().unwrap().extend([answer, json!({"role": "user", "content": "more"})]);
        assert_eq!(gateway.post(&next).send().await.unwrap().status(), 200);
        let sent = gateway.buyer.calls.lock().unwrap().pop().unwrap();
        let sent: Value = serde_json::from_str(sent.request.json().as_str()).unwrap();
        assert_eq!(sent["messages"][1]["content"], "Hello there.", "{mode:?}");
        assert!(!sent.to_string().contains("t4t network"), "{sent}");
    }
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_are_told_in_json() {
    let gateway = Gateway::start();
    let mut told = Vec::new();
    for (method, path) in [
        (Method::GET, "/"),
        (Method::POST, "/v1/embeddings"),
        (Method::GET, "/v1/chat/completions"),
        (Method::DELETE, "/v1/models/llama3:8b"),
        (Method::POST, "/v1/models"),
    ] {
        let response = gateway.http.request(method, gateway.url(path)).send().await.unwrap();
        let allow = response.headers().get("allow").map(|value| value.to_str().unwrap().to_owned());
        let (status, body) = read(response).await;
        told.push(json!({"status": status, "allow": allow, "body": body}));
    }
    insta::assert_json_snapshot!(told);
}

#[tokio::test]
async fn paths_may_be_sloppy() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![answered(HELLO)]);
    for path in
        ["/v1/chat/completions", "//v1//chat/completions/", "/chat/completions", "/chat/completions/?x=1"]
    {
        let response = gateway.http.post(gateway.url(path)).json(&chat()).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_a_sane_one_is_taken_over() {
    let gateway = Gateway::start();
    for (path, given, taken) in [
        ("/v1/models", "app-1.2:3_x", true),
        ("/nowhere", "app-1", true),
        ("/health", "not sane", false),
        ("/v1/models", "<script>", false),
    ] {
        let response = gateway.get(path).header("x-request-id", given).send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id == given, taken, "{id}");
        assert!(taken || id.starts_with("req_"), "{id}");
        assert!(response.headers().contains_key("openai-processing-ms"));
    }
    let long = "x".repeat(129);
    let response = gateway.get("/health").header("x-request-id", long).send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"].len(), 36);
}

#[tokio::test]
async fn a_local_page_may_ask_and_read() {
    let gateway = Gateway::start();
    let origin = "http://localhost:3000";
    let preflight = gateway
        .http
        .request(Method::OPTIONS, gateway.url("/v1/chat/completions"))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-stainless-os")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.headers()["access-control-allow-origin"], origin);
    assert_eq!(
        preflight.headers()["access-control-allow-headers"],
        "authorization,content-type,x-stainless-os"
    );
    let response = gateway.get("/v1/models").header("origin", origin).send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], origin);
    assert!(response.headers()["access-control-expose-headers"].to_str().unwrap().contains("x-request-id"));
}

#[tokio::test]
async fn a_foreign_page_can_not_spend_the_wallet() {
    let gateway = Gateway::start();
    for origin in ["https://evil.example", "null"] {
        let request = gateway.post(&chat()).header("origin", origin).header("content-type", "text/plain");
        let response = request.send().await.unwrap();
        assert!(!response.headers().contains_key("access-control-allow-origin"));
        let (status, body) = read(response).await;
        assert_eq!((status, &body["error"]["code"]), (403, &json!("origin_not_allowed")));
    }
    assert_eq!(gateway.buyer.begun(), 0);
    let open = Gateway::configured(|config| config.allowed_origins = AllowedOrigins::Any);
    let response = open.get("/v1/models").header("origin", "https://any.example").send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "https://any.example");
}

#[tokio::test]
async fn where_a_key_is_set_only_its_holders_are_served() {
    let gateway = Gateway::configured(|config| config.api_key = Some("sk-right".to_owned().into()));
    gateway.buyer.plays(vec![answered(HELLO)]);
    let headers = [
        ("authorization", "Bearer sk-right", 200),
        ("authorization", "bearer sk-right", 200),
        ("x-api-key", "sk-right", 200),
        ("api-key", "sk-right", 200),
        ("authorization", "Bearer sk-wrong", 401),
        ("authorization", "sk-right", 401),
        ("api-key", "", 401),
    ];
    for (name, value, expected) in headers {
        let response = gateway.post(&chat()).header(name, value).send().await.unwrap();
        assert_eq!(response.status(), expected, "{name}: {value}");
    }
    let both = gateway.get("/v1/models").header("authorization", "Bearer sk-right").header("api-key", "");
    assert_eq!(both.send().await.unwrap().status(), 200);
    let (status, body) = read(gateway.get("/v1/models").send().await.unwrap()).await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("invalid_api_key")));
    assert_eq!(gateway.get("/health").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_compressed_body_is_refused_in_words() {
    let gateway = Gateway::start();
    let response = gateway.post(&chat()).header("content-encoding", "gzip").send().await.unwrap();
    let (status, body): (u16, Value) = read(response).await;
    assert_eq!((status, &body["error"]["code"]), (415, &json!("unsupported_encoding")));
}

#[tokio::test]
async fn a_key_of_no_use_is_refused() {
    let gateway = Gateway::start();
    for key in ["", &"x".repeat(256)] {
        let (status, body) =
            read(gateway.post(&chat()).header("idempotency-key", key).send().await.unwrap()).await;
        assert_eq!((status, &body["error"]["code"]), (400, &json!("invalid_idempotency_key")));
    }
}
