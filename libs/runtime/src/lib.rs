//! Process life: configuration, telemetry, health, readiness, the HTTP server and graceful stop.
//!
//! Owns everything that is the same for each binary, and no business rule. A `main` reads [`config::Settings`], starts
//! [`telemetry`], starts its service, serves [`health`] beside it with [`http::serve`], and waits for [`stop`].

pub mod alarm;
pub mod config;
pub mod health;
pub mod http;
pub mod kill_point;
pub mod lock;
pub mod process;
pub mod recovery;
pub mod stop;
pub mod telemetry;
pub mod wallet;

pub use config::{ConfigError, Settings};
pub use health::Readiness;
pub use kill_point::KillPoint;
pub use stop::StopSignal;
