//! The development network by itself.

use std::net::IpAddr;

use clap::Parser;
use t4t_bee_dev::{BeeDev, BeeDevConfig, Faults};
use tracing::info;

/// Runs Bee-compatible nodes for development; faults at `/dev/faults` of each.
#[derive(Parser)]
#[command(name = "t4t-bee-dev")]
struct Arguments {
    /// How many nodes.
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    /// The first node's port; the others follow.
    #[arg(long, default_value_t = 1633)]
    port: u16,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Makes keys and batch ids repeatable.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let Arguments { nodes, port, host, seed } = Arguments::parse();
    let faults = Faults::realistic();
    let network =
        BeeDev::start(BeeDevConfig { nodes, port, host, seed, faults, ..BeeDevConfig::default() }).await?;
    for url in network.urls() {
        info!(url, "a node listens");
    }
    tokio::signal::ctrl_c().await?;
    network.stop().await;
    Ok(())
}
