//! Settings: defaults < file < environment < flags, parsed and checked once.
//!
//! Every setting is a [`Key`] of the table in [`keys`]; a component is handed the struct that it needs
//! ([`ChainSettings`], [`SwarmSettings`], …), by value and in domain types. Secrets are kept apart from everything that
//! can be printed.

mod chain;
mod data;
mod docs;
mod error;
mod gateway;
pub mod keys;
mod kind;
mod layer;
mod provider;
mod service;
mod service_link;
mod settings;
mod swarm;

pub use chain::ChainSettings;
pub use data::{DataSettings, WalletSettings};
pub use docs::reference;
pub use error::{ConfigError, ConfigProblem};
pub use gateway::{GatewaySettings, SelectionStrategy};
pub use keys::{Key, Role};
pub use kind::Kind;
pub use layer::Flag;
pub use provider::ProviderSettings;
pub use service::{Bind, Peer, ServiceName, ServiceSettings};
pub use settings::{Settings, Shown};
pub use swarm::{StampSettings, SwarmSettings};
