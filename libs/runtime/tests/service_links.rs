//! A cluster puts variables for each of its services into every container: they are no settings.
use t4t_runtime::Settings;
use t4t_runtime::config::{ConfigError, keys};

fn load(pairs: &[(String, String)]) -> Result<Settings, ConfigError> {
    Settings::load(None, pairs.to_vec(), Vec::new())
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// All that a kubelet sets for a service: its host, its ports by name, and each port as an address and in parts.
fn links_of(service: &str, host: &str, ports: &[(&str, u16, &str)]) -> Vec<(String, String)> {
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let name = service.to_ascii_uppercase().replace('-', "_");
    let mut links = vec![(format!("{name}_SERVICE_HOST"), host.to_owned())];
    let mut add = |name: String, value: String| links.push((name, value));
    for (at, (port_name, port, protocol)) in ports.iter().enumerate() {
        let (lower, upper) = (protocol.to_ascii_lowercase(), protocol.to_ascii_uppercase());
        let address = format!("{lower}://{bracketed}:{port}");
        if at == 0 {
            add(format!("{name}_SERVICE_PORT"), port.to_string());
            add(format!("{name}_PORT"), address.clone());
        }
        if !port_name.is_empty() {
            let port_name = port_name.to_ascii_uppercase().replace('-', "_");
            add(format!("{name}_SERVICE_PORT_{port_name}"), port.to_string());
        }
        let part = format!("{name}_PORT_{port}_{upper}");
        add(part.clone(), address);
        add(format!("{part}_PROTO"), lower);
        add(format!("{part}_PORT"), port.to_string());
        add(format!("{part}_ADDR"), host.to_owned());
    }
    links
}

#[test]
fn what_a_cluster_sets_for_any_of_its_services_changes_no_setting() {
    let services = [
        "t4t",
        "t4t-gateway",
        "t4t-dispatcher",
        "t4t-watcher",
        "t4t-settlement",
        "t4t-runner",
        "t4t-admin",
        "t4t-provider",
        "t4t-stamp",
        "bee",
        "bee-api",
        "t4t-max-concurrent-jobs",
        "registry",
        "log",
    ];
    let ports = [("http", 8080, "TCP"), ("p2p-udp", 1634, "UDP"), ("", 9, "SCTP")];
    for host in ["10.96.0.7", "fd00::7"] {
        for service in services {
            let links = links_of(service, host, &ports);
            let settings = load(&links).unwrap_or_else(|error| panic!("{service} at {host}: {error}"));
            for key in keys::ALL {
                assert!(!settings.is_set(key), "{service} at {host} sets {}", key.name);
            }
        }
    }
}

#[test]
fn a_setting_beside_the_links_of_its_own_name_holds() {
    let mut pod = links_of("t4t", "10.96.0.9", &[("http", 80, "TCP")]);
    // What a manifest sets takes the place of the link.
    pod.retain(|(name, _)| name != "T4T_SERVICE_HOST");
    pod.extend(variables(&[("T4T_SERVICE_HOST", "0.0.0.0"), ("T4T_GATEWAY_PORT", "8080")]));
    let settings = load(&pod).unwrap();
    assert_eq!(settings.text(&keys::T4T_SERVICE_HOST), Some("0.0.0.0"));
    assert_eq!(settings.text(&keys::T4T_GATEWAY_PORT), Some("8080"));
    let alone = load(&variables(&[("T4T_SERVICE_HOST", "10.1.2.3")])).unwrap();
    assert_eq!(alone.text(&keys::T4T_SERVICE_HOST), Some("10.1.2.3"));
}

#[test]
fn a_mistake_that_looks_like_a_link_still_stops_the_start() {
    let mistakes = [
        ("T4T_GATEWAY_PORT", "http://10.96.0.7:8080"),
        ("T4T_GATEWAY_PORT", "tcp://10.96.0.7"),
        ("T4T_GATEWAY_PORT", "tcp://"),
        ("T4T_GATEWAY_PORT", "eighty"),
        ("T4T_GATWAY_PORT", "8080"),
        ("T4T_GATEWAY_SERVICE_HOST", "0.0.0.0"),
        ("T4T_GATEWAY_SERVICE_HOST", "gateway"),
        ("T4T_GATEWAY_SERVICE_PORT", "tcp://10.96.0.7:8080"),
        ("T4T_GATEWAY_PORT_8080_TCP", "8080"),
        ("T4T_GATEWAY_PORT_8080_TCP_PROTO", "http"),
        ("T4T_GATEWAY_PORT_HTTP_TCP", "tcp://10.96.0.7:8080"),
        ("T4T_GATEWAY_PORT_8080_TCP_HOST", "10.96.0.7"),
        ("T4T_SERVICE_HOST", "gateway"),
        ("T4T_SERVICE_TOKN", "secret"),
        ("T4T_MAX_CONCURRENT_JOB", "2"),
    ];
    for (name, value) in mistakes {
        assert!(load(&variables(&[(name, value)])).is_err(), "{name}={value}");
    }
}
