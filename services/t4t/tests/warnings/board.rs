//! What a process shows at `/ready`.

use anyhow::Context;
use serde_json::Value;
use t4t_testkit::eventually;
use t4t_testkit::processes::{PATIENCE, Process};
use url::Url;

/// Where a provider shows its board.
pub(crate) async fn of_provider(process: &mut Process) -> anyhow::Result<Url> {
    address_after(process, "/ready url=").await
}

/// Where a gateway listens, also before it is ready.
pub(crate) async fn of_gateway(process: &mut Process) -> anyhow::Result<Url> {
    let said = process.says("serving the OpenAI API", PATIENCE).await?;
    let address = word_after(&said, "serving the OpenAI API addr=").context("no address")?;
    Ok(format!("http://{address}").parse()?)
}

async fn address_after(process: &mut Process, text: &str) -> anyhow::Result<Url> {
    let said = process.says(text, PATIENCE).await?;
    Ok(word_after(&said, text).context("no address")?.trim_matches('"').parse()?)
}

fn word_after<'a>(said: &'a str, text: &str) -> Option<&'a str> {
    said.split_once(text)?.1.split_whitespace().next()
}

/// Waits until the board is ready, or says this and is not.
pub(crate) async fn shows(board: &Url, trouble: Option<&str>) -> anyhow::Result<String> {
    let http = reqwest::Client::new();
    let what = format!("{board} to show {trouble:?}");
    eventually(PATIENCE, &what, async || {
        let answer = http.get(board.join("/ready").ok()?).send().await.ok()?;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.ok()?;
        let text = body.to_string();
        let fits = match trouble {
            None => status == 200,
            Some(trouble) => status == 503 && text.contains(trouble),
        };
        fits.then_some(text)
    })
    .await
}
