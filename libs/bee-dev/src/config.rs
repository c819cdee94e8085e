//! What a development network is made of.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use t4t_clock::{SharedClock, SystemClock};
use t4t_types::{BLOCK_SECONDS, Xbzz};

use crate::Faults;

/// A development network.
#[derive(Clone, Debug)]
pub struct BeeDevConfig {
    /// How many nodes: 1 to 64. Default 2.
    pub nodes: usize,
    /// Where they listen. Default 127.0.0.1.
    pub host: IpAddr,
    /// The first node's port, the others follow; 0 takes free ones. Default 0.
    pub port: u16,
    /// Makes keys and batch ids repeatable; random ones without it.
    pub seed: Option<u64>,
    /// How long after its purchase a batch becomes usable. Default 0; on the live network ten blocks.
    pub stamp_usable_delay: Duration,
    /// How long a purchase, top-up or dilution takes. Default 0.
    pub transaction_delay: Duration,
    /// Time between blocks. Default 5 s.
    pub block_time: Duration,
    /// What a chunk costs for one block, in PLUR. Default 24,000.
    pub price: Xbzz,
    /// What each node's wallet holds. Default 10,000 xBZZ.
    pub balance: Xbzz,
    /// What each node's wallet holds for gas, in wei. Default 1 xDAI.
    pub native_balance: u128,
    /// Leading bits that a chunk must share with a node for its message to arrive there. Default 8.
    pub storage_radius: u8,
    /// Time between the pings of a subscription. Default 60 s.
    pub ping_period: Duration,
    /// Bytes of chunks that are kept; the oldest go first. Default 512 MiB.
    pub store_bytes: usize,
    /// What goes wrong from the start. Default nothing.
    pub faults: Faults,
    /// The clock of all waiting.
    pub clock: SharedClock,
}

impl Default for BeeDevConfig {
    fn default() -> Self {
        Self {
            nodes: 2,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            seed: None,
            stamp_usable_delay: Duration::ZERO,
            transaction_delay: Duration::ZERO,
            block_time: Duration::from_secs(BLOCK_SECONDS),
            price: Xbzz::from_plur(24_000),
            balance: Xbzz::from_whole(10_000),
            native_balance: 1_000_000_000_000_000_000,
            storage_radius: 8,
            ping_period: Duration::from_secs(60),
            store_bytes: 512 << 20,
            faults: Faults::default(),
            clock: SystemClock::shared(),
        }
    }
}
