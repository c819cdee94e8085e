//! The house's rule: a crate depends only on crates of lower levels, and services never on each other.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Level of each crate, as `docs/architecture.md` has it.
const LEVELS: &[(&str, u32)] = &[
    ("t4t-types", 0),
    ("t4t-clock", 1),
    ("t4t-crypto", 1),
    ("t4t-outbound", 1),
    ("t4t-terminal", 1),
    ("t4t-json", 1),
    ("t4t-panics", 1),
    ("t4t-inference", 2),
    ("t4t-protocol", 3),
    ("t4t-chain", 3),
    ("t4t-swarm", 3),
    ("t4t-store", 4),
    ("t4t-api", 4),
    ("t4t-runtime", 4),
    ("t4t-bee-dev", 4),
    ("t4t-faults", 4),
    ("t4t-ledger", 5),
    ("t4t-operator", 5),
    ("t4t-testkit", TESTKIT),
    ("t4t-registry-watcher", SERVICE),
    ("t4t-settlement", SERVICE),
    ("t4t-job-dispatcher", SERVICE),
    ("t4t-inference-runner", SERVICE),
    ("t4t-openai-api", SERVICE),
    ("t4t-roles", 8),
    ("t4t-dev", 9),
    ("t4t", 10),
    ("t4t-trials", 11),
];

const TESTKIT: u32 = 6;
const SERVICE: u32 = 7;

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

/// The folders of programs' sources below a crate's; tests may ask as they like.
const SOURCES: [&str; 2] = ["src", "benches"];

/// Texts by which an HTTP client is made.
const MAKES_A_CLIENT: [&str; 4] =
    ["Client::builder(", "ClientBuilder::new(", "reqwest::get(", "reqwest::blocking"];

fn makes_a_client(line: &str) -> bool {
    // `HttpClient::new` is one of ours, made of what is decided in one place.
    let is_new = line
        .match_indices("Client::new(")
        .any(|(at, _)| !line[..at].ends_with(|letter: char| letter.is_ascii_alphanumeric()));
    is_new || MAKES_A_CLIENT.iter().any(|text| line.contains(text))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|end| end == "rs") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn every_http_client_is_made_where_its_way_out_is_decided() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut paths, mut makers) = (Vec::new(), Vec::new());
    for rooms in ["libs", "services"] {
        for room in std::fs::read_dir(root.join(rooms)).unwrap() {
            let room = room.unwrap().path();
            SOURCES.iter().for_each(|folder| sources(&room.join(folder), &mut paths));
        }
    }
    assert!(paths.len() > 200, "{} sources", paths.len());
    for path in &paths {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().enumerate().filter(|(_, line)| makes_a_client(line));
        makers.extend(lines.map(|(number, _)| format!("{}:{}", path.display(), number + 1)));
    }
    let (ours, others): (Vec<_>, Vec<_>) =
        makers.into_iter().partition(|place| place.contains("libs/outbound/src/"));
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert!(others.is_empty(), "made without t4t-outbound, so that a proxy may read it: {others:#?}");
}

#[test]
fn a_client_is_recognised_however_it_is_made() {
    for line in [
        "let http = reqwest::Client::new();",
        "let http = Client::new();",
        "    reqwest::Client::builder()",
        "reqwest::ClientBuilder::new()",
        "reqwest::get(url).await",
    ] {
        assert!(makes_a_client(line), "{line}");
    }
    for line in ["HttpClient::new(config)", "t4t_outbound::direct()", "http: reqwest::Client,"] {
        assert!(!makes_a_client(line), "{line}");
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

/// What no operator's command carries.
const FOR_DEVELOPMENT: [&str; 5] = ["t4t-dev", "t4t-bee-dev", "t4t-faults", "t4t-ledger", "t4t-testkit"];

#[test]
fn a_released_command_carries_no_development_market() {
    let metadata = metadata();
    let packages: BTreeMap<&str, &Value> =
        packages(&metadata).into_iter().map(|package| (package["name"].as_str().unwrap(), package)).collect();
    let (mut carried, mut open) = (BTreeSet::new(), vec!["t4t"]);
    while let Some(name) = open.pop() {
        if !carried.insert(name) {
            continue;
        }
        for dependency in packages[name]["dependencies"].as_array().unwrap() {
            let is_carried = dependency["optional"] == false && dependency["kind"] != "dev";
            let on = dependency["name"].as_str().unwrap();
            open.extend(packages.get_key_value(on).map(|(name, _)| *name).filter(|_| is_carried));
        }
    }
    assert!(carried.len() > 10, "{carried:?}");
    let wrong: Vec<_> = FOR_DEVELOPMENT.iter().filter(|name| carried.contains(**name)).collect();
    assert!(wrong.is_empty(), "without its features the command carries {wrong:?}");
    let image = include_str!("../../../deploy/Dockerfile");
    assert!(image.contains("--no-default-features"), "the image has the development market in it");
}
