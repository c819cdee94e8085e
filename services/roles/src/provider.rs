//! A provider in one process: `job-dispatcher` (selling) ► `registry-watcher`, `settlement`, `inference-runner`.

use std::sync::Arc;

use anyhow::Context;
use t4t_crypto::WalletKey;
use t4t_inference_runner::{Endpoints, Runner, RunnerConfig, RunnerDeps};
use t4t_job_dispatcher::selling::{SellingConfig, SellingDeps, SellingService, watch_readiness};
use t4t_runtime::Readiness;
use t4t_runtime::Settings;
use t4t_runtime::config::ProviderSettings;
use t4t_runtime::telemetry::LogConfig;
use tokio::task::JoinHandle;

use crate::ground::{Ground, Role};

/// A provider that runs.
#[derive(Debug)]
pub struct Provider {
    ground: Ground,
    runner: t4t_inference_runner::Running,
    selling: t4t_job_dispatcher::selling::Running,
    status_watch: JoinHandle<()>,
    leaves_when_stopped: bool,
}

impl Provider {
    /// Starts a provider for the wallet.
    ///
    /// # Errors
    /// A service does not start; the error says what to change.
    pub async fn start(settings: Settings, wallet: WalletKey) -> anyhow::Result<Self> {
        Self::start_with(settings, wallet, Readiness::new(env!("CARGO_PKG_VERSION"))).await
    }

    /// The same with a board that is shown already: a chain that can't be reached is waited for.
    ///
    /// # Errors
    /// A service does not start; the error says what to change.
    pub async fn start_with(
        settings: Settings,
        wallet: WalletKey,
        readiness: Readiness,
    ) -> anyhow::Result<Self> {
        let provider = ProviderSettings::from_settings(&settings)?;
        let endpoints = Endpoints::load(&provider.endpoints_file)?;
        let ground = Box::pin(Ground::start(&settings, wallet, readiness, Role::Provider)).await?;
        let config = RunnerConfig::from_settings(&provider, endpoints);
        let deps = RunnerDeps {
            clock: Arc::clone(&ground.clock),
            dispatcher: None,
            readiness: ground.readiness.clone(),
        };
        let runner =
            Box::pin(Runner::start(config, deps)).await.context("the inference runner does not start")?;
        let deps = SellingDeps {
            wallet: ground.wallet(),
            sealing_key: ground.sealing_key().await?,
            watcher: ground.watcher(),
            settlement: ground.settlement(),
            courier: ground.courier().await,
            runner: Some(runner.mailbox()),
            token: None,
            store: ground.store.clone(),
            clock: Arc::clone(&ground.clock),
        };
        let selling = SellingService::start(SellingConfig::from(&provider), deps);
        let selling = Box::pin(selling).await.context("the selling side does not start")?;
        ground.taken_up().and(selling.recovered().into()).tell(LogConfig::from_settings(&settings)?.format);
        let component = ground.readiness.quiet_component("selling");
        let status_watch =
            tokio::spawn(watch_readiness(selling.selling(), Arc::clone(&ground.clock), component));
        let leaves_when_stopped = provider.deactivate_on_shutdown;
        Ok(Self { ground, runner, selling, status_watch, leaves_when_stopped })
    }

    /// Stops it: jobs under way end first, or are taken up by the next start.
    pub async fn stop(self) {
        self.status_watch.abort();
        if self.leaves_when_stopped
            && let Err(reason) = self.selling.leave().await
        {
            tracing::error!(reason, "the provider could not leave the market (T4T_DEACTIVATE_ON_SHUTDOWN)");
        }
        self.selling.stop().await;
        self.runner.stop().await;
        self.ground.stop().await;
    }
}
