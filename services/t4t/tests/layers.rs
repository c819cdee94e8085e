//! The house's rule: a crate depends only on crates of lower levels, and services never on each other.
#![cfg(test)]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Level of each crate, as `docs/architecture.md` has it.
const LEVELS: &[(&str, u32)] = &[
    ("t4t-types", 0),
    ("t4t-clock", 1),
    ("t4t-crypto", 1),
    ("t4t-protocol", 2),
    ("t4t-chain", 2),
    ("t4t-swarm", 2),
    ("t4t-store", 3),
    ("t4t-api", 3),
    ("t4t-runtime", 3),
    ("t4t-bee-dev", 3),
    ("t4t-faults", 3),
    ("t4t-ledger", 4),
    ("t4t-testkit", TESTKIT),
    ("t4t-registry-watcher", SERVICE),
    ("t4t-settlement", SERVICE),
    ("t4t-job-dispatcher", SERVICE),
    ("t4t-inference-runner", SERVICE),
    ("t4t-openai-api", SERVICE),
    ("t4t", 7),
];

const TESTKIT: u32 = 5;
const SERVICE: u32 = 6;

fn metadata() -> Value {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path", manifest])
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    serde_json::from_slice(&cargo.stdout).unwrap()
}

fn packages(metadata: &Value) -> Vec<&Value> {
    metadata["packages"].as_array().unwrap().iter().collect()
}

#[test]
fn every_crate_depends_on_lower_levels_only() {
    let metadata = metadata();
    let levels: BTreeMap<&str, u32> = LEVELS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in packages(&metadata) {
        let name = package["name"].as_str().unwrap();
        let Some(level) = levels.get(name) else {
            wrong.push(format!("{name} has no level: give it one here and in docs/architecture.md"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            let Some(on_level) = levels.get(on) else { continue };
            let is_for_tests = dependency["kind"] == "dev";
            if on_level >= level {
                wrong.push(format!("{name} (level {level}) depends on {on} (level {on_level})"));
            }
            if *on_level == TESTKIT && !is_for_tests {
                wrong.push(format!("{name} depends on {on}, which is for tests only"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_crate_takes_lints_and_versions_from_the_workspace() {
    let metadata = metadata();
    for package in packages(&metadata) {
        let path = package["manifest_path"].as_str().unwrap();
        let manifest = std::fs::read_to_string(path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{path} has lints of its own");
        let own = dependency_lines(&manifest).find(|line| !line.contains("workspace = true"));
        let own = own.filter(|line| !line.contains(".workspace = true"));
        assert_eq!(own, None, "{path} names a version of its own");
    }
}

/// The lines of the manifest's tables of dependencies.
fn dependency_lines(manifest: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    manifest.lines().filter(move |line| {
        if line.starts_with('[') {
            is_inside = line.ends_with("dependencies]");
            return false;
        }
        is_inside && !line.trim().is_empty() && !line.starts_with('#')
    })
}
