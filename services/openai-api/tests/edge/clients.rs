//! Official clients against the edge. They come from npm, so the test is run on demand: `npm ci` in `tests/clients`,
//! then `cargo test -p t4t-openai-api -- --ignored`.

use serde_json::Value;
use t4t_api::job_dispatcher::BuyingProgress;

use crate::gateway::Gateway;
use crate::market::{HELLO, answered, posted, selected};

#[tokio::test]
#[ignore = "needs node and the packages in tests/clients"]
async fn official_clients_get_models_answers_streams_and_errors() {
    let allowed = vec!["llama3:8b".parse().unwrap()];
    let gateway = Gateway::configured(|config| config.allowed_models = Some(allowed));
    gateway.buyer.plays(vec![selected(), posted(), Ok(BuyingProgress::Acked), answered(HELLO)]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/smoke.mjs");
    let mut command = tokio::process::Command::new("node");
    let ran = command.args([script, &gateway.url("/v1"), "llama3:8b"]).output().await.unwrap();
    let line = String::from_utf8(ran.stdout).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(told["ok"], true, "{told:#}");
    println!("{told:#}");
}
