//! A compose file as an engine would carry it out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;

use super::container::{Container, own};
use super::image::{Image, deploy};

/// A compose file.
#[derive(Debug)]
pub(crate) struct Compose {
    pub(crate) file: Value,
    /// What `${…}` stands for.
    pub(crate) variables: BTreeMap<String, String>,
    /// What is written in place of a text of the file, before `${…}` is.
    pub(crate) changes: Vec<(String, String)>,
    /// The same for the files of folders that are mounted.
    pub(crate) changes_in_folders: Vec<(String, String)>,
    volumes: PathBuf,
}

impl Compose {
    pub(crate) fn read(name: &str, volumes: PathBuf) -> Self {
        let text = std::fs::read_to_string(deploy().join(name)).unwrap();
        let mut file: Value = serde_yaml_ng::from_str(&text).unwrap();
        // Once for each level of what is merged into what is merged.
        (0..4).for_each(|_| file.apply_merge().unwrap());
        let (changes, changes_in_folders) = (Vec::new(), Vec::new());
        Self { file, variables: BTreeMap::new(), changes, changes_in_folders, volumes }
    }

    /// A service's container, its volumes made as the engine makes them.
    pub(crate) fn container(&self, service: &str) -> Container {
        let spec = &self.file["services"][service];
        assert!(spec.is_mapping(), "there is no service {service}");
        let image = Image::read();
        let words = |value: &Value| -> Vec<String> {
            value.as_sequence().into_iter().flatten().map(|word| self.text(word)).collect()
        };
        let entrypoint = words(&spec["entrypoint"]);
        let entrypoint = if entrypoint.is_empty() { image.entrypoint } else { entrypoint };
        assert_eq!(entrypoint[..2], ["tini", "--"], "{service}: tini is the first process");
        let mut environment = image.environment;
        for (name, value) in spec["environment"].as_mapping().into_iter().flatten() {
            environment.insert(name.as_str().unwrap().into(), self.text(value));
        }
        let mounts = spec["volumes"].as_sequence().into_iter().flatten();
        Container {
            name: service.into(),
            command: [&entrypoint[2..], &words(&spec["command"])].concat(),
            environment,
            user: image.user,
            fs_group: None,
            mounts: mounts.map(|mount| self.mount(&self.text(mount), image.user)).collect(),
        }
    }

    fn mount(&self, mount: &str, user: u32) -> (String, PathBuf) {
        let mut parts = mount.split(':');
        let (source, inside) = (parts.next().unwrap(), parts.next().unwrap());
        let host = self.volumes.join(source.trim_start_matches("./"));
        if source.starts_with(['.', '/']) {
            self.bind(&deploy().join(source), &host);
        } else {
            assert!(self.file["volumes"].get(source).is_some(), "the volume {source} is not declared");
            if !host.exists() {
                std::fs::create_dir_all(&host).unwrap();
                // A new volume takes after the image's folder, which is its user's.
                own(&host, user, user, 0o700);
            }
        }
        (inside.into(), host)
    }

    /// A folder of the machine: as it is, or made by the engine and root's.
    fn bind(&self, source: &Path, host: &Path) {
        std::fs::create_dir_all(host).unwrap();
        own(host, 0, 0, 0o755);
        for entry in source.is_dir().then(|| std::fs::read_dir(source).unwrap()).into_iter().flatten() {
            let path = entry.unwrap().path();
            let mut text = std::fs::read_to_string(&path).unwrap();
            self.changes_in_folders.iter().for_each(|(from, to)| text = text.replace(from, to));
            let copy = host.join(path.file_name().unwrap());
            std::fs::write(&copy, text).unwrap();
            own(&copy, 0, 0, 0o644);
        }
    }

    /// A text of the file with its variables filled in; one that must be set and is not ends it.
    fn text(&self, value: &Value) -> String {
        let mut text = match value {
            Value::String(text) => text.clone(),
            value => panic!("{value:?} is no text: write it in quotes"),
        };
        self.changes.iter().for_each(|(from, to)| text = text.replace(from, to));
        while let Some((before, rest)) = text.split_once("${") {
            let (inside, after) = rest.split_once('}').unwrap();
            let name = inside.split(':').next().unwrap();
            let set = self.variables.get(name).filter(|value| !value.is_empty());
            let value = match inside.split_once(":-") {
                Some((_, default)) => set.cloned().unwrap_or_else(|| default.to_owned()),
                None => set.unwrap_or_else(|| panic!("{inside}")).clone(),
            };
            text = format!("{before}{value}{after}");
        }
        text
    }
}
