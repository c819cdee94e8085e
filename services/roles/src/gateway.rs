//! A gateway in one process: `openai-api` ► `job-dispatcher` (buying) ► `registry-watcher`, `settlement`.

use std::sync::Arc;

use anyhow::Context;
use t4t_api::{Buying, Late, RegistryWatcher};
use t4t_clock::SystemClock;
use t4t_crypto::WalletKey;
use t4t_job_dispatcher::buying::{BuyingConfig, BuyingDeps, BuyingService};
use t4t_openai_api::{OpenAiApi, OpenAiConfig, OpenAiDeps};
use t4t_runtime::config::GatewaySettings;
use t4t_runtime::telemetry::LogConfig;
use t4t_runtime::{Readiness, Settings};

use crate::ground::{Ground, Role};

/// A gateway that runs.
#[derive(Debug)]
pub struct Gateway {
    ground: Ground,
    buying: t4t_job_dispatcher::buying::Running,
    api: t4t_openai_api::Running,
}

impl Gateway {
    /// Starts a gateway for the wallet. It listens at once and tells apps to come back, for as long as its chain can't
    /// be reached.
    ///
    /// # Errors
    /// A service does not start; the error says what to change.
    pub async fn start(settings: Settings, wallet: WalletKey) -> anyhow::Result<Self> {
        let gateway = GatewaySettings::from_settings(&settings)?;
        let readiness = Readiness::new(env!("CARGO_PKG_VERSION"));
        let buying: Late<dyn Buying> = Late::new("gateway");
        let watcher: Late<dyn RegistryWatcher> = Late::new("gateway");
        let deps = OpenAiDeps {
            buying: Arc::new(buying.clone()),
            watcher: Arc::new(watcher.clone()),
            readiness: readiness.clone(),
            clock: SystemClock::shared(),
        };
        let api = OpenAiApi::start(OpenAiConfig::from(&gateway), deps)?;
        let ground = Box::pin(Ground::start(&settings, wallet, readiness, Role::Gateway)).await?;
        watcher.arrive(ground.watcher());
        let deps = BuyingDeps {
            wallet: ground.wallet(),
            sealing_key: ground.sealing_key().await?,
            watcher: ground.watcher(),
            settlement: ground.settlement(),
            courier: ground.courier().await,
            store: ground.store.clone(),
            clock: Arc::clone(&ground.clock),
        };
        let running = BuyingService::start(BuyingConfig::from(&gateway), deps);
        let running = Box::pin(running).await.context("the buying side does not start")?;
        ground.taken_up().and(running.recovered().into()).tell(LogConfig::from_settings(&settings)?.format);
        buying.arrive(running.buying());
        Ok(Self { ground, buying: running, api })
    }

    /// The board that `/ready` shows.
    pub fn readiness(&self) -> Readiness {
        self.ground.readiness.clone()
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.api.addr())
    }

    /// Stops it: first the edge, so that no new work comes in.
    pub async fn stop(self) {
        self.api.stop().await;
        self.buying.stop().await;
        self.ground.stop().await;
    }
}
