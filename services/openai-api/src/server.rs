//! The HTTP server: from configuration to a running edge, and back.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::{NormalizePath, TrailingSlash, from_fn};
use actix_web::{App, web};
use t4t_runtime::http::{self, ConnectionLimits, Serving, watch};
use t4t_runtime::process;
use tokio::task::JoinHandle;

use crate::config::OpenAiConfig;
use crate::deps::OpenAiDeps;
use crate::error::StartError;
use crate::guard::guard;
use crate::routes;
use crate::state::Edge;

/// How long a connection may stay open without a request. Longer than common proxies', so that they close first.
const IDLE: Duration = Duration::from_secs(75);

/// How long a client may take to close a connection that is done with.
const CLOSING: Duration = Duration::from_secs(5);

/// After how much silence the system asks whether the client is still there: an app waits minutes for an answer, and
/// its machine may be gone meanwhile.
const PROBE_AFTER: Duration = Duration::from_secs(30);

/// The gateway's edge.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiApi;

impl OpenAiApi {
    /// Listens and serves, on threads of its own. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The address can't be listened on.
    pub fn start(config: OpenAiConfig, deps: OpenAiDeps) -> Result<Running, StartError> {
        let address = config.bind;
        let edge = web::Data::new(Edge::new(config, deps));
        let config = edge.config.clone();
        let app = move || {
            App::new()
                .app_data(edge.clone())
                .configure(routes::routes)
                .default_service(web::to(routes::unknown))
                .wrap(from_fn(guard))
                .wrap(NormalizePath::new(TrailingSlash::Trim))
                .wrap(from_fn(watch))
        };
        let refused = |cause| StartError::Bind { address, cause };
        let listener = http::bind(address).map_err(refused)?;
        let addr = listener.local_addr().map_err(refused)?;
        let serving = Serving {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            keep_alive: IDLE,
            head_timeout: config.head_timeout,
            closing: CLOSING,
            shutdown: config.stop_grace,
            limits: limits(&config).within(process::max_open_files()),
        };
        let server = http::start("the OpenAI API", listener, serving, app).map_err(refused)?;
        let handle = server.handle();
        tracing::info!(%addr, "serving the OpenAI API");
        Ok(Running { addr, handle, server: tokio::spawn(server) })
    }
}

/// What connections are held to.
fn limits(config: &OpenAiConfig) -> ConnectionLimits {
    ConnectionLimits {
        count: config.max_connections,
        idle: IDLE + CLOSING,
        // The edge's own limit comes first: its clients are told why.
        body_time: config.body_timeout + CLOSING,
        write_stall: config.write_stall,
        slowest_reader: config.slowest_reader,
        probe_after: PROBE_AFTER,
    }
}

/// A running edge. It runs until it is stopped.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    handle: ServerHandle,
    server: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns when the server has ended by itself.
    ///
    /// # Errors
    /// What made it end.
    pub async fn ended(&mut self) -> std::io::Result<()> {
        (&mut self.server).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    /// Takes no more requests, lets those under way end within the grace, and returns.
    pub async fn stop(self) {
        if self.server.is_finished() {
            return;
        }
        self.handle.stop(true).await;
        if let Ok(Err(error)) = self.server.await {
            tracing::warn!(%error, "the server ended badly");
        }
    }
}
