//! What the watcher is told when it starts.

use std::time::Duration;

use t4t_chain::{ContractAddresses, LogScanner, Rpc};
use t4t_clock::SharedClock;
use t4t_store::Store;

/// How the watcher works.
#[derive(Clone, Debug)]
pub struct WatcherConfig {
    /// The contracts.
    pub contracts: ContractAddresses,
    /// Time between two looks at a chain whose rhythm is not known. Default 1 s.
    pub poll_idle: Duration,
    /// Time between two looks after [`LookClosely`](t4t_api::registry_watcher::LookClosely); no number of hints makes
    /// it shorter. Default 100 ms.
    pub poll_close: Duration,
    /// Blocks before the head whose events are read on the very first start. Default 20,000: a day on Gnosis Chain.
    pub backfill_blocks: u64,
    /// Blocks whose events are read at most after a long pause; older ones are left out. Default 120,960: a week on
    /// Gnosis Chain.
    pub catch_up_blocks: u64,
    /// Blocks before the last one read whose events are looked at again, because a reorganisation may have changed
    /// them. Default 12.
    pub overlap: u64,
    /// Providers of one page of the registry's list. Default 100.
    pub list_page: u64,
    /// Time between two readings of the whole registry, which mend whatever events did not tell. Default 10 min.
    pub reread_interval: Duration,
    /// Time between two readings of providers about which nothing urgent is known, such as their counts of jobs.
    /// Default 3 s.
    pub refresh_interval: Duration,
    /// How long events about jobs are kept. Default 7 days.
    pub event_retention: Duration,
    /// Events about jobs that are kept at most. Default 1,000,000, which take about 300 MiB.
    pub event_limit: u64,
    /// Messages worked on at a time; each open stream of events is one. Default 1,024.
    pub slots: usize,
}

impl WatcherConfig {
    /// The defaults for a market's contracts.
    pub const fn new(contracts: ContractAddresses) -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            contracts,
            poll_idle: Duration::from_secs(1),
            poll_close: Duration::from_millis(100),
            backfill_blocks: 20_000,
            catch_up_blocks: 7 * DAY / t4t_types::BLOCK_SECONDS,
            overlap: LogScanner::DEFAULT_OVERLAP,
            list_page: 100,
            reread_interval: Duration::from_secs(600),
            refresh_interval: Duration::from_secs(3),
            event_retention: Duration::from_secs(7 * DAY),
            event_limit: 1_000_000,
            slots: 1024,
        }
    }
}

/// What the watcher works with.
#[derive(Clone, Debug)]
pub struct WatcherDeps {
    /// The chain.
    pub rpc: Rpc,
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: SharedClock,
}

/// A duration as the clock counts.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
