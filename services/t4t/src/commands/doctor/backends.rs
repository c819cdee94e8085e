//! The inference backends: is their file one that a provider takes, and does each of them answer.

use std::time::Duration;

use t4t_clock::SystemClock;
use t4t_inference_runner::{Endpoints, Examined, examine as look_at};
use t4t_runtime::Settings;
use t4t_runtime::config::ProviderSettings;

use super::Finding;

const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn examine(settings: &Settings) -> anyhow::Result<Vec<Finding>> {
    let file = ProviderSettings::from_settings(settings)?.endpoints_file;
    // The same reader as the provider's: what passes here starts there.
    let endpoints = match Endpoints::load(&file) {
        Ok(endpoints) => endpoints,
        Err(error) => {
            let next_step = format!(
                "write [{{\"name\": \"ollama\", \"url\": \"http://127.0.0.1:11434\"}}] to {}",
                file.display()
            );
            return Ok(vec![Finding::bad("backends", super::chain_of(&error), next_step)]);
        }
    };
    let examined = look_at(&endpoints, &SystemClock::shared(), LIMIT).await;
    Ok(examined.into_iter().flat_map(findings).collect())
}

fn findings(Examined { endpoint, models, warnings }: Examined) -> Vec<Finding> {
    let what = "backend";
    let listed = match models {
        Ok(models) if models.is_empty() => Finding::bad(
            what,
            format!("{endpoint} serves no models that can be offered"),
            "load one, such as `ollama pull llama3.2:1b`",
        ),
        Ok(models) => Finding::good(what, format!("{endpoint} serves {} models", models.len())),
        Err(reason) => Finding::bad(what, format!("{endpoint}: {reason}"), "start it, or correct its url"),
    };
    let warned = warnings.into_iter().map(|warning| {
        Finding::bad(
            what,
            format!("{endpoint}: {warning}"),
            "correct endpoints.json: a running provider reads it anew",
        )
    });
    std::iter::once(listed).chain(warned).collect()
}
