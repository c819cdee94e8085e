//! What apps are told when nothing can be bought.

use std::time::Duration;

use serde_json::{Value, json};
use t4t_api::TransportError;
use t4t_api::job_dispatcher::BuyingError;
use t4t_inference::Refusal;

use crate::gateway::{Gateway, chat, read, streamed};

fn every_error() -> Vec<BuyingError> {
    let model = || "llama3:70b".parse().unwrap();
    let service = || "job-dispatcher".to_owned();
    vec![
        BuyingError::UnknownModel { model: model() },
        BuyingError::AbovePriceCap { model: model(), cap: "1.5".parse().unwrap() },
        BuyingError::AllBusy { model: model(), retry_after_s: 30 },
        BuyingError::EscrowTooLarge { needs: "2".parse().unwrap(), ceiling: "1".parse().unwrap() },
        BuyingError::DayLimit {
            limit: "1".parse().unwrap(),
            spent: "0.9".parse().unwrap(),
            needs: "0.2".parse().unwrap(),
            resets_in_s: 600,
        },
        BuyingError::OutOfFunds { message: "the wallet 0x… holds 0 xBZZ: send xBZZ to it".into() },
        BuyingError::BadRequest { message: "context_length_exceeded: 9000 > 8192".into(), param: None },
        BuyingError::BadRequest { message: "no".into(), param: Some("temperature".into()) },
        refused(Some(400), Some("context_length_exceeded"), None),
        refused(Some(404), Some("model_not_found"), None),
        refused(Some(413), None, None),
        refused(Some(422), None, None),
        refused(Some(429), Some("rate_limit_exceeded"), Some(2)),
        refused(Some(429), None, None),
        refused(Some(503), None, Some(20)),
        refused(None, None, None),
        BuyingError::ProvidersFailed { attempts: 3, reason: "no answer in time".into() },
        BuyingError::TimedOut { after_s: 900 },
        BuyingError::Unavailable { reason: "Bee does not answer at http://localhost:1633".into() },
        TransportError::Busy { service: service(), retry_after_s: 2 }.into(),
        TransportError::Unreachable { service: service(), reason: "it has stopped".into() }.into(),
        TransportError::TimedOut { service: service(), after_ms: 60_000 }.into(),
        TransportError::Unauthorized { service: service() }.into(),
        TransportError::Malformed { service: service(), reason: "eof".into() }.into(),
    ]
}

fn refused(status: Option<u16>, code: Option<&str>, retry_after: Option<u64>) -> BuyingError {
    let param = code.map(|_| "messages".to_owned());
    let kind = code.map(|_| "as_the_backend_says".to_owned());
    let message = "the backend's own words".to_owned();
    BuyingError::Refused {
        refusal: Box::new(Refusal {
            message,
            kind,
            param,
            code: code.map(str::to_owned),
            status,
            retry_after,
        }),
    }
}

/// Status, the headers that matter for trying again, and the body.
async fn told(gateway: &Gateway, body: &Value) -> Value {
    let response = gateway.post(body).send().await.unwrap();
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert!(header("x-request-id").is_some());
    let (retry_after, should_retry) = (header("retry-after"), header("x-should-retry"));
    let (status, body) = read(response).await;
    assert_eq!(body["error"].as_object().unwrap().len(), 4);
    json!({"status": status, "retry-after": retry_after, "x-should-retry": should_retry, "body": body})
}

#[tokio::test]
async fn every_error_has_its_status_and_code() {
    let gateway = Gateway::start();
    let mut all = Vec::new();
    for error in every_error() {
        *gateway.buyer.refusal.lock().unwrap() = Some(error.clone());
        let refused = told(&gateway, &chat()).await;
        assert_eq!(told(&gateway, &streamed(json!({}))).await, refused);
        *gateway.buyer.refusal.lock().unwrap() = None;
        gateway.buyer.plays(vec![Err(error)]);
        assert_eq!(told(&gateway, &chat()).await, refused);
        assert_eq!(told(&gateway, &streamed(json!({}))).await, refused);
        all.push(refused);
    }
    insta::assert_json_snapshot!(all);
}

