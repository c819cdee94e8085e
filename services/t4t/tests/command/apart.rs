//! The same services as processes of their own, wired over HTTP.

use std::path::{Path, PathBuf};

use super::rig::{PATIENCE, Process, T4T, World, command, folder_with_wallet, free_port};
use t4t_testkit::anvil::dev_key;
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_types::Xbzz;

const TOKEN: &str = "one-operator";

/// The services of one side.
struct Side<'a> {
    world: &'a World,
    home: &'a Path,
    mode: &'static str,
    folder: PathBuf,
    node: usize,
    ports: [u16; 5],
}

impl Side<'_> {
    fn start(&self, service: &str) -> Process {
        let program = Path::new(T4T).with_file_name(format!("t4t-{service}"));
        assert!(program.exists(), "{} is not built: cargo build --workspace --bins", program.display());
        let mut process = command(program, self.home);
        process.envs(self.world.variables(self.node));
        process.env("T4T_DATA_DIR", &self.folder).env("T4T_MODE", self.mode).env("T4T_SERVICE_TOKEN", TOKEN);
        let [watcher, settlement, dispatcher, runner, gateway] = self.ports;
        let services = [
            ("WATCHER", watcher),
            ("SETTLEMENT", settlement),
            ("DISPATCHER", dispatcher),
            ("RUNNER", runner),
        ];
        for (name, port) in services {
            process.env(format!("T4T_{name}_PORT"), port.to_string());
            process.env(format!("T4T_{name}_URL"), format!("http://127.0.0.1:{port}"));
        }
        process.env("T4T_GATEWAY_PORT", gateway.to_string()).env("T4T_MODELS_CACHE_TTL_SECONDS", "1");
        Process::start(process, self.home.join(format!("{}-{service}.log", self.mode)))
    }

    /// Starts a service and waits until it listens.
    async fn started(&self, service: &str) -> Process {
        let process = self.start(service);
        process.says("listening").await;
        process
    }
}

#[actix_web::test]
#[ignore = "needs the binaries: cargo build --workspace --bins"]
async fn services_in_processes_of_their_own_trade_as_they_do_in_one() {
    let home = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    let side = |mode, wallet, node| Side {
        world: &world,
        home: home.path(),
        mode,
        folder: folder_with_wallet(home.path(), mode, &dev_key(wallet)),
        node,
        ports: std::array::from_fn(|_| free_port()),
    };
    let (selling, buying) = (side("provider", 0, 1), side("gateway", 1, 0));
    let endpoints = selling.folder.join("endpoints.json");
    std::fs::write(&endpoints, format!(r#"[{{"name":"b","url":"{}"}}]"#, backend.url())).unwrap();
    let mut processes = Vec::new();
    for side in [&selling, &buying] {
        for service in ["registry-watcher", "settlement", "job-dispatcher"] {
            processes.push(side.started(service).await);
        }
    }
    processes.push(selling.started("inference-runner").await);
    processes.push(buying.start("openai-api"));
    let address = format!("http://127.0.0.1:{}", buying.ports[4]);
    let logs = || processes.iter().map(Process::log).collect::<Vec<_>>().join("\n---\n");
    let model = eventually(PATIENCE, "a model on offer", async || {
        let models = super::rig::http().get(format!("{address}/v1/models")).send().await.ok()?;
        let models: serde_json::Value = models.json().await.ok()?;
        models["data"][0]["id"].as_str().map(str::to_owned)
    });
    let model = model.await.unwrap_or_else(|error| panic!("{error}\n{}", logs()));
    let provider = dev_key(0).address();
    let before = world.market.xbzz_of(provider).await.unwrap();
    let (status, answer) = super::rig::ask(&address, &model).await;
    assert_eq!(status, 200, "{answer}\n{}", logs());
    let earned = eventually(PATIENCE, "the payment", async || {
        let now = world.market.xbzz_of(provider).await.unwrap();
        now.checked_sub(before).filter(|earned| *earned > Xbzz::ZERO)
    });
    earned.await.unwrap_or_else(|error| panic!("{error}\n{}", logs()));
    for process in processes {
        assert_eq!(process.stop().await, Some(0));
    }
}

#[actix_web::test]
#[ignore = "needs the binaries: cargo build --workspace --bins"]
async fn a_service_refuses_who_does_not_know_the_token() {
    let home = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let side = Side {
        world: &world,
        home: home.path(),
        mode: "gateway",
        folder: folder_with_wallet(home.path(), "gateway", &dev_key(1)),
        node: 0,
        ports: std::array::from_fn(|_| free_port()),
    };
    let _settlement = side.started("settlement").await;
    let url = format!("http://127.0.0.1:{}/settlement/v1/account", side.ports[1]);
    let asked = |token: &'static str| {
        let request = super::rig::http().post(&url).bearer_auth(token).json(&serde_json::json!({}));
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(asked("wrong").await, 401);
    assert_eq!(asked(TOKEN).await, 200);
}
