//! Guards the direction in which the crate's parts know each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The parts, lowest first: each knows only those before it.
const ORDER: [&str; 23] = [
    "config",
    "error",
    "own_keys",
    "intent",
    "journal",
    "wallet",
    "head",
    "in_flight",
    "stop",
    "books",
    "sending",
    "outcomes",
    "foundation",
    "nonces",
    "watching",
    "submission",
    "account",
    "service",
    "startup",
    "assembly",
    "start",
    "routes",
    "readiness",
];

/// Files that stand outside: the root, the program, and what only tests have.
const OUTSIDE: [&str; 4] = ["lib", "main", "direction", "scratch"];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn place(part: &str) -> usize {
    let found = ORDER.iter().position(|known| *known == part);
    found.unwrap_or_else(|| panic!("{part} has no place in the order"))
}

/// What a file names after `from`.
fn named<'a>(text: &'a str, from: &str) -> Vec<&'a str> {
    let after = text.split(from).skip(1);
    after
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').collect::<Vec<_>>(),
            None => vec![rest],
        })
        .map(|path| path.trim().split(|letter: char| !letter.is_alphanumeric() && letter != '_').next())
        .map(Option::unwrap_or_default)
        .collect()
}

#[test]
fn every_part_knows_only_those_below_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for file in files(&source) {
        let inside = file.strip_prefix(&source).unwrap().with_extension("");
        let part = inside.iter().next().unwrap().to_str().unwrap();
        if OUTSIDE.contains(&part) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let others = named(&text, "crate::").into_iter();
        for known in others.filter(|known| *known != part && !OUTSIDE.contains(known)) {
            assert!(place(known) < place(part), "{} knows {known}, which stands above it", file.display());
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} imports were found");
}

#[test]
fn no_files_of_a_folder_know_each_other_in_a_circle() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut knows = BTreeMap::<PathBuf, BTreeSet<PathBuf>>::new();
    for file in files(&source) {
        let text = std::fs::read_to_string(&file).unwrap();
        let folder = file.parent().unwrap();
        let siblings = named(&text, "super::").into_iter().map(|name| folder.join(name).with_extension("rs"));
        knows.insert(file.clone(), siblings.filter(|sibling| sibling.is_file()).collect());
    }
    assert!(knows.values().any(|siblings| siblings.len() > 4), "no imports were found");
    // Whoever knows nobody that is left is in no circle.
    while let Some(free) =
        knows.iter().find(|(_, siblings)| siblings.is_empty()).map(|(file, _)| file.clone())
    {
        knows.remove(&free);
        knows.values_mut().for_each(|siblings| {
            siblings.remove(&free);
        });
    }
    assert!(knows.is_empty(), "these know each other in a circle: {:?}", knows.keys());
}
