//! What the manifests and compose files must say, beyond what the plays need of them.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use super::compose::Compose;
use super::image::{Image, deploy};
use super::kubernetes::Cluster;

const COMPOSE: [&str; 3] = ["compose.provider.yml", "compose.gateway.yml", "compose.dev.yml"];

fn nowhere() -> std::path::PathBuf {
    std::env::temp_dir()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_sequence().into_iter().flatten()
}

#[test]
fn no_pod_is_given_variables_for_the_services_of_its_namespace() {
    let cluster = Cluster::read(nowhere());
    for set in cluster.of_kind("StatefulSet") {
        let pod = &set["spec"]["template"]["spec"];
        assert_eq!(pod["enableServiceLinks"], false, "{:?}", set["metadata"]["name"]);
    }
    assert_eq!(cluster.of_kind("StatefulSet").count(), 5);
}

#[test]
fn the_dispatcher_sets_no_limit_that_undoes_another_gpu() {
    let cluster = Cluster::read(nowhere());
    let sets_it = |value: &Value| value == "T4T_MAX_CONCURRENT_JOBS";
    let provider = &cluster.object("StatefulSet", "t4t-provider")["spec"]["template"]["spec"];
    for container in items(&provider["containers"]) {
        assert!(
            !items(&container["env"]).any(|variable| sets_it(&variable["name"])),
            "{:?}",
            container["name"]
        );
    }
    let shared = cluster.object("ConfigMap", "t4t")["data"].as_mapping().unwrap();
    assert!(!shared.keys().any(sets_it));
}

#[test]
fn a_runner_is_told_no_token_that_opens_the_wallet() {
    let cluster = Cluster::read(nowhere());
    let runner = &cluster.object("StatefulSet", "t4t-runner")["spec"]["template"]["spec"];
    let secrets: BTreeSet<&str> =
        items(&runner["volumes"]).filter_map(|volume| volume["secret"]["secretName"].as_str()).collect();
    assert_eq!(secrets, BTreeSet::from(["t4t-runners"]));
    let compose = Compose::read("compose.dev.yml", nowhere());
    for runner in ["runner-0", "runner-1"] {
        let environment = &compose.file["services"][runner]["environment"];
        assert!(
            environment.get("T4T_RUNNER_TOKEN").is_some() && environment.get("T4T_SERVICE_TOKEN").is_none()
        );
    }
}

#[test]
fn each_ollama_is_given_a_gpu_and_a_model() {
    let cluster = Cluster::read(nowhere());
    let runner = &cluster.object("StatefulSet", "t4t-runner")["spec"]["template"]["spec"];
    let ollama = items(&runner["containers"]).find(|container| container["name"] == "ollama").unwrap();
    assert_eq!(ollama["resources"]["limits"]["nvidia.com/gpu"], 1);
    let fetches = items(&runner["initContainers"]).next().unwrap();
    assert!(fetches["command"][2].as_str().unwrap().contains("ollama pull"));
    assert_eq!(fetches["volumeMounts"], ollama["volumeMounts"], "into the same folder");
    let services = &Compose::read("compose.provider.yml", nowhere()).file["services"];
    let devices = &services["ollama"]["deploy"]["resources"]["reservations"]["devices"];
    assert_eq!(devices[0]["capabilities"][0], "gpu");
    assert_eq!(services["model"]["entrypoint"][1], "pull");
}

#[test]
fn each_bee_node_that_is_asked_is_there() {
    let cluster = Cluster::read(nowhere());
    for set in cluster.of_kind("StatefulSet") {
        for variable in
            items(&set["spec"]["template"]["spec"]["containers"]).flat_map(|one| items(&one["env"]))
        {
            if variable["name"] == "BEE_API_URL" {
                let url: url::Url = variable["value"].as_str().unwrap().parse().unwrap();
                let bee = url.host_str().unwrap();
                assert_eq!(cluster.object("Service", bee)["spec"]["ports"][0]["port"], url.port().unwrap());
                cluster.object("StatefulSet", bee);
            }
        }
    }
}

#[test]
fn what_a_container_writes_to_is_never_a_folder_that_the_engine_makes() {
    let image = Image::read();
    for name in COMPOSE {
        let compose = Compose::read(name, nowhere());
        for (service, spec) in compose.file["services"].as_mapping().unwrap() {
            for mount in items(&spec["volumes"]).filter_map(Value::as_str) {
                let (source, inside) = mount.split_once(':').unwrap();
                if source.starts_with('.') {
                    assert!(deploy().join(source).is_dir(), "{name}: {source} would be made, and root's");
                    assert!(inside.ends_with(":ro"), "{name}: {service:?} may write to {source}");
                } else {
                    assert!(
                        compose.file["volumes"].get(source).is_some(),
                        "{name}: {source} is not declared"
                    );
                }
            }
        }
        let services = &compose.file["services"];
        for role in ["provider", "gateway"].iter().filter_map(|role| services.get(role)) {
            let data =
                items(&role["volumes"]).filter_map(Value::as_str).any(|mount| mount.ends_with(":/data"));
            assert!(data, "{name}: keys and databases are in {}", image.environment["T4T_DATA_DIR"]);
        }
    }
}
