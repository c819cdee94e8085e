//! An app that uses the gateway over HTTP.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::StreamExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use t4t_types::{ModelId, TokenUsage};

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(180);

/// An answer and what it took.
#[derive(Clone, Debug)]
pub(super) struct Bought {
    pub(super) content: String,
    pub(super) usage: TokenUsage,
    /// Until it was there, in milliseconds; set by who measures.
    pub(super) ms: u64,
}

/// The app.
#[derive(Debug)]
pub(super) struct App {
    http: reqwest::Client,
    url: String,
    model: ModelId,
}

impl App {
    pub(super) fn new(gateway: &str, model: &ModelId) -> anyhow::Result<Self> {
        let http = t4t_outbound::direct().timeout(LIMIT).build().context("no HTTP client can be made")?;
        Ok(Self { http, url: format!("{gateway}/v1/chat/completions"), model: model.clone() })
    }

    /// Asks for a whole answer.
    pub(super) async fn ask(&self) -> anyhow::Result<Bought> {
        whole(&self.send("Say something short.", &json!({}), None).await?.answer()?)
    }

    /// Asks for a stream and puts it together.
    pub(super) async fn ask_streaming(&self) -> anyhow::Result<Bought> {
        streamed(self.send("Say something else.", &as_stream(), None).await?.answer()?)
    }

    /// Asks with more fields of the request, and an idempotency key.
    ///
    /// # Errors
    /// The connection broke, or the answer is too long.
    pub(super) async fn send(&self, text: &str, options: &Value, key: Option<&str>) -> anyhow::Result<Reply> {
        let mut body = json!({
            "model": self.model,
            "messages": [{ "role": "user", "content": text }],
            "max_tokens": 64,
        });
        if let (Some(body), Some(options)) = (body.as_object_mut(), options.as_object()) {
            body.extend(options.clone());
        }
        let mut request = self.http.post(&self.url).json(&body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await?;
        let status = response.status();
        let mut pieces = response.bytes_stream();
        let mut body = Vec::new();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece?);
            if body.len() > MAX_ANSWER_BYTES {
                bail!("the answer is longer than {MAX_ANSWER_BYTES} bytes");
            }
        }
        Ok(Reply { status, body })
    }
}

/// What the gateway said.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Reply {
    fn answer(self) -> anyhow::Result<Vec<u8>> {
        if !self.status.is_success() {
            bail!("the gateway answered {}: {}", self.status, String::from_utf8_lossy(&self.body));
        }
        Ok(self.body)
    }
}

/// The fields that ask for a stream with its usage.
pub(super) fn as_stream() -> Value {
    json!({ "stream": true, "stream_options": { "include_usage": true } })
}

/// A whole answer.
pub(super) fn whole(answer: &[u8]) -> anyhow::Result<Bought> {
    let answer: Value = serde_json::from_slice(answer).context("the answer is not JSON")?;
    let content = answer["choices"][0]["message"]["content"].as_str();
    Ok(Bought {
        content: content.context("the answer has no content")?.to_owned(),
        usage: usage(&answer["usage"]).context("the answer states no usage")?,
        ms: 0,
    })
}

/// A streamed answer, put together.
pub(super) fn streamed(body: Vec<u8>) -> anyhow::Result<Bought> {
    let body = String::from_utf8(body).context("the stream is not UTF-8")?;
    let mut found = Bought { content: String::new(), usage: TokenUsage::default(), ms: 0 };
    let mut has_usage = false;
    let mut has_end = false;
    for data in body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim) {
        if data == "[DONE]" {
            has_end = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).context("a chunk of the stream is not JSON")?;
        if !chunk["error"].is_null() {
            bail!("the stream ended with an error: {}", chunk["error"]["message"]);
        }
        found.content.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
        if let Some(usage) = usage(&chunk["usage"]) {
            found.usage = usage;
            has_usage = true;
        }
    }
    if !has_usage || !has_end {
        bail!("the stream has no usage or no [DONE]");
    }
    Ok(found)
}

fn usage(usage: &Value) -> Option<TokenUsage> {
    Some(TokenUsage {
        prompt: usage["prompt_tokens"].as_u64()?,
        completion: usage["completion_tokens"].as_u64()?,
    })
}
