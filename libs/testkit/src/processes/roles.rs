//! `t4t gateway` and `t4t provider`: every service of a role in one process.

use std::path::{Path, PathBuf};

use anyhow::Context;
use t4t_crypto::keyfile;
use t4t_types::Address;
use url::Url;

use super::{PATIENCE, Process, Recipe, World};
use crate::anvil::dev_key;
use crate::eventually;

/// The database of a role.
const DATABASE: &str = "t4t.db";

/// A role to be started.
#[derive(Clone, Debug)]
pub struct RoleSpec<'a> {
    /// The name of its folder and log.
    pub name: &'a str,
    /// Which development wallet is its own.
    pub wallet: u32,
    /// Which Swarm node is its own.
    pub node: usize,
    /// Variables besides those of the world.
    pub variables: &'a [(&'a str, &'a str)],
}

impl<'a> RoleSpec<'a> {
    /// A gateway: wallet 0, node 0.
    pub const fn gateway() -> Self {
        Self { name: "gateway", wallet: 0, node: 0, variables: &[] }
    }

    /// A provider: wallet 1, node 1.
    pub const fn provider() -> Self {
        Self { name: "provider", wallet: 1, node: 1, variables: &[] }
    }

    /// Another provider: wallet 2, node 2.
    pub const fn second_provider() -> Self {
        Self { name: "provider-2", wallet: 2, node: 2, variables: &[] }
    }

    /// With these variables.
    pub const fn with(self, variables: &'a [(&'a str, &'a str)]) -> Self {
        Self { variables, ..self }
    }

    /// Makes its folder with its wallet in it.
    pub(super) fn folder(&self, home: &Path) -> anyhow::Result<PathBuf> {
        let folder = home.join(self.name);
        std::fs::create_dir_all(&folder)?;
        let key = folder.join("wallet.key");
        if !key.exists() {
            keyfile::write_wallet_hex(&key, &dev_key(self.wallet))?;
        }
        Ok(folder)
    }

    fn recipe(&self, world: &World, role: &str) -> anyhow::Result<Recipe> {
        let mut recipe = Recipe::new(self.name, world.t4t(), &[role]);
        world.connect(&mut recipe, self.node)?;
        recipe.set("T4T_DATA_DIR", self.folder(world.home())?.display());
        recipe.set("T4T_GATEWAY_PORT", 0).set("T4T_ADMIN_PORT", 0);
        for (name, value) in self.variables {
            recipe.set(name, value);
        }
        Ok(recipe)
    }
}

/// A gateway in one process.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// Its wallet.
    pub wallet: Address,
    /// Its database.
    pub database: PathBuf,
}

/// A provider in one process.
#[derive(Debug)]
pub struct Provider {
    /// The process.
    pub process: Process,
    /// Its wallet.
    pub wallet: Address,
    /// Its database.
    pub database: PathBuf,
}

impl Gateway {
    /// Starts a gateway; [`Self::url`] waits for it.
    ///
    /// # Errors
    /// The program is not there.
    pub fn start(world: &World, spec: &RoleSpec<'_>) -> anyhow::Result<Self> {
        let process = world.spawn(spec.recipe(world, "gateway")?)?;
        let database = world.home().join(spec.name).join(DATABASE);
        Ok(Self { process, wallet: dev_key(spec.wallet).address(), database })
    }

    /// Where it listens in its present life, once it does.
    ///
    /// # Errors
    /// It does not start.
    pub async fn url(&mut self) -> anyhow::Result<Url> {
        let said = self.process.says("gateway started: base URL ", PATIENCE).await?;
        let rest = said.split_once("base URL ").map(|(_, rest)| rest).unwrap_or_default();
        let (base, _) = rest.split_once("/v1").context("the gateway did not say where it listens")?;
        Ok(base.parse()?)
    }

    /// Waits until it offers a model.
    ///
    /// # Errors
    /// It does not.
    pub async fn offers(&mut self, world: &World, model: &str) -> anyhow::Result<()> {
        let url = self.url().await?;
        let what = format!("{model} in the gateway's list");
        let listed = eventually(PATIENCE, &what, async || {
            world.app.models(&url).await.ok()?.iter().any(|offered| offered == model).then_some(())
        });
        listed.await.with_context(|| self.process.story())
    }
}

impl Provider {
    /// Starts a provider that sells what a backend offers; [`Self::started`] waits for it.
    ///
    /// # Errors
    /// The program is not there.
    pub fn start(world: &World, spec: &RoleSpec<'_>, backend: &Url) -> anyhow::Result<Self> {
        let folder = spec.folder(world.home())?;
        std::fs::write(folder.join("endpoints.json"), format!(r#"[{{"name":"b","url":"{backend}"}}]"#))?;
        let process = world.spawn(spec.recipe(world, "provider")?)?;
        Ok(Self { process, wallet: dev_key(spec.wallet).address(), database: folder.join(DATABASE) })
    }

    /// Waits until its present life works.
    ///
    /// # Errors
    /// It does not start.
    pub async fn started(&mut self) -> anyhow::Result<()> {
        self.process.says("provider started: wallet", PATIENCE).await.map(drop)
    }

    /// Where it says how it does in its present life, once it does.
    ///
    /// # Errors
    /// It does not start.
    pub async fn url(&mut self) -> anyhow::Result<Url> {
        let said = self.process.says("readiness at ", PATIENCE).await?;
        let rest = said.split_once("readiness at ").map(|(_, rest)| rest).unwrap_or_default();
        let (base, _) = rest.split_once("/ready").context("the provider did not say where it listens")?;
        Ok(base.parse()?)
    }
}
