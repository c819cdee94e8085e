//! The HTTP server that every binary runs, and what bounds its connections.

mod connections;
mod hosts;
mod measured;
mod server;
mod watched;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use tokio::task::JoinHandle;

pub use self::connections::ConnectionLimits;
pub use self::hosts::{AllowedHosts, called, is_from_a_foreign_page};
pub use self::server::{Serving, bind, start};
pub use self::watched::watch;
use crate::config::Bind;
use crate::process;

/// Bodies up to this size are taken: a chat request with images fits, and the sum over the connections stays bounded.
pub const MAX_BODY_BYTES: usize = 32 << 20;

/// Connections open at a time; one more closes those that have been without a request for longest.
const MAX_CONNECTIONS: usize = 1024;

/// Threads that serve: the work is done elsewhere, they only read and write.
const WORKERS: usize = 2;

/// Idle connections are closed after this long; above the 60 s that load balancers wait by default, so that they close
/// first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A client must have sent its first request's head within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A client must have sent its request's body within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a client may take to close a connection that is done with.
const CLOSING: Duration = Duration::from_secs(5);

/// How long a client may keep an answer waiting in all, and a second more for so many bytes of it.
const WRITE_STALL: Duration = Duration::from_secs(60);
const SLOWEST_READER: u64 = 1024;

/// After how much silence the system asks whether the client is still there.
const PROBE_AFTER: Duration = Duration::from_secs(30);

/// Open requests may run on for this long after being asked to stop.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The server's name, for errors and logs.
    pub name: &'static str,
    /// Where to listen.
    pub bind: Bind,
    /// Whether whoever connects must know a secret, or the operator wants it open; without it, only loopback is bound.
    pub guarded: bool,
}

/// The server can't start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Someone else has the port.
    #[error("port {port} for {name} is used by another program: set {setting} to a free one", port = .address.port())]
    PortUsed {
        /// The server.
        name: &'static str,
        /// Where it was to listen.
        address: SocketAddr,
        /// The setting or flag that changes the port.
        setting: &'static str,
    },
    /// It would be open to everyone.
    #[error(
        "{name} would listen at {address} with no secret asked for: set T4T_SERVICE_TOKEN, or listen at 127.0.0.1"
    )]
    Open {
        /// The server.
        name: &'static str,
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The system refuses.
    #[error("{name} can't listen at {address}")]
    Refused {
        /// The server.
        name: &'static str,
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A server that runs. Dropping it leaves it running.
#[derive(Debug)]
pub struct RunningServer {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl RunningServer {
    /// Where it listens; the port is the real one.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base address, such as `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no new connections, lets open requests end for a while, and returns when all is closed.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the HTTP server ended with an error"),
            Err(error) => tracing::warn!(%error, "the HTTP server's task failed"),
        }
    }
}

/// Starts a server with the routes that `configure` adds.
///
/// Must be called from the process's main task or an actix arbiter.
///
/// # Errors
/// [`ServeError`], which names the setting to change.
pub fn serve<F>(config: ServeConfig, configure: F) -> Result<RunningServer, ServeError>
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let listener = listen(&config)?;
    let refused = |source| ServeError::Refused { name: config.name, address: config.bind.address, source };
    let address = listener.local_addr().map_err(refused)?;
    let limits = ConnectionLimits {
        count: MAX_CONNECTIONS,
        idle: KEEP_ALIVE + CLOSING,
        body_time: BODY_TIMEOUT,
        write_stall: WRITE_STALL,
        slowest_reader: SLOWEST_READER,
        probe_after: PROBE_AFTER,
    };
    let limits = limits.within(process::max_open_files());
    let hosts = AllowedHosts::new(address.ip(), &[]);
    let app = move || {
        let hosts = hosts.clone();
        App::new()
            .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
            .app_data(web::JsonConfig::default().limit(MAX_BODY_BYTES))
            .configure(configure.clone())
            .wrap(from_fn(move |request, next| hosts::known_callers(hosts.clone(), request, next)))
            .wrap(from_fn(watch))
    };
    let serving = Serving {
        workers: WORKERS,
        keep_alive: KEEP_ALIVE,
        head_timeout: HEAD_TIMEOUT,
        closing: CLOSING,
        shutdown: SHUTDOWN,
        limits,
    };
    let server = start(config.name, listener, serving, app).map_err(refused)?;
    let handle = server.handle();
    tracing::info!(name = config.name, %address, "listening");
    Ok(RunningServer { address, handle, task: tokio::spawn(server) })
}

fn listen(config: &ServeConfig) -> Result<TcpListener, ServeError> {
    let (name, address) = (config.name, config.bind.address);
    if !address.ip().is_loopback() && !config.guarded {
        return Err(ServeError::Open { name, address });
    }
    bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::PortUsed { name, address, setting: config.bind.port_setting },
        _ => ServeError::Refused { name, address, source },
    })
}
