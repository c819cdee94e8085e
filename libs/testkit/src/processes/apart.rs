//! The services of one side in processes of their own, wired over HTTP.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use t4t_types::Address;
use url::Url;

use super::{PATIENCE, Process, Recipe, RoleSpec, World};
use crate::anvil::dev_key;
use crate::eventually;

/// What lets one service into another.
pub const SERVICE_TOKEN: &str = "a token that all services of one operator share";

/// What lets runners and their dispatcher into each other.
pub const RUNNER_TOKEN: &str = "a token between a dispatcher and its runners";

/// The services and the settings of their ports and addresses.
const SERVICES: [(&str, &str); 4] = [
    ("registry-watcher", "T4T_WATCHER"),
    ("settlement", "T4T_SETTLEMENT"),
    ("job-dispatcher", "T4T_DISPATCHER"),
    ("inference-runner", "T4T_RUNNER"),
];

/// Builds the services' programs beside the `t4t` program, as they are in the working tree.
///
/// # Errors
/// They can't be built.
pub fn build_services(t4t: &Path) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).args(["build", "--quiet", "--bins"]);
    if t4t.parent().is_some_and(|folder| folder.ends_with("release")) {
        let services = SERVICES.map(|(service, _)| service).into_iter().chain(["openai-api"]);
        command.arg("--release").args(services.map(|service| format!("--package=t4t-{service}")));
    } else {
        // With a test of the workspace beside them the libraries of others are what `cargo test --workspace` built;
        // without one they would all be built once more, with fewer features.
        command.args(["--workspace", "--test", "layers"]);
    }
    // A test has variables of its package. Build scripts look at some of them, and much would be built once more for each
    // that changed.
    for (name, _) in std::env::vars_os() {
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if name.to_str().is_some_and(|name| of_package.iter().any(|start| name.starts_with(start))) {
            command.env_remove(name);
        }
    }
    ensure!(command.status()?.success(), "the services can't be built: cargo build --workspace --bins");
    Ok(())
}

/// The services of one side.
#[derive(Debug)]
pub struct Apart {
    /// The processes, in the order in which they were started.
    pub processes: Vec<Process>,
    /// Where each of them listens.
    pub addresses: Vec<Url>,
    /// The wallet.
    pub wallet: Address,
    /// The dispatcher's database.
    pub database: PathBuf,
    /// Where the OpenAI API listens; on the gateway's side only.
    pub url: Url,
}

impl Apart {
    /// Starts a gateway's services, each once those that it needs are ready.
    ///
    /// # Errors
    /// One does not start.
    pub async fn gateway(world: &World, spec: &RoleSpec<'_>) -> anyhow::Result<Self> {
        let services = ["registry-watcher", "settlement", "job-dispatcher", "openai-api"];
        Self::start(world, spec, "gateway", &services).await
    }

    /// Starts a provider's services that sell what a backend offers.
    ///
    /// # Errors
    /// One does not start.
    pub async fn provider(world: &World, spec: &RoleSpec<'_>, backend: &Url) -> anyhow::Result<Self> {
        let folder = spec.folder(world.home())?;
        std::fs::write(folder.join("endpoints.json"), format!(r#"[{{"name":"b","url":"{backend}"}}]"#))?;
        let services = ["registry-watcher", "settlement", "job-dispatcher", "inference-runner"];
        Self::start(world, spec, "provider", &services).await
    }

    async fn start(
        world: &World,
        spec: &RoleSpec<'_>,
        mode: &str,
        services: &[&str],
    ) -> anyhow::Result<Self> {
        let folder = spec.folder(world.home())?;
        let ports = free_ports()?;
        let url: Url = format!("http://127.0.0.1:{}", ports[4]).parse()?;
        let mut apart = Self {
            processes: Vec::new(),
            addresses: Vec::new(),
            wallet: dev_key(spec.wallet).address(),
            database: folder.join("t4t.db"),
            url,
        };
        for service in services {
            let recipe = recipe(world, spec, mode, service, &folder, ports)?;
            let port = SERVICES.iter().position(|(name, _)| name == service).unwrap_or(4);
            let address: Url = format!("http://127.0.0.1:{}", ports[port]).parse()?;
            let mut process = world.spawn(recipe)?;
            let what = format!("{service} to be ready");
            let ready = eventually(PATIENCE, &what, async || {
                (world.app.is_ready(&address).await || !process.is_alive()).then_some(())
            });
            ready.await.with_context(|| process.story())?;
            ensure!(process.is_alive(), "{service} ended\n{}", process.story());
            apart.processes.push(process);
            apart.addresses.push(address);
        }
        Ok(apart)
    }

    /// What its processes said.
    pub fn story(&self) -> String {
        self.processes.iter().map(Process::story).collect::<Vec<_>>().join("\n")
    }
}

fn recipe(
    world: &World,
    spec: &RoleSpec<'_>,
    mode: &str,
    service: &str,
    folder: &Path,
    ports: [u16; 5],
) -> anyhow::Result<Recipe> {
    let program = world.t4t().with_file_name(format!("t4t-{service}"));
    let mut recipe = Recipe::new(&format!("{}-{service}", spec.name), &program, &[]);
    world.connect(&mut recipe, spec.node)?;
    recipe.set("T4T_DATA_DIR", folder.display()).set("T4T_MODE", mode);
    // Each knows what it needs: a runner must not be able to reach the wallet.
    if service != "inference-runner" {
        recipe.set("T4T_SERVICE_TOKEN", SERVICE_TOKEN);
    }
    if ["inference-runner", "job-dispatcher"].contains(&service) {
        recipe.set("T4T_RUNNER_TOKEN", RUNNER_TOKEN);
    }
    for ((_, setting), port) in SERVICES.iter().zip(ports) {
        recipe.set(&format!("{setting}_PORT"), port);
        recipe.set(&format!("{setting}_URL"), format!("http://127.0.0.1:{port}"));
    }
    recipe.set("T4T_GATEWAY_PORT", ports[4]);
    for (name, value) in spec.variables {
        recipe.set(name, value);
    }
    Ok(recipe)
}

/// Ports that were free a moment ago: all are taken before the first is given back.
fn free_ports() -> anyhow::Result<[u16; 5]> {
    let listeners: Vec<TcpListener> =
        (0..5).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let mut ports = [0; 5];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
