//! The manifests of `deploy/k8s` as a cluster would carry them out.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;

use super::container::{Container, own};
use super::image::{Image, deploy};

/// All objects of the manifests, and the secrets that are made by hand.
#[derive(Debug)]
pub(crate) struct Cluster {
    objects: Vec<Value>,
    secrets: BTreeMap<(String, String), String>,
    /// What stands for a name in the cluster's network, such as a service's or a pod's.
    pub(crate) names: Vec<(String, String)>,
    /// Where volumes are.
    volumes: PathBuf,
}

/// A pod of a stateful set.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) containers: Vec<Container>,
    volumes: Vec<(PathBuf, u32)>,
}

impl Cluster {
    pub(crate) fn read(volumes: PathBuf) -> Self {
        let mut objects = Vec::new();
        for entry in std::fs::read_dir(deploy().join("k8s")).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for document in serde_yaml_ng::Deserializer::from_str(&text) {
                objects.push(<Value as serde::Deserialize>::deserialize(document).unwrap());
            }
        }
        Self { objects, secrets: BTreeMap::new(), names: Vec::new(), volumes }
    }

    pub(crate) fn secret(&mut self, name: &str, key: &str, value: &str) {
        self.secrets.insert((name.into(), key.into()), value.into());
    }

    pub(crate) fn object(&self, kind: &str, name: &str) -> &Value {
        let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        self.objects.iter().find(is_it).unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// The data of a config map, with `changes` made to their text.
    fn config(&self, name: &str, changes: &[(String, String)]) -> BTreeMap<String, String> {
        let data = self.object("ConfigMap", name)["data"].as_mapping().unwrap();
        let changed = |(key, value): (&Value, &Value)| {
            let mut value = value.as_str().unwrap().to_owned();
            for (from, to) in changes {
                value = value.replace(from, to);
            }
            (key.as_str().unwrap().to_owned(), value)
        };
        data.iter().map(changed).collect()
    }

    /// Makes a pod of a stateful set with its volumes; `changes` are made to what its config maps say.
    pub(crate) fn pod(&self, set: &str, ordinal: u32, changes: &[(String, String)]) -> Pod {
        let spec = &self.object("StatefulSet", set)["spec"];
        let pod = &spec["template"]["spec"];
        let name = format!("{set}-{ordinal}");
        let group = number(&pod["securityContext"]["fsGroup"]);
        let folder = self.volumes.join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut volumes = Vec::new();
        for claim in spec["volumeClaimTemplates"].as_sequence().unwrap() {
            let volume = folder.join(claim["metadata"]["name"].as_str().unwrap());
            std::fs::create_dir_all(&volume).unwrap();
            own(&volume, 0, group, 0o2775);
            volumes.push((volume, group));
        }
        for volume in pod["volumes"].as_sequence().into_iter().flatten() {
            let at = folder.join(volume["name"].as_str().unwrap());
            self.project(volume, &at, group, changes);
        }
        let containers = pod["containers"].as_sequence().unwrap().iter();
        let ours = containers.filter(|container| container["image"] == "t4t");
        let containers = ours.map(|container| self.container(pod, container, (&name, &folder), changes));
        Pod { containers: containers.collect(), volumes }
    }

    /// A secret or a config map as a volume: its files are links to links, as a kubelet makes them.
    fn project(&self, volume: &Value, at: &Path, group: u32, changes: &[(String, String)]) {
        let secret = volume["secret"]["secretName"].as_str();
        let files: BTreeMap<String, String> = match secret {
            Some(name) => {
                let of_it = self.secrets.iter().filter(|((secret, _), _)| secret == name);
                of_it.map(|((_, key), value)| (key.clone(), value.clone())).collect()
            }
            None => self.config(volume["configMap"]["name"].as_str().unwrap(), changes),
        };
        assert!(!files.is_empty(), "{volume:?} has no files: no secret of that name is made");
        let asked = &volume["secret"]["defaultMode"];
        // The group of the volumes may read whatever its owner may.
        let mode = if secret.is_some() { number(asked) | 0o040 } else { 0o644 };
        let data = at.join("..2026");
        if at.exists() {
            std::fs::remove_dir_all(at).unwrap();
        }
        std::fs::create_dir_all(&data).unwrap();
        std::os::unix::fs::symlink("..2026", at.join("..data")).unwrap();
        for (name, content) in files {
            std::fs::write(data.join(&name), content).unwrap();
            own(&data.join(&name), 0, group, mode);
            std::os::unix::fs::symlink(Path::new("..data").join(&name), at.join(&name)).unwrap();
        }
    }

    fn container(
        &self,
        pod: &Value,
        container: &Value,
        (name, folder): (&str, &Path),
        changes: &[(String, String)],
    ) -> Container {
        let image = Image::read();
        let words = |value: &Value| -> Vec<String> {
            value.as_sequence().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        let command = words(&container["command"]);
        let command = if command.is_empty() { image.entrypoint } else { command };
        assert_eq!(command[..2], ["tini", "--"], "{name}: tini is the first process");
        let command = [&command[2..], &words(&container["args"])].concat();
        let context = |key: &str| {
            let own = &container["securityContext"][key];
            number(if own.is_null() { &pod["securityContext"][key] } else { own })
        };
        let group = number(&pod["securityContext"]["fsGroup"]);
        assert_eq!(context("runAsGroup"), context("runAsUser"), "{name}: a group of its own");
        let mut environment = image.environment;
        // Links that the manifest switches off are there all the same: whoever forgets that must not be stopped.
        environment.extend(self.service_links());
        for source in container["envFrom"].as_sequence().into_iter().flatten() {
            environment.extend(self.config(source["configMapRef"]["name"].as_str().unwrap(), changes));
        }
        for variable in container["env"].as_sequence().into_iter().flatten() {
            let mut value = match &variable["valueFrom"]["fieldRef"]["fieldPath"] {
                Value::String(path) if path == "metadata.name" => name.to_owned(),
                _ => variable["value"].as_str().unwrap().to_owned(),
            };
            for (other, known) in &environment {
                value = value.replace(&format!("$({other})"), known);
            }
            for (from, to) in &self.names {
                value = value.replace(from, to);
            }
            environment.insert(variable["name"].as_str().unwrap().into(), value);
        }
        Container {
            name: format!("{name}-{}", container["name"].as_str().unwrap()),
            command,
            environment,
            user: context("runAsUser"),
            fs_group: Some(group),
            mounts: mounts(container, folder, group),
        }
    }

    /// The variables that a kubelet adds for the services of a namespace.
    fn service_links(&self) -> Vec<(String, String)> {
        let mut links = Vec::new();
        for service in self.of_kind("Service").filter(|service| service["spec"]["clusterIP"] != "None") {
            let name = service["metadata"]["name"].as_str().unwrap().to_uppercase().replace('-', "_");
            let port = number(&service["spec"]["ports"][0]["port"]);
            let mut add = |suffix: &str, value: String| links.push((format!("{name}_{suffix}"), value));
            add("SERVICE_HOST", "10.96.0.7".into());
            add("SERVICE_PORT", port.to_string());
            add("PORT", format!("tcp://10.96.0.7:{port}"));
            add(&format!("PORT_{port}_TCP"), format!("tcp://10.96.0.7:{port}"));
            add(&format!("PORT_{port}_TCP_PROTO"), "tcp".into());
            add(&format!("PORT_{port}_TCP_PORT"), port.to_string());
            add(&format!("PORT_{port}_TCP_ADDR"), "10.96.0.7".into());
        }
        links
    }
}

impl Pod {
    pub(crate) fn container(&self, name: &str) -> &Container {
        self.containers.iter().find(|container| container.name.ends_with(name)).unwrap()
    }

    /// What a kubelet does to a volume that is mounted again: its group may read and write everything in it.
    pub(crate) fn hand_volumes_to_their_group(&self) {
        for (volume, group) in &self.volumes {
            hand_to(volume, *group);
        }
    }
}

fn hand_to(path: &Path, group: u32) {
    let found = std::fs::symlink_metadata(path).unwrap();
    let mode = found.permissions().mode() | if found.is_dir() { 0o2770 } else { 0o660 };
    own(path, found.uid(), group, mode & 0o7777);
    if found.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| hand_to(&entry.unwrap().path(), group));
    }
}

fn mounts(container: &Value, folder: &Path, group: u32) -> Vec<(String, PathBuf)> {
    let mount = |mount: &Value| {
        let mut host = folder.join(mount["name"].as_str().unwrap());
        if let Some(part) = mount["subPath"].as_str() {
            host = host.join(part);
            if !host.exists() {
                std::fs::create_dir(&host).unwrap();
                own(&host, 0, group, 0o2775);
            }
            // What is mounted is what the link leads to.
            host = host.canonicalize().unwrap();
        }
        (mount["mountPath"].as_str().unwrap().to_owned(), host)
    };
    container["volumeMounts"].as_sequence().into_iter().flatten().map(mount).collect()
}

/// A whole number; `0400` is octal, as clusters read it.
pub(crate) fn number(value: &Value) -> u32 {
    match value {
        Value::String(text) => u32::from_str_radix(text, 8).unwrap(),
        value => value.as_u64().unwrap_or_else(|| panic!("{value:?} is no number")).try_into().unwrap(),
    }
}
