//! Settings of services that run in processes of their own.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use secrecy::{ExposeSecret, SecretString};
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
    pub token: SecretString,
}

/// How services reach each other.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    token: Option<SecretString>,
    runner_token: Option<SecretString>,
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
    /// A setting is wrong, or runners would know the token that opens everything.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let admin_host = settings.get(&keys::T4T_ADMIN_HOST)?.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let admin_port = settings.get(&keys::T4T_ADMIN_PORT)?.unwrap_or(ADMIN_PORT);
        let ports = ALL.into_iter().map(|name| Ok((name, settings.whole(name.port_key())?)));
        let urls = ALL.into_iter().map(|name| Ok((name, settings.url(name.url_key())?)));
        let services = Self {
            token: settings.secret_or_file(&keys::T4T_SERVICE_TOKEN, &keys::T4T_SERVICE_TOKEN_FILE)?,
            runner_token: settings.secret_or_file(&keys::T4T_RUNNER_TOKEN, &keys::T4T_RUNNER_TOKEN_FILE)?,
            host: settings.required(&keys::T4T_SERVICE_HOST, "services listen there")?,
            ports: ports.collect::<Result<_, ConfigError>>()?,
            urls: urls.collect::<Result<_, ConfigError>>()?,
            admin: SocketAddr::new(admin_host, admin_port),
        };
        services.check_scopes()
    }

    fn check_scopes(self) -> Result<Self, ConfigError> {
        let both = self.token.as_ref().zip(self.runner_token.as_ref());
        if both.is_none_or(|(all, runner)| all.expose_secret() != runner.expose_secret()) {
            return Ok(self);
        }
        Err(ConfigProblem::Unsafe {
            what: "T4T_RUNNER_TOKEN is the same as T4T_SERVICE_TOKEN, so that each runner could spend the wallet".into(),
            fix: "set T4T_RUNNER_TOKEN to another secret, and T4T_SERVICE_TOKEN not at all where a runner runs".into(),
        }
        .into())
    }

    /// The token between watcher, settlement, dispatcher and gateway (`T4T_SERVICE_TOKEN`).
    ///
    /// # Errors
    /// There is none: nobody is let in without it, not even on this machine, where any user could spend the wallet.
    pub fn token(&self) -> Result<SecretString, ConfigError> {
        present(
            &self.token,
            &keys::T4T_SERVICE_TOKEN,
            "services in processes of their own let nobody in without it, on this machine as little as beyond it",
        )
    }

    /// The token between a dispatcher and its runners (`T4T_RUNNER_TOKEN`).
    ///
    /// # Errors
    /// There is none.
    pub fn runner_token(&self) -> Result<SecretString, ConfigError> {
        present(
            &self.runner_token,
            &keys::T4T_RUNNER_TOKEN,
            "a runner and the dispatcher of a provider let each other in by it, and it opens nothing else",
        )
    }

    /// Whether the token that opens everything is known here.
    pub fn knows_token(&self) -> bool {
        self.token.is_some()
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
    pub fn url(&self, service: ServiceName) -> Url {
        let url = self.urls.iter().find(|(name, _)| *name == service).map(|(_, url)| url.clone());
        url.expect("every service has an address")
    }

    /// The named service, with the token that lets other services in.
    ///
    /// # Errors
    /// There is no token.
    pub fn peer(&self, service: ServiceName) -> Result<Peer, ConfigError> {
        Ok(Peer { service, url: self.url(service), token: self.token()? })
    }

    /// The dispatcher as its runners reach it.
    ///
    /// # Errors
    /// There is no token.
    pub fn dispatcher_of_runner(&self) -> Result<Peer, ConfigError> {
        let service = ServiceName::Dispatcher;
        Ok(Peer { service, url: self.url(service), token: self.runner_token()? })
    }
}

fn present(token: &Option<SecretString>, key: &Key, why: &'static str) -> Result<SecretString, ConfigError> {
    let missing = || {
        let expected = format!("{}, or name a file with it in {}_FILE", key.kind.expected(), key.name);
        ConfigError::from(ConfigProblem::Missing { name: key.name, why, expected })
    };
    token.clone().ok_or_else(missing)
}
