//! Postage that is looked after for as long as the process lives.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use t4t_clock::{SharedClock, timeout};
use t4t_runtime::config::SwarmSettings;
use t4t_runtime::health::Component;
use t4t_swarm::{Bee, BeeConfig, StampKeeper, StampKeeperConfig, Standing, SwarmError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// How often a batch is looked for while there is none, or looked at while something is amiss.
const RETRY: Duration = Duration::from_secs(5);

/// How often the batch in use is looked at.
const LOOK: Duration = Duration::from_secs(15);

/// How often the batch in use is looked after: topped up, diluted.
const UPKEEP_MS: u64 = 300_000;

/// How often a batch that pays for nothing is let go, so that another one is looked for.
const LET_GO_EVERY_MS: u64 = 60_000;

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
        let upkeep = Upkeep {
            keeper: Arc::clone(&keeper),
            clock: Arc::clone(&clock),
            component,
            found,
            is_managed: settings.stamps.manage && settings.batch.is_none(),
            done_at_ms: 0,
            let_go_at_ms: 0,
        };
        let task = tokio::spawn(upkeep.run());
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

/// Looks after the batch in use.
struct Upkeep {
    keeper: Arc<StampKeeper>,
    clock: SharedClock,
    component: Component,
    found: watch::Sender<bool>,
    is_managed: bool,
    done_at_ms: u64,
    let_go_at_ms: u64,
}

impl Upkeep {
    async fn run(mut self) {
        loop {
            let pause = match self.once().await {
                Ok(Standing::Good) => {
                    self.component.ready();
                    LOOK
                }
                Ok(Standing::Ending(reason)) => {
                    self.component.ready_but(reason, self.remedy());
                    LOOK
                }
                Ok(Standing::Spent(reason)) => {
                    self.component.not_ready(reason, self.remedy());
                    self.let_go_now_and_then();
                    RETRY
                }
                Err(error) => {
                    self.component.not_ready(chain_of(&error), next_step(&error));
                    RETRY
                }
            };
            self.clock.sleep(pause).await;
        }
    }

    /// Finds a batch where there is none, feeds it now and then, and looks how it stands.
    async fn once(&mut self) -> Result<Standing, SwarmError> {
        self.keeper.resolve().await?;
        self.found.send_replace(true);
        let now_ms = self.clock.unix_millis();
        if now_ms.saturating_sub(self.done_at_ms) >= UPKEEP_MS {
            self.done_at_ms = now_ms;
            match self.keeper.tick().await {
                Ok(done) if done != Default::default() => info!(?done, "postage looked after"),
                Ok(_) => {}
                Err(error) => warn!(error = chain_of(&error), "postage could not be looked after"),
            }
        }
        self.keeper.look().await
    }

    /// Another batch may be there to take its place, now or later.
    fn let_go_now_and_then(&mut self) {
        let now_ms = self.clock.unix_millis();
        if now_ms.saturating_sub(self.let_go_at_ms) >= LET_GO_EVERY_MS {
            self.let_go_at_ms = now_ms;
            self.keeper.let_go();
        }
    }

    fn remedy(&self) -> &'static str {
        if self.is_managed {
            "send xBZZ to the Bee node's wallet, or set POSTAGE_BATCH_ID to another batch"
        } else {
            "top it up or dilute it at the Bee node, or set POSTAGE_BATCH_ID to another batch"
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
