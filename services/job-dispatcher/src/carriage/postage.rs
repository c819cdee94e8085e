//! Postage that is looked after for as long as the process lives, and whether the Bee node carries anything.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use t4t_clock::{SharedClock, timeout};
use t4t_runtime::Readiness;
use t4t_runtime::config::SwarmSettings;
use t4t_runtime::health::Component;
use t4t_swarm::{
    Bee, BeeConfig, SpendingLimits, StampKeeper, StampKeeperConfig, Standing, SwarmError, SwarmTrouble,
};
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

/// How long a message that a node sends to itself may take: light nodes that receive pull it within some seconds.
const HEARD_WITHIN: Duration = Duration::from_secs(15);

/// How often a node that hears nothing is tried again: each try takes a stamp.
const HEAR_AGAIN_MS: u64 = 60_000;

/// Swarm with postage.
#[derive(Debug)]
pub struct Postage {
    keeper: Arc<StampKeeper>,
    tasks: [JoinHandle<()>; 2],
}

impl Postage {
    /// Looks for a batch, or buys one where that is allowed, until there is one, and keeps it alive from then on.
    ///
    /// Returns once there is one, or after `patience`: a purchase takes minutes, and much can be done meanwhile. What is
    /// missing is said on the board: of `postage` whether there is a batch that pays, of `bee` whether the node passes on
    /// what it is given and receives messages.
    ///
    /// # Errors
    /// The node's address can't be used.
    pub async fn start(
        settings: &SwarmSettings,
        state_file: PathBuf,
        clock: SharedClock,
        board: &Readiness,
        patience: Duration,
    ) -> Result<Self, SwarmError> {
        let bee = Bee::new(BeeConfig::new(settings.bee_url.clone()), Arc::clone(&clock))?;
        let keeper = Arc::new(StampKeeper::new(bee, keeper_config(settings, Some(state_file))));
        let (found, mut is_found) = watch::channel(false);
        let upkeep = Upkeep {
            keeper: Arc::clone(&keeper),
            clock: Arc::clone(&clock),
            component: board.component("postage"),
            found,
            done_at_ms: 0,
            let_go_at_ms: 0,
        };
        let probe = Probe {
            keeper: Arc::clone(&keeper),
            clock: Arc::clone(&clock),
            component: board.component("bee"),
            passes_on: false,
            hears: false,
            deaf: None,
            tried_at_ms: 0,
        };
        let tasks = [tokio::spawn(upkeep.run()), tokio::spawn(probe.run())];
        // Both outcomes are fine: the search goes on by itself.
        let _ = timeout(&*clock, patience, is_found.wait_for(|found| *found)).await;
        Ok(Self { keeper, tasks })
    }

    /// Who pays for uploads and messages.
    pub fn keeper(&self) -> Arc<StampKeeper> {
        Arc::clone(&self.keeper)
    }

