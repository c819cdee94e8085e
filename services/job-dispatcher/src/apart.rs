//! A side of the dispatcher apart from the services it needs, which it reaches over HTTP.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use t4t_api::settlement::{GetAccount, SettlementError};
use t4t_api::{Buying, HttpClient, HttpClientConfig, Late, Selling, Serve, TransportError};
use t4t_clock::{SharedClock, SystemClock};
use t4t_crypto::SealingKey;
use t4t_job_dispatcher::buying::{BuyingConfig, BuyingDeps, BuyingService};
use t4t_job_dispatcher::carriage::postage::Postage;
use t4t_job_dispatcher::selling::{SellingConfig, SellingDeps, SellingService};
use t4t_job_dispatcher::{Courier, CourierConfig, SwarmCourier};
use t4t_runtime::config::{
    DataSettings, GatewaySettings, ProviderSettings, ServiceName, ServiceSettings, SwarmSettings,
};
use t4t_runtime::health::Component;
use t4t_runtime::http::{RunningServer, ServeConfig, ServeError, serve};
use t4t_runtime::recovery::TakenUp;
use t4t_runtime::telemetry::{LogConfig, LogFormat};
use t4t_runtime::{Readiness, Settings, StopSignal, wallet};
use t4t_store::Store;
use t4t_types::Address;

/// How long the start waits for postage; a purchase takes minutes and goes on by itself.
const POSTAGE_PATIENCE: Duration = Duration::from_secs(5);

/// How often a settlement that is not there is asked again.
const SETTLEMENT_PAUSE: Duration = Duration::from_secs(1);

/// What either side stands on.
pub(crate) struct Apart {
    services: ServiceSettings,
    clock: SharedClock,
    log_format: LogFormat,
    store: Store,
    watcher: Arc<HttpClient>,
    settlement: Arc<HttpClient>,
    wallet: Address,
    sealing_key: SealingKey,
    postage: Postage,
    courier_config: CourierConfig,
}

impl Apart {
    /// Opens what a side stands on; waits for settlement, for as long as that takes.
    pub(crate) async fn start(settings: &Settings, readiness: &Readiness) -> anyhow::Result<Self> {
        let services = ServiceSettings::from_settings(settings)?;
        let log_format = LogConfig::from_settings(settings)?.format;
        let data = DataSettings::from_settings(settings)?;
        let clock = SystemClock::shared();
        let settlement = reach(&services, ServiceName::Settlement)?;
        let component = readiness.component("settlement");
        // Said in the log and not at /ready: whoever asks is told what is missing, and runners have to be let in.
        let notices = Readiness::new(env!("CARGO_PKG_VERSION"));
        let wallet = wallet_of(&settlement, &clock, &component).await?;
        let sealing_key_file = data.sealing_key_file.clone();
        let open = move || wallet::open_or_make_sealing_key(&sealing_key_file);
        let swarm = SwarmSettings::from_settings(settings)?;
        let batch_file = data.file("postage-batch.json");
        let postage = Postage::start(&swarm, batch_file, clock.clone(), &notices, POSTAGE_PATIENCE);
        Ok(Self {
            store: Store::open(&data.file("t4t.db")).await.context("the database can't be opened")?,
            watcher: reach(&services, ServiceName::Watcher)?,
            settlement,
            wallet,
            sealing_key: tokio::task::spawn_blocking(open).await??,
            postage: postage.await.context("Swarm can't be used")?,
            courier_config: CourierConfig::from(&swarm),
            services,
            clock,
            log_format,
        })
    }

    /// Buys until told to stop; `front` is where it is asked, and `component` tells when.
    pub(crate) async fn buy(
        self,
        settings: &Settings,
        (front, component): (&Late<dyn Buying>, &Component),
        stop: &StopSignal,
    ) -> anyhow::Result<()> {
        let deps = BuyingDeps {
            wallet: self.wallet,
            courier: self.courier().await,
            sealing_key: self.sealing_key,
            watcher: self.watcher,
            settlement: self.settlement,
            store: self.store,
            clock: self.clock,
        };
        let config = BuyingConfig::from(&GatewaySettings::from_settings(settings)?);
        let running = BuyingService::start(config, deps).await?;
        TakenUp::from(running.recovered()).tell(self.log_format);
        front.arrive(running.buying());
        component.ready();
        stop.stopped().await;
        running.stop().await;
        self.postage.stop();
        Ok(())
    }

    /// Sells until told to stop; `front` is where it is asked, and `component` tells when.
    pub(crate) async fn sell(
        self,
        settings: &Settings,
        (front, component): (&Late<dyn Selling>, &Component),
        stop: &StopSignal,
    ) -> anyhow::Result<()> {
        let deps = SellingDeps {
            wallet: self.wallet,
            courier: self.courier().await,
            sealing_key: self.sealing_key,
            watcher: self.watcher,
            settlement: self.settlement,
            runner: None,
            token: Some(self.services.runner_token()?),
            store: self.store,
            clock: self.clock,
        };
        let provider = ProviderSettings::from_settings(settings)?;
        let running = SellingService::start(SellingConfig::from(&provider), deps).await?;
        TakenUp::from(running.recovered()).tell(self.log_format);
        front.arrive(running.selling());
        component.ready();
        stop.stopped().await;
        if provider.deactivate_on_shutdown {
            running.leave().await.map_err(anyhow::Error::msg)?;
        }
        running.stop().await;
        self.postage.stop();
        Ok(())
    }

    async fn courier(&self) -> Arc<dyn Courier> {
        let (settlement, clock) = (self.settlement.clone(), self.clock.clone());
        let courier = SwarmCourier::new(self.postage.keeper(), settlement, clock, self.courier_config);
        Arc::new(courier.await)
    }
}

/// The wallet's address, from settlement once it is there. Only a wrong token is no use waiting for.
async fn wallet_of(
    settlement: &HttpClient,
    clock: &SharedClock,
    component: &Component,
) -> anyhow::Result<Address> {
    loop {
        match settlement.ask(GetAccount {}).await {
            Ok(account) => {
                component.ready();
                return Ok(account.address);
            }
            Err(error @ SettlementError::Transport { cause: TransportError::Unauthorized { .. } }) => {
                return Err(error.into());
            }
            Err(error) => component.not_ready(error.to_string(), "start it, or correct T4T_SETTLEMENT_URL"),
        }
        clock.sleep(SETTLEMENT_PAUSE).await;
    }
}

fn reach(services: &ServiceSettings, name: ServiceName) -> anyhow::Result<Arc<HttpClient>> {
    let peer = services.peer(name)?;
    let config = HttpClientConfig { service: peer.service.as_str(), url: peer.url, token: peer.token };
    Ok(Arc::new(HttpClient::new(config)?))
}

/// Serves what a side is asked, and whether it is ready, from the start on.
pub(crate) fn listen(
    services: &ServiceSettings,
    readiness: Readiness,
    routes: impl Fn(&mut actix_web::web::ServiceConfig) + Clone + Send + 'static,
) -> Result<RunningServer, ServeError> {
    let name = ServiceName::Dispatcher;
    serve(ServeConfig { name: name.as_str(), bind: services.bind(name), guarded: true }, move |config| {
        readiness.routes(config);
        routes(config);
    })
}
