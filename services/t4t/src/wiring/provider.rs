//! A provider in one process: `job-dispatcher` (selling) ► `registry-watcher`, `settlement`, `inference-runner`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use t4t_api::Selling;
use t4t_api::job_dispatcher::GetSellingStatus;
use t4t_clock::SharedClock;
use t4t_crypto::WalletKey;
use t4t_inference_runner::{Endpoints, Runner, RunnerConfig, RunnerDeps};
use t4t_job_dispatcher::selling::{SellingConfig, SellingDeps, SellingService};
use t4t_runtime::Readiness;
use t4t_runtime::Settings;
use t4t_runtime::config::ProviderSettings;
use t4t_runtime::health::Component;
use tokio::task::JoinHandle;

use super::ground::Ground;

/// How often the selling side is asked how it does.
const STATUS_PAUSE: Duration = Duration::from_secs(5);

/// A provider that runs.
#[derive(Debug)]
pub(crate) struct Provider {
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
    pub(crate) async fn start(settings: Settings, wallet: WalletKey) -> anyhow::Result<Self> {
        let provider = ProviderSettings::from_settings(&settings)?;
        let endpoints = Endpoints::load(&provider.endpoints_file)?;
        let ground = Box::pin(Ground::start(&settings, wallet)).await?;
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
        let component = ground.readiness.component("selling");
        let status_watch =
            tokio::spawn(watch_status(selling.selling(), Arc::clone(&ground.clock), component));
        let leaves_when_stopped = provider.deactivate_on_shutdown;
        Ok(Self { ground, runner, selling, status_watch, leaves_when_stopped })
    }

    /// Where the parts say whether they are ready.
    pub(crate) fn readiness(&self) -> Readiness {
        self.ground.readiness.clone()
    }

    /// Stops it: jobs under way end first, or are taken up by the next start.
    pub(crate) async fn stop(self) {
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

/// Says while the provider sells nothing.
async fn watch_status(selling: Arc<dyn Selling>, clock: SharedClock, component: Component) {
    let mut was_on_offer = false;
    loop {
        match selling.ask(GetSellingStatus {}).await.map(|status| (status.refusing, status.on_offer)) {
            Ok((Some(reason), _)) => component.not_ready(reason, "see `t4t doctor --role provider`"),
            Ok((None, true)) => {
                was_on_offer = true;
                component.ready();
            }
            Ok((None, false)) if was_on_offer => {
                component.not_ready(
                    "the registry no longer shows it as live",
                    "look at the log for its heartbeat",
                );
            }
            // Registering takes some blocks; until then it is starting.
            Ok((None, false)) => {}
            Err(error) => component.not_ready(error.to_string(), "look at the log"),
        }
        clock.sleep(STATUS_PAUSE).await;
    }
}
