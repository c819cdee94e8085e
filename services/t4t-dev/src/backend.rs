//! Which inference backend the provider of `t4t dev` sells.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use t4t_runtime::Settings;
use t4t_runtime::config::keys;
use t4t_runtime::http::RunningServer;
use url::Url;

use super::demo;

/// Where Ollama listens unless it is told otherwise.
const OLLAMA: &str = "http://127.0.0.1:11434";

/// A server on this machine answers within a few milliseconds.
const LOCAL_LIMIT: Duration = Duration::from_millis(300);

/// One that the operator names may be far away, or loading.
const NAMED_LIMIT: Duration = Duration::from_secs(10);

/// The backend of this run.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Its name and its models, for people.
    pub(crate) description: String,
    /// Where it is.
    pub(crate) url: Url,
    name: &'static str,
    demo: Option<RunningServer>,
}

impl Backend {
    /// Chooses: the one that is named, else Ollama if it answers, else the demo.
    ///
    /// # Errors
    /// The named one has no models, or the demo does not start.
    pub(crate) async fn choose(named: Option<&Url>, settings: &Settings) -> anyhow::Result<Self> {
        let named = match named {
            Some(url) => Some(url.clone()),
            None => settings.get::<Url>(&keys::T4T_BACKEND)?,
        };
        if let Some(url) = named {
            let models = models(&url, NAMED_LIMIT).await;
            let models = models.with_context(|| {
                format!("the backend {} can't be used", url.origin().ascii_serialization())
            })?;
            return Ok(Self { description: describe("backend", &models), url, name: "backend", demo: None });
        }
        let ollama: Url = OLLAMA.parse().context("the address of Ollama")?;
        if let Ok(models) = models(&ollama, LOCAL_LIMIT).await {
            return Ok(Self {
                description: describe("Ollama", &models),
                url: ollama,
                name: "ollama",
                demo: None,
            });
        }
        let demo = demo::start()?;
        let url = demo.url().parse().context("the demo listens nowhere")?;
        let description =
            "built-in demo, no model (start Ollama or pass --backend URL for real answers)".into();
        Ok(Self { description, url, name: "demo", demo: Some(demo) })
    }

    /// Writes it as `endpoints.json`, as if it was at `url`.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn write_endpoints(&self, folder: &Path, url: &Url) -> anyhow::Result<PathBuf> {
        let file = folder.join("endpoints.json");
        let endpoints = json!([{ "name": self.name, "url": url.as_str().trim_end_matches('/') }]);
        std::fs::write(&file, format!("{endpoints:#}\n"))
            .with_context(|| format!("can't write {}", file.display()))?;
        Ok(file)
    }

    /// Whether it is the demo, which repeats the question.
    pub(crate) fn is_demo(&self) -> bool {
        self.demo.is_some()
    }

    /// Stops what this run started.
    pub(crate) async fn stop(self) {
        if let Some(demo) = self.demo {
            demo.stop().await;
        }
    }
}

/// The models of a backend; an address with or without `/v1` at its end is taken.
async fn models(url: &Url, limit: Duration) -> anyhow::Result<Vec<String>> {
    let http = t4t_outbound::toward(url).build().context("no HTTP client can be made")?;
    let base = url.as_str().trim_end_matches('/').trim_end_matches("/v1");
    let response = http.get(format!("{base}/v1/models")).timeout(limit).send().await?.error_for_status()?;
    let list: Value = response.json().await?;
    let models = list["data"].as_array().context("its list of models has no `data`")?;
    let models: Vec<String> =
        models.iter().filter_map(|model| model["id"].as_str().map(str::to_owned)).collect();
    if models.is_empty() {
        bail!("it serves no models: load one first, such as `ollama pull llama3.2:1b`");
    }
    Ok(models)
}

fn describe(name: &str, models: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = models.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{name}: {}{more}", models[..models.len().min(SHOWN)].join(", "))
}
