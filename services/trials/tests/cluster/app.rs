//! A small app.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use t4t_testkit::eventually;
use t4t_testkit::processes::{ECHO, PATIENCE};

/// Asks a gateway.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) base: String,
    pub(crate) key: String,
    pub(crate) http: reqwest::Client,
}

impl App {
    /// Waits until the gateway lists the model.
    pub(crate) async fn is_offered(&self) -> anyhow::Result<()> {
        eventually(PATIENCE, "the model in the gateway's list", async || {
            let list = self.http.get(format!("{}/v1/models", self.base)).bearer_auth(&self.key).send().await;
            let list: Value = list.ok()?.json().await.ok()?;
            list["data"].as_array()?.iter().any(|model| model["id"] == ECHO).then_some(())
        })
        .await
    }

    /// Asks for an echo.
    pub(crate) async fn ask(&self, text: String) -> anyhow::Result<()> {
        let body =
            json!({ "model": ECHO, "max_tokens": 64, "messages": [{ "role": "user", "content": text }] });
        let url = format!("{}/v1/chat/completions", self.base);
        let reply = self.http.post(url).bearer_auth(&self.key).json(&body).send().await?;
        let (status, reply) = (reply.status().as_u16(), reply.text().await?);
        ensure!(status == 200, "{status}: {reply}");
        let reply: Value = serde_json::from_str(&reply)?;
        let content = reply["choices"][0]["message"]["content"].as_str().context("an answer has content")?;
        ensure!(content.trim() == text, "asked {text:?}, was told {content:?}");
        Ok(())
    }
}
