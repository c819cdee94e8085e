//! What the house is built from: licences, sources and versions, as `deny.toml` has them.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The platform that is checked; cargo-deny checks the others as well.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The texts of one of the lists in `deny.toml`.
fn listed(name: &str) -> Vec<String> {
    let rules = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let (_, list) = rules.split_once(&format!("\n{name} = [")).unwrap_or_else(|| panic!("no list {name}"));
    let (list, _) = list.split_once(']').unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The older ones of two versions that are taken as they are, as `name@version`.
fn skipped() -> Vec<String> {
    listed("skip").into_iter().filter(|text| text.contains('@')).collect()
}

/// Whether a package is what an entry of that list names.
fn is_named(package: &Value, skip: &str) -> bool {
    let (name, begins) = skip.split_once('@').unwrap();
    let version = package["version"].as_str().unwrap();
    package["name"] == name && version.strip_prefix(begins).is_some_and(|rest| rest.starts_with('.'))
}

/// Every package of others that something of ours is built from, but for what only tests use.
fn packages() -> Vec<Value> {
    let excluded = listed("exclude");
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", PLATFORM])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|node| (text(&node["id"]), node)).collect();
    let packages = list(&metadata["packages"]);
    let (ours, others): (Vec<_>, Vec<_>) =
        packages.into_iter().partition(|package| package["source"].is_null());
    let is_released = |package: &&Value| !excluded.iter().any(|name| package["name"] == name.as_str());
    let mut open: Vec<String> = ours.iter().filter(is_released).map(|package| text(&package["id"])).collect();
    let mut used = BTreeSet::new();
    while let Some(id) = open.pop() {
        if used.insert(id.clone()) {
            let is_carried =
                |dependency: &&Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            let dependencies = list(&nodes[&id]["deps"]);
            open.extend(dependencies.iter().filter(is_carried).map(|dependency| text(&dependency["pkg"])));
        }
    }
    let others: Vec<Value> =
        others.into_iter().filter(|package| used.contains(&text(&package["id"]))).collect();
    assert!(others.len() > 200, "{} packages", others.len());
    others
}

fn name(package: &Value) -> String {
    format!("{} {}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap())
}

/// Whether a licence's expression can be met with those that are allowed.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let alternatives = |part: &str| {
        part.replace(" / ", "/").replace('/', " OR ").split(" OR ").map(str::to_owned).collect::<Vec<_>>()
    };
    let is_met = |part: &str| {
        let part = part.trim_matches(['(', ')']);
        alternatives(part).iter().any(|licence| allowed.contains(licence.trim_matches(['(', ')'])))
    };
    expression.split(" AND ").all(is_met)
}

#[test]
fn every_licence_is_one_that_is_allowed() {
    let allowed: BTreeSet<String> = listed("allow").into_iter().collect();
    let wrong: Vec<String> = packages()
        .iter()
        .filter(|package| !is_met(package["license"].as_str().unwrap_or_default(), &allowed))
        .map(|package| format!("{}: {}", name(package), package["license"]))
        .collect();
    assert!(wrong.is_empty(), "not among the licences of deny.toml: {wrong:#?}");
}

#[test]
fn licences_are_met_by_one_of_their_alternatives_and_all_of_their_parts() {
    let allowed: BTreeSet<String> = ["MIT", "ISC"].map(str::to_owned).into();
    for met in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "MIT AND ISC", "(GPL-3.0 OR MIT) AND ISC"] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0"] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}

#[test]
fn everything_comes_from_the_registry() {
    let is_from_registry =
        |package: &&Value| package["source"].as_str().is_some_and(|source| source.starts_with("registry+"));
    let packages = packages();
    let wrong: Vec<String> = packages.iter().filter(|package| !is_from_registry(package)).map(name).collect();
    assert!(wrong.is_empty(), "from elsewhere than the registry: {wrong:?}");
}

#[test]
fn nothing_is_there_twice_but_what_is_listed() {
    let (skipped, packages) = (skipped(), packages());
    let mut versions: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for package in packages.iter().filter(|package| !skipped.iter().any(|skip| is_named(package, skip))) {
        versions.entry(package["name"].as_str().unwrap()).or_default().push(&package["version"]);
    }
    let twice: Vec<_> = versions.iter().filter(|(_, versions)| versions.len() > 1).collect();
    assert!(twice.is_empty(), "there in two versions, and not in the list of deny.toml: {twice:?}");
    let idle: Vec<_> =
        skipped.iter().filter(|skip| !packages.iter().any(|package| is_named(package, skip))).collect();
    assert!(idle.is_empty(), "no more needed in the list of deny.toml: {idle:?}");
}
