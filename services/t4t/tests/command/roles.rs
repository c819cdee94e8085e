//! What `t4t gateway` says while something is missing.

use super::rig::{Process, T4T, World, command, folder_with_wallet};
use t4t_testkit::anvil::dev_key;

/// A development wallet that nobody gave xBZZ.
const PENNILESS: u32 = 20;

fn start(world: &World, home: &std::path::Path, wallet: u32, more: &[(&str, &str)]) -> Process {
    let folder = folder_with_wallet(home, "gateway", &dev_key(wallet));
    let mut process = command(T4T, home);
    process.arg("gateway").envs(world.variables(0)).env("T4T_DATA_DIR", &folder);
    process.env("T4T_GATEWAY_PORT", "0").envs(more.iter().copied());
    Process::start(process, home.join("log"))
}

#[actix_web::test]
async fn an_empty_wallet_is_named_in_the_log_and_at_the_edge() {
    let home = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let gateway = start(&world, home.path(), PENNILESS, &[]);
    let said = gateway.says("holds no xBZZ").await;
    assert!(said.contains(&dev_key(PENNILESS).address().to_string()), "{said}");
    assert!(said.contains("send xBZZ to it"), "{said}");
    let doctor = command(T4T, home.path())
        .args(["doctor"])
        .envs(world.variables(0))
        .env("T4T_DATA_DIR", home.path().join("gateway"))
        .output()
        .unwrap();
    let findings = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(!doctor.status.success());
    assert!(findings.contains("FAIL  xBZZ") && findings.contains("next: send 10 xBZZ to"), "{findings}");
    assert!(findings.contains("registry, escrow and token fit together"), "{findings}");
}

#[actix_web::test]
async fn missing_postage_is_named_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let gateway = start(&world, home.path(), 1, &[("T4T_STAMP_MANAGE", "false")]);
    let said = gateway.says("T4T_STAMP_MANAGE=true").await;
    assert!(said.contains("no usable postage batch"), "{said}");
    gateway.says("gateway started").await;
}
