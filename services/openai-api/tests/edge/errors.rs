//! What apps are told when nothing can be bought.

use serde_json::{Value, json};
use t4t_api::TransportError;
use t4t_api::job_dispatcher::BuyingError;

use crate::gateway::{Gateway, chat, read, streamed};

fn every_error() -> Vec<BuyingError> {
    let model = || "llama3:70b".parse().unwrap();
    let service = || "job-dispatcher".to_owned();
    vec![
        BuyingError::UnknownModel { model: model() },
        BuyingError::AbovePriceCap { model: model(), cap: "1.5".parse().unwrap() },
        BuyingError::AllBusy { model: model(), retry_after_s: 30 },
        BuyingError::EscrowTooLarge { needs: "2".parse().unwrap(), ceiling: "1".parse().unwrap() },
        BuyingError::OutOfFunds { message: "the wallet 0x… holds 0 xBZZ: send xBZZ to it".into() },
        BuyingError::BadRequest { message: "context_length_exceeded: 9000 > 8192".into(), param: None },
        BuyingError::BadRequest { message: "no".into(), param: Some("temperature".into()) },
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
        "no live provider offers the model llama3:80b: did you mean llama3:8b?"
    );
    assert_eq!(gateway.buyer.begun(), 0);
}

#[tokio::test]
async fn a_gateway_that_does_not_stream_says_so() {
    let gateway = Gateway::configured(|config| config.streaming = false);
    let told = told(&gateway, &streamed(json!({}))).await;
    assert_eq!((&told["status"], &told["body"]["error"]["param"]), (&json!(400), &json!("stream")));
}
