//! A panic in the work for one request.

use serde_json::json;
use t4t_api::job_dispatcher::BuyingProgress;

use crate::gateway::{Gateway, chat, read, streamed};
use crate::market::{HELLO, PANICS, answered, provider, selected};

#[tokio::test]
async fn a_panic_ends_its_request_and_another_stream_goes_on() {
    let gateway = Gateway::start();
    gateway.buyer.plays_and_waits(vec![selected()]);
    let other = gateway.begins(gateway.post(&streamed(json!({})))).await;
    let broken = gateway.begins(gateway.post(&streamed(json!({})))).await;
    let mut body = chat();
    body["model"] = json!(PANICS);
    let response = gateway.post(&body).send().await.unwrap();
    assert_eq!(response.headers()["x-should-retry"], "false");
    let (status, told) = read(response).await;
    assert_eq!((status, &told["error"]["code"]), (500, &json!("internal_error")));
    assert!(!told.to_string().contains("asked to"), "what it said may be anybody's: {told}");
    gateway.buyer.say(1, Ok(BuyingProgress::Retrying { provider: provider(), reason: PANICS.into() }));
    let broken = broken.text().await.unwrap();
    assert!(broken.contains(r#""code":"internal_error""#) && !broken.contains("[DONE]"), "{broken}");
    gateway.buyer.say(0, answered(HELLO));
    let other = other.text().await.unwrap();
    assert!(other.contains("Hello there.") && other.ends_with("data: [DONE]\n\n"), "{other}");
}
