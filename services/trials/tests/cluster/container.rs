//! A container as a process: its user, its environment, its folders.
//!
//! What differs: it sees the whole machine, so a path in its environment that lies in one of its mounts is written as the
//! path on this machine; and a pod's network is an address of its own in 127.0.0.0/8.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use t4t_testkit::processes::{Process, Recipe, World};

use super::T4T;

/// Which services listen where if nothing is said.
const DEFAULT_PORTS: [(&str, u16); 4] =
    [("T4T_WATCHER", 7001), ("T4T_SETTLEMENT", 7002), ("T4T_DISPATCHER", 7003), ("T4T_RUNNER", 7004)];

/// A container to be started.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) name: String,
    /// What it runs, without `tini --`.
    pub(crate) command: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) user: u32,
    /// The supplementary group of its volumes.
    pub(crate) fs_group: Option<u32>,
    /// Where in the container, and what on this machine.
    pub(crate) mounts: Vec<(String, PathBuf)>,
}

impl Container {
    /// Starts it at this address.
    pub(crate) fn start(&self, world: &World, ip: &str) -> anyhow::Result<Process> {
        let (program, arguments) = self.command.split_first().context("a container runs something")?;
        let program = programs(world)?.join(program);
        ensure!(program.exists(), "{} is not in the image", program.display());
        let mut recipe = if is_root() {
            let mut recipe = Recipe::new(&self.name, Path::new("setpriv"), &[]);
            let (user, group) = (self.user.to_string(), self.fs_group.unwrap_or(self.user).to_string());
            let confined = ["--reuid", &user, "--regid", &user, "--groups", &group, "--no-new-privs"];
            let bare = ["--inh-caps=-all", "--bounding-set=-all"];
            recipe.arguments = confined.iter().chain(&bare).map(|word| (*word).to_owned()).collect();
            recipe.arguments.push(program.display().to_string());
            recipe
        } else {
            Recipe::new(&self.name, &program, &[])
        };
        recipe.arguments.extend(arguments.iter().cloned());
        for (name, value) in &self.environment {
            recipe.set(name, self.on_this_machine(value, ip));
        }
        for (service, port) in DEFAULT_PORTS {
            recipe.variables.entry(format!("{service}_URL")).or_insert(format!("http://{ip}:{port}"));
        }
        recipe.variables.entry("T4T_SERVICE_HOST".into()).or_insert(ip.into());
        let market = world.market.addresses;
        recipe.set("REGISTRY_ADDRESS", market.registry).set("ESCROW_ADDRESS", market.escrow);
        recipe.set("XBZZ_ADDRESS", market.token).set("T4T_CHAIN_POLL_MS", 100);
        recipe.set("T4T_MODELS_CACHE_TTL_SECONDS", 0);
        world.spawn(recipe)
    }

    fn on_this_machine(&self, value: &str, ip: &str) -> String {
        if value == "0.0.0.0" {
            return ip.to_owned();
        }
        let inside = self.mounts.iter().filter_map(|(at, host)| {
            let rest = value.strip_prefix(at.as_str())?;
            (rest.is_empty() || rest.starts_with('/'))
                .then(|| (at.len(), format!("{}{rest}", host.display())))
        });
        inside.max().map_or_else(|| value.to_owned(), |(_, path)| path)
    }
}

/// The programs where any user may run them.
fn programs(world: &World) -> anyhow::Result<PathBuf> {
    let folder = world.home().join("bin");
    if !folder.exists() {
        // The path to it is the container's root: anybody may pass.
        std::fs::set_permissions(world.home(), std::fs::Permissions::from_mode(0o711))?;
        std::fs::create_dir(&folder)?;
        let built = Path::new(T4T).parent().context("a program is in a folder")?;
        for service in
            ["", "-registry-watcher", "-settlement", "-job-dispatcher", "-inference-runner", "-openai-api"]
        {
            let name = format!("t4t{service}");
            let (from, to) = (built.join(&name), folder.join(&name));
            std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop))?;
        }
    }
    Ok(folder)
}

/// Whether this test can be another user.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Hands a file or folder to a user and a group with these permissions; the user stays whoever runs this where that is not
/// root.
pub(crate) fn own(path: &Path, user: u32, group: u32, mode: u32) {
    if is_root() {
        std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
