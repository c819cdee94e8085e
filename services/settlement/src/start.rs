//! Starting and stopping: the chain is what the configuration says, what was left open is taken up, then messages are
//! answered.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::settlement::{SettlementError, TransactionKey};
use t4t_api::{Desk, Settlement};
use t4t_chain::ChainError;
use t4t_types::Address;
use tokio::task::JoinHandle;

use crate::config::{SettlementConfig, SettlementDeps};
use crate::core::{Core, SERVICE};
use crate::error::StartError;
use crate::intent::SendFunds;
use crate::recovery::Recovered;
use crate::service::SettlementService;
use crate::watch;

/// How long the watch may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Pauses before a chain that could not be reached is tried again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Blocks whose average distance says how fast the chain is.
const INTERVAL_BLOCKS: u64 = 8;

/// Settlement at work.
pub struct Running {
    /// Where to ask.
    pub settlement: Arc<dyn Settlement>,
    core: Arc<Core>,
    recovered: Recovered,
    watch: JoinHandle<()>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("wallet", &self.wallet()).finish_non_exhaustive()
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
        let core = Arc::new(Core::new(config, deps));
        let recovered = core.begin().await?;
        Ok(Self::run(core, recovered, front))
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
        let slots = config.slots;
        let core = Arc::new(Core::new(config, deps));
        let mut pause = FIRST_PAUSE;
        let recovered = loop {
            match core.begin().await {
                Ok(recovered) => break recovered,
                Err(error) if error.is_passing() => waiting(&error),
                Err(error) => return Err(error),
            }
            core.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        Ok(Self::run(core, recovered, |service| Arc::new(Desk::start(SERVICE, service, slots))))
    }

    fn run(
        core: Arc<Core>,
        recovered: Recovered,
        front: impl FnOnce(Arc<Self>) -> Arc<dyn Settlement>,
    ) -> Running {
        let watch = tokio::spawn(watch::run(Arc::clone(&core)));
        if core.config.approves_early {
            let core = Arc::clone(&core);
            tokio::spawn(async move { core.approve_early().await });
        }
        let settlement = front(Arc::new(Self { core: Arc::clone(&core) }));
        Running { settlement, core, recovered, watch }
    }
}

impl Running {
    /// The wallet's address.
    pub fn wallet(&self) -> Address {
        self.core.scope.wallet
    }

    /// Signs, stores and sends a transaction that sends money away; whoever waits for its block asks for the key. What
    /// it takes beside this call, a password or the operator's word, is the caller's to ask for.
    ///
    /// # Errors
    /// The wallet holds too little, nobody would get it, or the chain can't be used.
    pub async fn send_funds(&self, funds: SendFunds) -> Result<TransactionKey, SettlementError> {
        self.core.send_funds(funds).await
    }

    /// What the last run left open, and what became of it at the start.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Signs nothing more and ends the watch. What is open stays stored for the next start.
    pub async fn stop(mut self) {
        self.core.stop();
        match t4t_clock::timeout(&*self.core.clock, STOP_LIMIT, &mut self.watch).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the watch over transactions ended badly"),
            // It waits for the chain. What it does is safe to cut off anywhere.
            Err(t4t_clock::Elapsed) => self.watch.abort(),
        }
    }
}

impl Core {
    /// Checks the chain and takes up what the last run left open.
    async fn begin(&self) -> Result<Recovered, StartError> {
        self.check_owner().await?;
        self.check_chain().await?;
        self.read_pace().await?;
        self.recover().await.map_err(StartError::Recovery)
    }

    /// What another wallet left open here could never be settled by this one.
    async fn check_owner(&self) -> Result<(), StartError> {
        let opened = self.scope.wallet;
        match self.store.transactions_other_wallet(self.scope).await? {
            Some(owner) => Err(StartError::OtherWallet { owner, opened }),
            None => Ok(()),
        }
    }

    async fn check_chain(&self) -> Result<(), StartError> {
        self.rpc.verify_chain(self.config.chain_id).await.map_err(|error| match error {
            ChainError::WrongChain { expected, got } => StartError::WrongChain { expected, got },
            cause => StartError::Chain(cause),
        })?;
        let contracts = self.config.contracts;
        let escrow = contracts.registry().escrow(&self.rpc).await;
        let escrow = escrow.map_err(|cause| self.not_there("registry", cause))?;
        let registry = contracts.escrow().registry(&self.rpc).await;
        let registry = registry.map_err(|cause| self.not_there("escrow", cause))?;
        let token = contracts.escrow().xbzz(&self.rpc).await;
        let token = token.map_err(|cause| self.not_there("escrow", cause))?;
        let balance = contracts.token().balance_of(&self.rpc, self.scope.wallet).await;
        balance.map_err(|cause| self.not_there("token", cause))?;
        same("registry", escrow, contracts.escrow)?;
        same("escrow", registry, contracts.registry)?;
        same("escrow", token, contracts.token)
    }

    fn not_there(&self, contract: &'static str, error: ChainError) -> StartError {
        let chain_id = self.config.chain_id;
        match error {
            ChainError::NoContract { address } => StartError::NoContract { contract, address, chain_id },
            cause => StartError::Chain(cause),
        }
    }

    /// Reads the newest block and how fast blocks come.
    async fn read_pace(&self) -> Result<(), StartError> {
        let newest = self.rpc.latest_block().await.map_err(StartError::Chain)?;
        self.heads.note(&newest, self.now_ms());
        let blocks = INTERVAL_BLOCKS.min(newest.number);
        let earlier = self.rpc.block_by_number(newest.number - blocks).await.map_err(StartError::Chain)?;
        let took_ms = earlier.map(|earlier| newest.timestamp.since(earlier.timestamp).saturating_mul(1000));
        if let Some(interval_ms) = took_ms.and_then(|took| took.checked_div(blocks)) {
            self.heads.note_interval(interval_ms);
        }
        Ok(())
    }
}

fn same(contract: &'static str, found: Address, expected: Address) -> Result<(), StartError> {
    if found == expected { Ok(()) } else { Err(StartError::ContractMismatch { contract, found, expected }) }
}
