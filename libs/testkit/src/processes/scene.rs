//! A gateway, a provider and a backend that trade: what most scenarios begin with.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use url::Url;

use super::{Gateway, PATIENCE, Provider, Question, Reply, RoleSpec, World, WorldConfig};
use crate::backend::{Behaviour, ScriptedBackend};
use crate::eventually;
use crate::ledger::{JobEntry, Ledger};

/// The scripted backend's model.
pub const ECHO: &str = "echo";

/// Seconds between blocks once the provider's offer is on the chain: time has to pass there for deadlines to come.
const BLOCK_TIME: u64 = 1;

/// A scene to be set.
#[derive(Clone, Debug)]
pub struct SceneSpec<'a> {
    /// The world.
    pub world: WorldConfig,
    /// The gateway.
    pub gateway: RoleSpec<'a>,
    /// The provider.
    pub provider: RoleSpec<'a>,
}

impl SceneSpec<'_> {
    /// The usual scene.
    pub fn new(t4t: &str) -> Self {
        let (gateway, provider) = (RoleSpec::gateway(), RoleSpec::provider());
        Self { world: WorldConfig::new(t4t), gateway, provider }
    }
}

/// A gateway, a provider and a backend that trade.
#[derive(Debug)]
pub struct Scene {
    /// The world.
    pub world: World,
    /// The backend, which sells [`ECHO`].
    pub backend: ScriptedBackend,
    /// The provider.
    pub provider: Provider,
    /// The gateway.
    pub gateway: Gateway,
}

impl Scene {
    /// Sets a scene and waits until the gateway offers the provider's model.
    ///
    /// # Errors
    /// A part does not start; the error has what the processes said.
    pub async fn start(spec: SceneSpec<'_>) -> anyhow::Result<Self> {
        let world = World::start(spec.world).await?;
        Self::start_in(world, &spec.gateway, &spec.provider).await
    }

    /// The same in a world that is there.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_in(
        world: World,
        gateway: &RoleSpec<'_>,
        provider: &RoleSpec<'_>,
    ) -> anyhow::Result<Self> {
        let backend = ScriptedBackend::start(Behaviour::Good).await?;
        let mut provider = Provider::start(&world, provider, &backend.url())?;
        provider.started().await?;
        world.on_offer(&[provider.wallet]).await.with_context(|| provider.process.story())?;
        let mut gateway = Gateway::start(&world, gateway)?;
        gateway.offers(&world, ECHO).await.with_context(|| provider.process.story())?;
        world.anvil.set_block_time(Some(BLOCK_TIME)).await?;
        Ok(Self { world, backend, provider, gateway })
    }

    /// Plays a scenario; its error gets what the processes said. No key may be
    /// anywhere but in its file afterwards.
    ///
    /// # Errors
    /// The scenario's, or a key was written.
    pub async fn play<T>(
        &mut self,
        scenario: impl AsyncFnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let end = match scenario(self).await {
            Ok(end) => self.world.keeps_its_keys().map(|()| end),
            Err(error) => Err(error),
        };
        let stories = || format!("{}\n{}", self.gateway.process.story(), self.provider.process.story());
        end.map_err(|error| error.context(stories()))
    }

    /// Asks the gateway.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn ask(&mut self, question: &Question<'_>) -> anyhow::Result<Reply> {
        let url = self.gateway.url().await?;
        self.world.app.ask(&url, question).await
    }

    /// Asks again and again, as an app does whose connection breaks, until there is an answer or a clean error that
    /// says that another try is no use. Only for questions with a key.
    ///
    /// # Errors
    /// The limit passed.
    pub async fn ask_until_told(
        &mut self,
        question: &Question<'_>,
        limit: Duration,
    ) -> anyhow::Result<Reply> {
        ensure!(question.key.is_some(), "without a key each try would be another job");
        eventually(limit, "an answer or a clean error", async || {
            let reply = self.ask(question).await.ok()?;
            (reply.is_answer() || (reply.is_clean_error() && reply.status != 503)).then_some(reply)
        })
        .await
    }

    /// The books with both databases.
    pub fn ledger(&self) -> Ledger {
        self.world
            .ledger()
            .buyer(self.gateway.wallet, &self.gateway.database)
            .seller(self.provider.wallet, &self.provider.database)
    }

    /// Waits until all jobs are over, and checks the books.
    ///
    /// # Errors
    /// They are wrong.
    pub async fn closed(&self) -> anyhow::Result<Vec<JobEntry>> {
        Ok(self.ledger().closed(PATIENCE).await?)
    }

    /// Starts another provider at the same world.
    ///
    /// # Errors
    /// It does not start.
    pub async fn another_provider(&self, spec: &RoleSpec<'_>, backend: &Url) -> anyhow::Result<Provider> {
        let mut provider = Provider::start(&self.world, spec, backend)?;
        provider.started().await?;
        let offered = self.world.on_offer(&[provider.wallet]).await;
        offered.with_context(|| provider.process.story())?;
        Ok(provider)
    }

    /// The folder of a role.
    pub fn folder(&self, name: &str) -> std::path::PathBuf {
        Path::join(self.world.home(), name)
    }
}
