//! What is written about the settings elsewhere is what the table of settings says.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use t4t_runtime::config::{keys, reference};

/// Names that begin like settings and are none: arguments of the build and of compose.
const NO_SETTINGS: [&str; 2] = ["T4T_COMMIT", "T4T_IMAGE"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("data") => {}
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// Every word of a text that begins as our settings do.
fn named(text: &str) -> BTreeSet<&str> {
    let is_part = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    text.split(|letter: char| !is_part(letter)).filter(|word| word.starts_with("T4T_")).collect()
}

#[test]
fn every_setting_that_deploy_names_is_known() {
    let mut paths = Vec::new();
    files(&root().join("deploy"), &mut paths);
    assert!(paths.len() >= 8, "{paths:?}");
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        for name in named(&text) {
            let known = keys::find(name).is_some() || NO_SETTINGS.contains(&name);
            assert!(known, "{} names {name}, which is no setting", path.display());
        }
    }
}

#[test]
fn the_page_of_settings_is_up_to_date() {
    let written = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    assert_eq!(written.trim_end(), reference().trim_end(), "run `just config-docs`");
}
