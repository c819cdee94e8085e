//! Starting and stopping: what was left open is taken up, then messages are answered.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::settlement::{SettlementError, TransactionKey};
use t4t_api::{Desk, Settlement};
use t4t_clock::SharedClock;
use t4t_types::Address;
use tokio::task::JoinHandle;

use crate::assembly::{Assembled, assemble};
use crate::config::{SERVICE, SettlementConfig, SettlementDeps};
use crate::error::StartError;
use crate::intent::SendFunds;
use crate::service::SettlementService;
use crate::stop::Stop;
use crate::submission::Submission;
use crate::watching::Recovered;

/// How long the watch may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Pauses before a chain that could not be reached is tried again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Settlement at work.
pub struct Running {
    /// Where to ask.
    pub settlement: Arc<dyn Settlement>,
    submission: Arc<Submission>,
    stop: Arc<Stop>,
    watch: JoinHandle<()>,
    clock: SharedClock,
    wallet: Address,
    recovered: Recovered,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("wallet", &self.wallet).finish_non_exhaustive()
    }
}

impl SettlementService {
    /// Checks the chain, takes up what the last run left open, and answers messages from then on. Needs an actix
    /// system.
    ///
    /// # Errors
    /// [`StartError`], which says what to correct.
    pub async fn start(config: SettlementConfig, deps: SettlementDeps) -> Result<Running, StartError> {
        let slots = config.slots;
        Self::start_behind(config, deps, |service| Arc::new(Desk::start(SERVICE, service, slots))).await
    }

    /// The same without a mailbox: whoever asks is answered where it asks. For simulations on one thread, whose order
    /// of events is decided by a seed; what is asked is not bounded.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_without_mailbox(
        config: SettlementConfig,
        deps: SettlementDeps,
    ) -> Result<Running, StartError> {
        Self::start_behind(config, deps, |service| service).await
    }

    async fn start_behind(
        config: SettlementConfig,
        deps: SettlementDeps,
        front: impl FnOnce(Arc<Self>) -> Arc<dyn Settlement>,
    ) -> Result<Running, StartError> {
        let approves_early = config.approves_early;
        let assembled = assemble(config, deps);
        let recovered = assembled.startup.begin().await?;
        Ok(Running::new(assembled, recovered, approves_early, front))
    }

    /// As [`Self::start`], but waits for a chain that can't be reached, for as long as it takes; `waiting` is told each
    /// time.
    ///
    /// # Errors
    /// [`StartError`], where waiting would change nothing.
    pub async fn start_patiently(
        config: SettlementConfig,
        deps: SettlementDeps,
        waiting: impl Fn(&StartError),
    ) -> Result<Running, StartError> {
        let (slots, approves_early) = (config.slots, config.approves_early);
        let assembled = assemble(config, deps);
        let mut pause = FIRST_PAUSE;
        let recovered = loop {
            match assembled.startup.begin().await {
                Ok(recovered) => break recovered,
                Err(error) if error.is_passing() => waiting(&error),
                Err(error) => return Err(error),
            }
            assembled.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        let front = |service| -> Arc<dyn Settlement> { Arc::new(Desk::start(SERVICE, service, slots)) };
        Ok(Running::new(assembled, recovered, approves_early, front))
    }
}

impl Running {
    fn new(
        assembled: Assembled,
        recovered: Recovered,
        approves_early: bool,
        front: impl FnOnce(Arc<SettlementService>) -> Arc<dyn Settlement>,
    ) -> Self {
        let Assembled { service, watch, stop, clock, .. } = assembled;
        let (stopping, time) = (Arc::clone(&stop), clock.clone());
        let watch = tokio::spawn(async move { watch.run(&stopping, &time).await });
        let submission = Arc::clone(&service.submission);
        if approves_early {
            let submission = Arc::clone(&submission);
            tokio::spawn(async move { submission.approve_early().await });
        }
        let wallet = service.wallet.address();
        Self { settlement: front(Arc::new(service)), submission, stop, watch, clock, wallet, recovered }
    }

    /// The wallet's address.
    pub const fn wallet(&self) -> Address {
        self.wallet
    }

    /// Signs, stores and sends a transaction that sends money away; whoever waits for its block asks for the key. What
    /// it takes beside this call, a password or the operator's word, is the caller's to ask for.
    ///
    /// # Errors
    /// The wallet holds too little, nobody would get it, or the chain can't be used.
    pub async fn send_funds(&self, funds: SendFunds) -> Result<TransactionKey, SettlementError> {
        self.submission.send_funds(funds).await
    }

    /// What the last run left open, and what became of it at the start.
    pub const fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Signs nothing more and ends the watch. What is open stays stored for the next start.
    pub async fn stop(mut self) {
        self.stop.stop();
        match t4t_clock::timeout(&*self.clock, STOP_LIMIT, &mut self.watch).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the watch over transactions ended badly"),
            // It waits for the chain. What it does is safe to cut off anywhere.
            Err(t4t_clock::Elapsed) => self.watch.abort(),
        }
    }
}
