//! A gateway in one process: `openai-api` ► `job-dispatcher` (buying) ► `registry-watcher`, `settlement`.

use std::sync::Arc;

use anyhow::Context;
use t4t_crypto::WalletKey;
use t4t_job_dispatcher::buying::{BuyingConfig, BuyingDeps, BuyingService};
use t4t_openai_api::{OpenAiApi, OpenAiConfig, OpenAiDeps};
use t4t_runtime::Settings;
use t4t_runtime::config::GatewaySettings;

use super::ground::Ground;

/// A gateway that runs.
#[derive(Debug)]
pub(crate) struct Gateway {
    ground: Ground,
    buying: t4t_job_dispatcher::buying::Running,
    api: t4t_openai_api::Running,
}

impl Gateway {
    /// Starts a gateway for the wallet.
    ///
    /// # Errors
    /// A service does not start; the error says what to change.
    pub(crate) async fn start(settings: Settings, wallet: WalletKey) -> anyhow::Result<Self> {
        let gateway = GatewaySettings::from_settings(&settings)?;
        let ground = Box::pin(Ground::start(&settings, wallet)).await?;
        let deps = BuyingDeps {
            wallet: ground.wallet(),
            sealing_key: ground.sealing_key().await?,
            watcher: ground.watcher(),
            settlement: ground.settlement(),
            courier: ground.courier().await,
            store: ground.store.clone(),
            clock: Arc::clone(&ground.clock),
        };
        let buying = BuyingService::start(BuyingConfig::from(&gateway), deps);
        let buying = Box::pin(buying).await.context("the buying side does not start")?;
        let deps = OpenAiDeps {
            buying: buying.buying(),
            watcher: ground.watcher(),
            clock: Arc::clone(&ground.clock),
        };
        let api = OpenAiApi::start(OpenAiConfig::from(&gateway), deps)?;
        Ok(Self { ground, buying, api })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.api.addr())
    }

    /// Stops it: first the edge, so that no new work comes in.
    pub(crate) async fn stop(self) {
        self.api.stop().await;
        self.buying.stop().await;
        self.ground.stop().await;
    }
}
