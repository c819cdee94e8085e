//! An app: asks a gateway as the official clients do.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use t4t_types::{JobId, TokenUsage, Xbzz};
use url::Url;

/// Longer than any request of a test may take.
const LIMIT: Duration = Duration::from_secs(180);

/// What an app asks.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The model.
    pub model: &'a str,
    /// The message.
    pub text: &'a str,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The idempotency key.
    pub key: Option<&'a str>,
    /// The most tokens of the answer.
    pub max_tokens: u64,
}

impl<'a> Question<'a> {
    /// A plain question without a key.
    pub const fn new(model: &'a str, text: &'a str) -> Self {
        Self { model, text, stream: false, key: None, max_tokens: 64 }
    }

    /// The same as a stream.
    pub const fn streamed(self) -> Self {
        Self { stream: true, ..self }
    }

    /// The same with an idempotency key.
    pub const fn keyed(self, key: &'a str) -> Self {
        Self { key: Some(key), ..self }
    }

    fn body(&self) -> Value {
        let mut body = json!({
            "model": self.model,
            "max_tokens": self.max_tokens,
            "messages": [{ "role": "user", "content": self.text }],
        });
        if self.stream {
            body["stream"] = true.into();
            body["stream_options"] = json!({ "include_usage": true });
        }
        body
    }
}

/// What an app was told.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The answer's text; of a stream, put together.
    pub content: String,
    /// The usage, where it was told.
    pub usage: Option<TokenUsage>,
    /// The cost by the gateway's word; not on streams.
    pub cost: Option<Xbzz>,
    /// The job by the gateway's word; not on streams.
    pub job: Option<JobId>,
    /// Providers that were tried, by the gateway's word; not on streams.
    pub attempts: Option<u32>,
    /// The error's text.
    pub error: Option<String>,
    /// The body as it came.
    pub body: String,
}

impl Reply {
    /// Whether it is an answer.
    pub fn is_answer(&self) -> bool {
        self.status == 200 && self.error.is_none() && !self.content.is_empty()
    }

    /// Whether it is an error as the OpenAI API has it: a status of its own and a message.
    pub fn is_clean_error(&self) -> bool {
        self.error.as_ref().is_some_and(|error| !error.is_empty())
    }

    /// The answer's text.
    ///
    /// # Errors
    /// It is no answer.
    pub fn answer(&self) -> anyhow::Result<&str> {
        ensure!(self.is_answer(), "status {}, not an answer: {}", self.status, self.body);
        Ok(&self.content)
    }
}

/// An app.
#[derive(Clone, Debug)]
pub struct App {
    http: reqwest::Client,
}

impl App {
    /// An app.
    ///
    /// # Errors
    /// The HTTP client can't be made.
    pub fn new() -> anyhow::Result<Self> {
        Self::patient(LIMIT)
    }

    /// An app that waits so long for an answer.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn patient(limit: Duration) -> anyhow::Result<Self> {
        Ok(Self { http: t4t_outbound::direct().timeout(limit).build()? })
    }

    /// The models that a gateway offers.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn models(&self, gateway: &Url) -> anyhow::Result<Vec<String>> {
        let list: Value = self.http.get(gateway.join("/v1/models")?).send().await?.json().await?;
        let models = list["data"].as_array().context("no list of models")?;
        Ok(models.iter().filter_map(|model| model["id"].as_str().map(str::to_owned)).collect())
    }

    /// Whether a process says that it is ready.
    pub async fn is_ready(&self, process: &Url) -> bool {
        let Ok(url) = process.join("/ready") else { return false };
        self.http.get(url).send().await.is_ok_and(|answer| answer.status().is_success())
    }

    /// How many tasks are alive in a process.
    ///
    /// # Errors
    /// It does not say.
    pub async fn tasks(&self, process: &Url) -> anyhow::Result<u64> {
        let health: Value = self.http.get(process.join("/health")?).send().await?.json().await?;
        health["tasks"].as_u64().with_context(|| format!("no tasks in {health}"))
    }

    /// Asks.
    ///
    /// # Errors
    /// The connection broke, before or in the answer.
    pub async fn ask(&self, gateway: &Url, question: &Question<'_>) -> anyhow::Result<Reply> {
        let mut request = self.http.post(gateway.join("/v1/chat/completions")?).json(&question.body());
        if let Some(key) = question.key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let header =
            |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (cost, job, attempts) =
            (header("x-t4t-cost-plur"), header("x-t4t-job"), header("x-t4t-attempts"));
        let is_stream = header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let body = answer.text().await?;
        let mut reply = if is_stream { streamed(status, body)? } else { plain(status, body) };
        reply.cost = cost.and_then(|cost| cost.parse().ok().map(Xbzz::from_plur));
        reply.job = job.and_then(|job| job.parse().ok());
        reply.attempts = attempts.and_then(|attempts| attempts.parse().ok());
        Ok(reply)
    }
}

fn empty(status: u16, body: String) -> Reply {
    Reply {
        status,
        content: String::new(),
        usage: None,
        cost: None,
        job: None,
        attempts: None,
        error: None,
        body,
    }
}

fn plain(status: u16, body: String) -> Reply {
    let json: Value = serde_json::from_str(&body).unwrap_or_default();
    let mut reply = empty(status, body);
    reply.content = json["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    reply.usage = usage(&json["usage"]);
    reply.error = json["error"]["message"].as_str().map(str::to_owned);
    reply
}

fn streamed(status: u16, body: String) -> anyhow::Result<Reply> {
    let mut reply = empty(status, body);
    let mut has_end = false;
    let body = reply.body.clone();
    for data in body.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if data == "[DONE]" {
            has_end = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).context("a piece of the stream is not JSON")?;
        reply.content += chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
        reply.usage = usage(&chunk["usage"]).or(reply.usage);
        if let Some(error) = chunk["error"]["message"].as_str() {
            reply.error = Some(error.to_owned());
        }
    }
    ensure!(has_end || reply.error.is_some(), "the stream broke off: {body}");
    Ok(reply)
}

fn usage(usage: &Value) -> Option<TokenUsage> {
    Some(TokenUsage {
        prompt: usage["prompt_tokens"].as_u64()?,
        completion: usage["completion_tokens"].as_u64()?,
    })
}
