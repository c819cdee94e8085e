//! The inference backends: does each of them answer.

use std::time::Duration;

use serde_json::Value;
use t4t_runtime::Settings;
use t4t_runtime::config::ProviderSettings;
use url::Url;

use super::{Finding, chain_of};

const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn examine(settings: &Settings) -> anyhow::Result<Vec<Finding>> {
    let file = ProviderSettings::from_settings(settings)?.endpoints_file;
    let what = "backends";
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(error) => {
            let found = format!("{} can't be read: {error}", file.display());
            return Ok(vec![Finding::bad(what, found, example(&file.display().to_string()))]);
        }
    };
    let Ok(Value::Array(entries)) = serde_json::from_slice(&text) else {
        let found = format!("{} is not an array in JSON", file.display());
        return Ok(vec![Finding::bad(what, found, example(&file.display().to_string()))]);
    };
    let mut findings = Vec::new();
    for entry in &entries {
        findings.push(ask(entry).await);
    }
    Ok(findings)
}

fn example(file: &str) -> String {
    format!("write [{{\"name\": \"ollama\", \"url\": \"http://127.0.0.1:11434\"}}] to {file}")
}

async fn ask(entry: &Value) -> Finding {
    let what = "backend";
    let name = entry["name"].as_str().unwrap_or("(no name)");
    let Some(url) = entry["url"].as_str().and_then(|url| url.parse::<Url>().ok()) else {
        return Finding::bad(what, format!("{name} has no \"url\""), "correct endpoints.json");
    };
    let Ok(http) = t4t_outbound::toward(&url).timeout(LIMIT).build() else {
        return Finding::bad(what, "no HTTP client can be made", "look at the system's certificates");
    };
    let base = url.as_str().trim_end_matches('/').trim_end_matches("/v1");
    let mut request = http.get(format!("{base}/v1/models"));
    if let Some(key) = entry["apiKey"].as_str() {
        request = request.bearer_auth(key);
    }
    let answer = async { request.send().await?.error_for_status()?.json::<Value>().await };
    match answer.await.map(|list| list["data"].as_array().map_or(0, Vec::len)) {
        Ok(0) => Finding::bad(
            what,
            format!("{name} serves no models"),
            "load one, such as `ollama pull llama3.2:1b`",
        ),
        Ok(models) => Finding::good(what, format!("{name} serves {models} models")),
        // Its address could hold a key.
        Err(error) => Finding::bad(
            what,
            format!("{name}: {}", chain_of(&error.without_url())),
            "start it, or correct its url",
        ),
    }
}