#[tokio::test]
async fn a_model_that_may_not_be_bought_is_unknown_and_costs_nothing() {
    let gateway =
        Gateway::configured(|config| config.allowed_models = Some(vec!["llama3:8b".parse().unwrap()]));
    let mut body = chat();
    body["model"] = json!("llama3:80b");
    let told = told(&gateway, &body).await;
    assert_eq!(told["status"], 404);
    assert_eq!(
        told["body"]["error"]["message"],
        "T4T_ALLOWED_MODELS keeps the model llama3:80b from apps: did you mean llama3:8b?"
    );
    assert_eq!(gateway.buyer.begun(), 0);
}

#[tokio::test]
async fn a_refusal_with_the_status_of_something_else_is_a_bad_request() {
    let gateway = Gateway::start();
    for status in [0, 101, 200, 302, 401, 402, 500, 999] {
        gateway.buyer.plays(vec![Err(refused(Some(status), None, None))]);
        assert_eq!(told(&gateway, &chat()).await["status"], 400, "{status}");
    }
    let long = "x".repeat(100_000);
    let refusal = Refusal {
        message: long.clone(),
        kind: Some(long.clone()),
        code: Some(long.clone()),
        param: Some(long),
        ..Refusal::default()
    };
    gateway.buyer.plays(vec![Err(BuyingError::Refused { refusal: Box::new(refusal) })]);
    assert!(told(&gateway, &chat()).await.to_string().len() < 3000);
}

#[tokio::test]
async fn a_model_whose_providers_are_away_is_asked_for_again_and_not_unknown() {
    let gateway = Gateway::start();
    let gone = || BuyingError::UnknownModel { model: "llama3:8b".parse().unwrap() };
    gateway.buyer.plays(vec![Err(gone())]);
    assert_eq!(gateway.get("/v1/models").send().await.unwrap().status(), 200);
    gateway
        .watcher
        .models
        .lock()
        .unwrap()
        .as_mut()
        .unwrap()
        .retain(|listing| listing.model.as_str() != "llama3:8b");
    gateway.clock.advance(Duration::from_secs(600));
    for body in [chat(), streamed(json!({}))] {
        let told = told(&gateway, &body).await;
        assert_eq!((&told["status"], &told["retry-after"]), (&json!(503), &json!("10")), "{told}");
        assert_eq!(told["body"]["error"]["code"], "model_unavailable");
        assert!(!told.to_string().contains("did you mean"));
    }
    let retrieved = gateway.get("/v1/models/llama3:8b").send().await.unwrap();
    assert_eq!(retrieved.status(), 503);
    gateway.clock.advance(Duration::from_secs(3600));
    assert_eq!(told(&gateway, &chat()).await["status"], 404, "it does not come back");
}

#[tokio::test]
async fn a_model_of_a_provider_that_was_heard_of_lately_is_away() {
    let gateway = Gateway::start();
    let model = "mixtral:8x7b";
    gateway.buyer.plays(vec![Err(BuyingError::UnknownModel { model: model.parse().unwrap() })]);
    let mut body = chat();
    body["model"] = json!(model);
    for (silent_s, active, status) in [(700, true, 503), (4000, true, 404), (700, false, 404)] {
        gateway.watcher.lists_away(model, silent_s, active);
        assert_eq!(told(&gateway, &body).await["status"], status, "{silent_s} s, {active}");
    }
}

#[tokio::test]
async fn a_model_with_too_few_providers_is_hidden_by_the_setting_that_says_so() {
    let gateway = Gateway::configured(|config| config.min_providers = 2);
    let (status, body) = read(gateway.get("/v1/models/org/qwen%202.5%25").send().await.unwrap()).await;
    assert_eq!(status, 404);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("T4T_MIN_PROVIDERS_PER_MODEL keeps the model org/qwen 2.5% from apps"),
        "{message}"
    );
}

#[tokio::test]
async fn a_gateway_that_does_not_stream_says_so() {
    let gateway = Gateway::configured(|config| config.streaming = false);
    let told = told(&gateway, &streamed(json!({}))).await;
    assert_eq!((&told["status"], &told["body"]["error"]["param"]), (&json!(400), &json!("stream")));
}
