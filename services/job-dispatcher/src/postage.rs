//! Postage that is looked after for as long as the process lives.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use t4t_clock::{SharedClock, timeout};
use t4t_runtime::config::SwarmSettings;
use t4t_runtime::health::Component;
use t4t_swarm::{Bee, BeeConfig, StampKeeper, StampKeeperConfig, SwarmError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// How often a batch is looked for while there is none.
const RETRY: Duration = Duration::from_secs(10);

/// How often the batch in use is looked after.
const UPKEEP: Duration = Duration::from_secs(300);

/// Swarm with postage.
#[derive(Debug)]
pub struct Postage {
    keeper: Arc<StampKeeper>,
    task: JoinHandle<()>,
}

impl Postage {
    /// Looks for a batch, or buys one where that is allowed, until there is one, and keeps it alive from then on.
    ///
    /// Returns once there is one, or after `patience`: a purchase takes minutes, and much can be done meanwhile. What is
    /// missing is said on `component`.
    ///
    /// # Errors
    /// The node's address can't be used.
    pub async fn start(
        settings: &SwarmSettings,
        state_file: PathBuf,
        clock: SharedClock,
        component: Component,
        patience: Duration,
    ) -> Result<Self, SwarmError> {
        let bee = Bee::new(BeeConfig::new(settings.bee_url.clone()), Arc::clone(&clock))?;
        let keeper = Arc::new(StampKeeper::new(bee, keeper_config(settings, state_file)));
        let (found, mut is_found) = watch::channel(false);
        let task = tokio::spawn(look_after(Arc::clone(&keeper), Arc::clone(&clock), component, found));
        // Both outcomes are fine: the search goes on by itself.
        let _ = timeout(&*clock, patience, is_found.wait_for(|found| *found)).await;
        Ok(Self { keeper, task })
    }

    /// Who pays for uploads and messages.
    pub fn keeper(&self) -> Arc<StampKeeper> {
        Arc::clone(&self.keeper)
    }

    /// Looks after it no longer.
    pub fn stop(self) {
        self.task.abort();
    }
}

fn keeper_config(settings: &SwarmSettings, state_file: PathBuf) -> StampKeeperConfig {
    let stamps = &settings.stamps;
    StampKeeperConfig {
        batch: settings.batch,
        state_file: Some(state_file),
        manage: stamps.manage,
        dry_run: stamps.dry_run,
        label: stamps.label.clone(),
        depth: stamps.depth,
        ttl_days: stamps.ttl_days,
        min_ttl_days: stamps.min_ttl_days,
        max_utilization: stamps.max_utilization,
        max_depth: stamps.max_depth,
        ..StampKeeperConfig::default()
    }
}

async fn look_after(
    keeper: Arc<StampKeeper>,
    clock: SharedClock,
    component: Component,
    found: watch::Sender<bool>,
) {
    while let Err(error) = keeper.resolve().await {
        component.not_ready(chain_of(&error), next_step(&error));
        clock.sleep(RETRY).await;
    }
    component.ready();
    found.send_replace(true);
    loop {
        clock.sleep(UPKEEP).await;
        match keeper.tick().await {
            Ok(done) if done != Default::default() => info!(?done, "postage looked after"),
            Ok(_) => {}
            Err(error) => warn!(error = chain_of(&error), "postage could not be looked after"),
        }
    }
}

fn next_step(error: &SwarmError) -> &'static str {
    match error {
        SwarmError::Unreachable(_) | SwarmError::TimedOut(_) => "start Bee, or correct BEE_API_URL",
        SwarmError::NoStamp => "set T4T_STAMP_MANAGE=true, or buy a batch and set POSTAGE_BATCH_ID",
        SwarmError::OutOfFunds(_) => "send xBZZ to the Bee node's wallet",
        SwarmError::NotFound(_) | SwarmError::StampUnusable { .. } => {
            "wait until the batch is usable, or correct POSTAGE_BATCH_ID"
        }
        _ => "look at Bee's log",
    }
}

/// An error with its causes, on one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
