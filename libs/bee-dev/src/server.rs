//! Starting and stopping the nodes' HTTP servers.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

use crate::network::Network;
use crate::routes::{self, Api};
use crate::{BeeDevConfig, FaultHandle};

/// Every node lies in a neighbourhood of its own.
const MOST_NODES: usize = 64;

/// A running development network.
#[derive(Debug)]
pub struct BeeDev {
    network: Arc<Network>,
    addresses: Vec<SocketAddr>,
    servers: Vec<ServerHandle>,
}

/// A network that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No node, or more than have room.
    #[error("a development network has 1 to {MOST_NODES} nodes, not {0}")]
    Nodes(usize),
    /// A port is taken.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The system gave no randomness.
    #[error("no randomness")]
    NoRandomness(#[from] getrandom::Error),
}

impl BeeDev {
    /// Starts the nodes; they answer when this returns. Must be called inside a Tokio runtime.
    pub async fn start(config: BeeDevConfig) -> Result<Self, StartError> {
        if !(1..=MOST_NODES).contains(&config.nodes) {
            return Err(StartError::Nodes(config.nodes));
        }
        let network = Network::new(config)?;
        let mut running = Self { network, addresses: Vec::new(), servers: Vec::new() };
        for index in 0..running.network.nodes.len() {
            if let Err(error) = running.serve(index) {
                running.stop().await;
                return Err(error);
            }
        }
        Ok(running)
    }

    fn serve(&mut self, index: usize) -> Result<(), StartError> {
        let config = &self.network.config;
        let port = if config.port == 0 { 0 } else { config.port.saturating_add(index as u16) };
        let wanted = SocketAddr::new(config.host, port);
        let refused = |error| StartError::Listen(wanted, error);
        let listener = TcpListener::bind(wanted).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let api = web::Data::new(Api { network: Arc::clone(&self.network), index });
        let limit = web::PayloadConfig::new(config.store_bytes / 2);
        let app = move || {
            App::new()
                .app_data(api.clone())
                .app_data(limit.clone())
                .wrap(actix_web::middleware::from_fn(routes::delayed))
                .configure(routes::configure)
        };
        let server = HttpServer::new(app)
            .workers(1)
            .tcp_nodelay(true)
            .disable_signals()
            .shutdown_timeout(1)
            // As the real node does; clients must cope with it.
            .keep_alive(std::time::Duration::from_secs(30))
            .listen(listener)
            .map_err(refused)?
            .run();
        self.addresses.push(address);
        self.servers.push(server.handle());
        tokio::spawn(server);
        Ok(())
    }

    /// The API of each node, such as `http://127.0.0.1:40001`.
    pub fn urls(&self) -> Vec<String> {
        self.addresses.iter().map(|address| format!("http://{address}")).collect()
    }

    /// What goes wrong, to be changed at any time.
    pub fn faults(&self) -> FaultHandle {
        self.network.faults.clone()
    }

    /// Stops the nodes; open connections are cut.
    pub async fn stop(self) {
        self.network.faults.cut_subscriptions();
        for server in &self.servers {
            server.stop(false).await;
        }
    }
}