    /// Looks after it no longer.
    pub fn stop(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// How batches are kept, as the operator set it.
pub fn keeper_config(settings: &SwarmSettings, state_file: Option<PathBuf>) -> StampKeeperConfig {
    let stamps = &settings.stamps;
    StampKeeperConfig {
        batch: settings.batch,
        state_file,
        manage: stamps.manage,
        dry_run: stamps.dry_run,
        label: stamps.label.clone(),
        depth: stamps.depth,
        ttl_days: stamps.ttl_days,
        min_ttl_days: stamps.min_ttl_days,
        max_utilization: stamps.max_utilization,
        max_depth: stamps.max_depth,
        limits: SpendingLimits { once: stamps.max_spend, a_month: stamps.max_monthly_spend },
        ..StampKeeperConfig::default()
    }
}

/// Looks after the batch in use.
struct Upkeep {
    keeper: Arc<StampKeeper>,
    clock: SharedClock,
    component: Component,
    found: watch::Sender<bool>,
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
                    self.component.ready_but(reason, self.keeper.remedy());
                    LOOK
                }
                Ok(Standing::Spent(reason)) => {
                    self.component.not_ready(reason, self.keeper.remedy());
                    self.let_go_now_and_then();
                    RETRY
                }
                Err(error) => {
                    say(&self.component, &SwarmTrouble::from(&error));
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
        let mut unfed = None;
        if now_ms.saturating_sub(self.done_at_ms) >= UPKEEP_MS {
            self.done_at_ms = now_ms;
            match self.keeper.tick().await {
                Ok(done) if done != Default::default() => info!(?done, "postage looked after"),
                Ok(_) => {}
                Err(error) => {
                    warn!(error = SwarmTrouble::from(&error).reason, "postage could not be looked after");
                    unfed = Some(error);
                }
            }
        }
        match (self.keeper.look().await?, unfed) {
            // It ends because somebody has to do something first: said instead of that it ends.
            (Standing::Ending(reason), Some(error)) => Ok(Standing::Ending(format!("{reason}: {error}"))),
            (standing, _) => Ok(standing),
        }
    }

    /// Another batch may be there to take its place, now or later.
    fn let_go_now_and_then(&mut self) {
        let now_ms = self.clock.unix_millis();
        if now_ms.saturating_sub(self.let_go_at_ms) >= LET_GO_EVERY_MS {
            self.let_go_at_ms = now_ms;
            self.keeper.let_go();
        }
    }
}

/// Finds out whether the node carries anything: what it says of itself proves nothing.
struct Probe {
    keeper: Arc<StampKeeper>,
    clock: SharedClock,
    component: Component,
    /// It did since it was last in doubt.
    passes_on: bool,
    /// A message of its own arrived since it was last in doubt.
    hears: bool,
    /// Why not.
    deaf: Option<SwarmTrouble>,
    tried_at_ms: u64,
}

impl Probe {
    async fn run(mut self) {
        loop {
            match self.once().await {
                Ok(None) => self.component.ready(),
                Ok(Some(trouble)) => say(&self.component, &trouble),
                // Without a batch nothing can be tried; the postage's own line says what is missing.
                Err(SwarmError::NoStamp) => {}
                Err(error) => {
                    // A node that was away may have come back as another.
                    (self.passes_on, self.hears) = (false, false);
                    say(&self.component, &SwarmTrouble::from(&error));
                }
            }
            self.clock.sleep(RETRY).await;
        }
    }

    async fn once(&mut self) -> Result<Option<SwarmTrouble>, SwarmError> {
        if self.keeper.batch().is_none() {
            return Err(SwarmError::NoStamp);
        }
        self.keeper.bee().health().await?;
        if !self.passes_on || self.keeper.stuck_trouble().is_some() {
            self.passes_on = false;
            if let Some(stuck) = self.keeper.probe_outbound().await? {
                return Ok(Some(stuck));
            }
            self.passes_on = true;
        }
        self.listen().await?;
        Ok(self.deaf.clone())
    }

    async fn listen(&mut self) -> Result<(), SwarmError> {
        let now_ms = self.clock.unix_millis();
        if self.hears || now_ms.saturating_sub(self.tried_at_ms) < HEAR_AGAIN_MS {
            return Ok(());
        }
        self.tried_at_ms = now_ms;
        let Some(batch) = self.keeper.batch() else { return Ok(()) };
        self.hears = self.keeper.bee().hears_itself(&batch, HEARD_WITHIN).await?;
        self.deaf = (!self.hears).then(deaf);
        Ok(())
    }
}

/// What is wrong with a node that messages don't reach.
pub fn deaf() -> SwarmTrouble {
    let seconds = HEARD_WITHIN.as_secs();
    SwarmTrouble::new(
        format!("the Bee node receives no messages: one to itself did not arrive in {seconds} s"),
        "run Bee with full-node: true (light nodes send messages and receive none), and look at its log",
    )
}

fn say(component: &Component, trouble: &SwarmTrouble) {
    component.not_ready(trouble.reason.as_str(), trouble.next_step.as_str());
}
