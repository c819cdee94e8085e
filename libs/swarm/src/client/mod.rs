//! A Bee node's HTTP API, as far as the market needs it.

mod batches;
mod bytes;
mod chunks;
mod messages;
mod node;
mod probe;
mod request;
mod retry;
mod subscription;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use t4t_clock::SharedClock;
use tokio::sync::Semaphore;
use url::Url;

pub use self::batches::{BuyStamp, StampReceipt, StampState};
pub use self::bytes::{Patience, Upload};
pub use self::messages::{Message, Sent};
pub use self::node::{ChainState, Health, NodeAddresses, NodeInfo, NodeMode, NodeStatus, Wallet};
pub use self::subscription::{LinkState, Subscription};
use crate::SwarmError;

/// How to reach a node and how long to wait for it.
#[derive(Clone, Debug)]
pub struct BeeConfig {
    /// The API's base, such as `http://127.0.0.1:1633`.
    pub api_url: Url,
    /// Longest wait for a connection. Default 3 s.
    pub connect_timeout: Duration,
    /// Longest wait for small questions (addresses, stamps, health). Default 10 s.
    pub query_timeout: Duration,
    /// Longest wait for an upload, with 1 s more for each 100 kB. Default 60 s.
    pub upload_timeout: Duration,
    /// Longest wait for one download attempt, with 1 s more for each 100 kB of its limit. Default 35 s.
    pub download_timeout: Duration,
    /// Longest wait for a message's chunk to be taken, or for the node to mine it. Default 60 s.
    pub message_timeout: Duration,
    /// How often an upload or a message is tried while the node is busy, faulty or away. Default 3.
    pub attempts: u32,
    /// Longest wait for a transaction about stamps. Default 5 min.
    pub stamp_timeout: Duration,
    /// A subscription without a ping or frame for this long is dialled anew. Default 150 s: nodes ping each 60 s.
    pub silence_limit: Duration,
    /// First pause before a subscription is dialled anew; doubles up to `redial_longest`. Default 0.5 s.
    pub redial_first: Duration,
    /// Longest pause before a subscription is dialled anew. Default 60 s.
    pub redial_longest: Duration,
    /// A subscription that stood for this long starts again from `redial_first`. Default 60 s.
    pub redial_reset: Duration,
    /// Messages that a subscription holds for a slow reader; further ones are dropped and counted. Default 1024.
    pub subscription_buffer: usize,
}

impl BeeConfig {
    /// The defaults for the node at `api_url`.
    pub fn new(api_url: Url) -> Self {
        Self {
            api_url,
            connect_timeout: Duration::from_secs(3),
            query_timeout: Duration::from_secs(10),
            upload_timeout: Duration::from_secs(60),
            download_timeout: Duration::from_secs(35),
            message_timeout: Duration::from_secs(60),
            attempts: 3,
            stamp_timeout: Duration::from_secs(300),
            silence_limit: Duration::from_secs(150),
            redial_first: Duration::from_millis(500),
            redial_longest: Duration::from_secs(60),
            redial_reset: Duration::from_secs(60),
            subscription_buffer: 1024,
        }
    }
}

/// A Bee node. Cloning is cheap; clones share connections and the bound on mining.
#[derive(Clone)]
pub struct Bee {
    shared: Arc<Shared>,
}

struct Shared {
    config: BeeConfig,
    http: reqwest::Client,
    clock: SharedClock,
    /// One permit a core: mining is pure computation.
    miners: Arc<Semaphore>,
}

impl Bee {
    /// A client of the node that `config` names; nothing is sent yet.
    pub fn new(config: BeeConfig, clock: SharedClock) -> Result<Self, SwarmError> {
        // Whoever was first installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if config.api_url.cannot_be_a_base() || !matches!(config.api_url.scheme(), "http" | "https") {
            return Err(SwarmError::Setup("the node's URL must begin with http:// or https://".to_owned()));
        }
        let http = request::http_client(&config)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let miners = Arc::new(Semaphore::new(cores));
        Ok(Self { shared: Arc::new(Shared { config, http, clock, miners }) })
    }

    /// What the client was made with.
    pub fn config(&self) -> &BeeConfig {
        &self.shared.config
    }

    /// The clock the client waits on.
    pub fn clock(&self) -> &SharedClock {
        &self.shared.clock
    }
}

impl fmt::Debug for Bee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.shared.config.api_url.clone();
        // Credentials in the URL stay out of logs; a URL that can't have any needs no change.
        let _ = url.set_password(None);
        f.debug_tuple("Bee").field(&url.as_str()).finish()
    }
}
