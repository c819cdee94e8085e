//! `t4t gateway` and `t4t provider` beside each other, and what they say while something is missing.

use super::rig::{PATIENCE, Process, T4T, World, command, folder_with_wallet};
use t4t_testkit::anvil::dev_key;
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_types::Xbzz;

/// A development wallet that nobody gave xBZZ.
const PENNILESS: u32 = 20;

fn start(world: &World, home: &std::path::Path, role: &str, wallet: u32, more: &[(&str, &str)]) -> Process {
    let folder = folder_with_wallet(home, role, &dev_key(wallet));
    let mut process = command(T4T, home);
    process.arg(role).envs(world.variables(usize::from(role == "provider")));
    process.env("T4T_DATA_DIR", &folder).env("T4T_GATEWAY_PORT", "0").env("T4T_ADMIN_PORT", "0");
    // A list of models that was taken too early is taken again soon.
    process.env("T4T_MODELS_CACHE_TTL_SECONDS", "1").envs(more.iter().copied());
    Process::start(process, home.join(format!("{role}.log")))
}

/// The gateway's address, once it is ready.
async fn ready(gateway: &Process) -> String {
    let said = gateway.says("gateway ready: base URL ").await;
    let (_, rest) = said.split_once("base URL ").unwrap();
    rest.split_once("/v1").unwrap().0.to_owned()
}

#[actix_web::test]
async fn a_gateway_buys_what_a_provider_sells() {
    let home = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    let endpoints = home.path().join("endpoints.json");
    std::fs::write(&endpoints, format!(r#"[{{"name":"b","url":"{}"}}]"#, backend.url())).unwrap();
    let provider =
        start(&world, home.path(), "provider", 0, &[("T4T_ENDPOINTS_FILE", endpoints.to_str().unwrap())]);
    let gateway = start(&world, home.path(), "gateway", 1, &[]);
    let address = ready(&gateway).await;
    let model = eventually(PATIENCE, "a model on offer", async || {
        let models = super::rig::http().get(format!("{address}/v1/models")).send().await.ok()?;
        let models: serde_json::Value = models.json().await.ok()?;
        models["data"][0]["id"].as_str().map(str::to_owned)
    });
    let model = model.await.unwrap_or_else(|error| panic!("{error}\n{}", provider.log()));
    let escrow = world.market.addresses.escrow;
    let (status, answer) = super::rig::ask(&address, &model).await;
    assert_eq!(status, 200, "{answer}\n{}\n{}", gateway.log(), provider.log());
    let settled = eventually(PATIENCE, "an empty escrow", async || {
        (world.market.xbzz_of(escrow).await.unwrap() == Xbzz::ZERO).then_some(())
    });
    settled.await.unwrap();
    assert_eq!(gateway.stop().await, Some(0));
    assert_eq!(provider.stop().await, Some(0));
}

#[actix_web::test]
async fn an_empty_wallet_is_named_in_the_log_and_at_the_edge() {
    let home = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let gateway = start(&world, home.path(), "gateway", PENNILESS, &[]);
    let said = gateway.says("holds no xBZZ").await;
    assert!(said.contains(&dev_key(PENNILESS).address().to_string()), "{said}");
    assert!(said.contains("send xBZZ to it"), "{said}");
    let doctor = super::rig::command(T4T, home.path())
        .args(["doctor"])
        .envs(world.variables(0))
        .env("T4T_DATA_DIR", home.path().join("gateway"))
        .output()
        .unwrap();
    let findings = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(!doctor.status.success());
    assert!(findings.contains("FAIL  xBZZ") && findings.contains("next: send xBZZ to"), "{findings}");
    assert!(findings.contains("registry, escrow and token fit together"), "{findings}");
}

#[actix_web::test]
async fn missing_postage_is_named_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let gateway = start(&world, home.path(), "gateway", 1, &[("T4T_STAMP_MANAGE", "false")]);
    let said = gateway.says("T4T_STAMP_MANAGE=true").await;
    assert!(said.contains("no usable postage batch"), "{said}");
    ready(&gateway).await;
}
