//! Settings of services that run in processes of their own.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use secrecy::SecretString;
use url::Url;

use super::Settings;
use super::error::{ConfigError, ConfigProblem};
use super::keys::{self, Key};

const ADMIN_PORT: u16 = 3000;

/// A service that others reach over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceName {
    /// The registry watcher.
    Watcher,
    /// Settlement.
    Settlement,
    /// The job dispatcher.
    Dispatcher,
    /// The inference runner.
    Runner,
}

impl ServiceName {
    /// The name, as errors and logs have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watcher => "registry-watcher",
            Self::Settlement => "settlement",
            Self::Dispatcher => "job-dispatcher",
            Self::Runner => "inference-runner",
        }
    }

    fn port_key(self) -> &'static Key {
        match self {
            Self::Watcher => &keys::T4T_WATCHER_PORT,
            Self::Settlement => &keys::T4T_SETTLEMENT_PORT,
            Self::Dispatcher => &keys::T4T_DISPATCHER_PORT,
            Self::Runner => &keys::T4T_RUNNER_PORT,
        }
    }

    fn url_key(self) -> &'static Key {
        match self {
            Self::Watcher => &keys::T4T_WATCHER_URL,
            Self::Settlement => &keys::T4T_SETTLEMENT_URL,
            Self::Dispatcher => &keys::T4T_DISPATCHER_URL,
            Self::Runner => &keys::T4T_RUNNER_URL,
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// The setting that changes the port, for errors.
    pub port_setting: &'static str,
}

/// Where another service is.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Which.
    pub service: ServiceName,
    /// Its address.
    pub url: Url,
    /// The token that lets in.
    pub token: Option<SecretString>,
}

/// How services reach each other.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// The token that all services of one operator share (`T4T_SERVICE_TOKEN`).
    pub token: Option<SecretString>,
    host: IpAddr,
    ports: Vec<(ServiceName, u16)>,
    urls: Vec<(ServiceName, Url)>,
    admin: SocketAddr,
}

const ALL: [ServiceName; 4] =
    [ServiceName::Watcher, ServiceName::Settlement, ServiceName::Dispatcher, ServiceName::Runner];

impl ServiceSettings {
    /// Reads them.
    ///
    /// # Errors
    /// A setting is wrong, or services would listen beyond this machine without a token.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let admin_host = settings.get(&keys::T4T_ADMIN_HOST)?.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let admin_port = settings.get(&keys::T4T_ADMIN_PORT)?.unwrap_or(ADMIN_PORT);
        let ports = ALL.into_iter().map(|name| Ok((name, settings.whole(name.port_key())?)));
        let urls = ALL.into_iter().map(|name| Ok((name, settings.url(name.url_key())?)));
        let services = Self {
            token: settings.secret(&keys::T4T_SERVICE_TOKEN),
            host: settings.required(&keys::T4T_SERVICE_HOST, "services listen there")?,
            ports: ports.collect::<Result<_, ConfigError>>()?,
            urls: urls.collect::<Result<_, ConfigError>>()?,
            admin: SocketAddr::new(admin_host, admin_port),
        };
        services.check_open()
    }

    fn check_open(self) -> Result<Self, ConfigError> {
        if self.host.is_loopback() || self.token.is_some() {
            return Ok(self);
        }
        Err(ConfigProblem::Unsafe {
            what: format!(
                "services would listen at {} and take orders from anyone, for the wallet too",
                self.host
            ),
            fix: "set T4T_SERVICE_TOKEN to the same secret for all services, or T4T_SERVICE_HOST=127.0.0.1"
                .into(),
        }
        .into())
    }

    /// Where the named service listens.
    pub fn bind(&self, service: ServiceName) -> Bind {
        let port = self.ports.iter().find(|(name, _)| *name == service).map_or(0, |(_, port)| *port);
        Bind { address: SocketAddr::new(self.host, port), port_setting: service.port_key().name }
    }

    /// Where health and the operator's pages listen (`T4T_ADMIN_HOST`, `T4T_ADMIN_PORT`; 127.0.0.1:3000).
    pub fn admin_bind(&self) -> Bind {
        Bind { address: self.admin, port_setting: keys::T4T_ADMIN_PORT.name }
    }

    /// Where the named service is reached.
    pub fn peer(&self, service: ServiceName) -> Peer {
        let url = self.urls.iter().find(|(name, _)| *name == service).map(|(_, url)| url.clone());
        Peer { service, url: url.expect("every service has an address"), token: self.token.clone() }
    }
}
