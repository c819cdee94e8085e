//! Logs, on standard error.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{ConfigError, Settings, keys};

/// What these crates log below `warn` is of use to nobody who runs a node.
const QUIET: &str = "actix_server=warn,actix_http=warn,mio=warn,hyper=warn,reqwest=warn,sqlx=warn,rustls=warn,\
                     tungstenite=warn,tokio_tungstenite=warn";

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `debug`, `info`, `warn`, `error`, or a filter such as `info,t4t_chain=debug` (`LOG_LEVEL`).
    pub level: String,
    /// How a line looks (`T4T_LOG_FORMAT`; `NODE_ENV=production` means JSON).
    pub format: LogFormat,
}

impl LogConfig {
    /// Reads it.
    ///
    /// # Errors
    /// `LOG_LEVEL` is no filter.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let level: String = settings.required(&keys::LOG_LEVEL, "logs are chosen by it")?;
        if filter(&level).is_none() {
            let expected = "debug, info, warn, error, or a filter such as info,t4t_chain=debug".into();
            return Err(settings.bad_value(&keys::LOG_LEVEL, &level, expected));
        }
        let production = settings.text(&keys::NODE_ENV) == Some("production");
        let format = match settings.text(&keys::T4T_LOG_FORMAT) {
            Some("json") => LogFormat::Json,
            Some(_) => LogFormat::Human,
            None if production => LogFormat::Json,
            None => LogFormat::Human,
        };
        Ok(Self { level, format })
    }
}

/// Starts logging. A second call changes nothing, so that tests may each make it.
pub fn init(config: &LogConfig) {
    let filter = filter(&config.level).unwrap_or_else(|| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Human => {
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(ansi).with_target(false).finish().try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

fn filter(level: &str) -> Option<EnvFilter> {
    let directives = level.split(',').map(str::trim);
    // `EnvFilter` takes a misspelt level for the name of a module, and then logs nothing.
    let known = |directive: &str| {
        directive.contains('=')
            || !directive.is_empty() && tracing::level_filters::LevelFilter::from_str(directive).is_ok()
    };
    if !directives.clone().all(known) {
        return None;
    }
    EnvFilter::try_new(format!("{QUIET},{level}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_filters_are_taken_and_misspelt_ones_are_not() {
        for level in ["debug", "info", "warn", "error", "info,t4t_chain=debug", "t4t_swarm=trace"] {
            assert!(filter(level).is_some(), "{level}");
        }
        for level in ["inof", "", "info,t4t_chain=loud"] {
            assert!(filter(level).is_none(), "{level}");
        }
    }
}
