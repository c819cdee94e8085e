//! What the command says when something is missing or wrong: the thing, and what to do.

use std::net::TcpListener;

use super::rig::{errors, t4t};

#[test]
fn a_missing_wallet_names_the_command_that_makes_one() {
    let home = tempfile::tempdir().unwrap();
    for role in ["gateway", "provider"] {
        let output = t4t(home.path(), &[role], &[]);
        assert!(!output.status.success());
        assert!(errors(&output).contains("make one with `t4t wallet new`"), "{}", errors(&output));
    }
}

#[test]
fn a_misspelt_setting_is_named_with_the_right_one() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("t4t.toml");
    std::fs::write(&file, "log_level = \"info\"\nt4t_max_concurent_jobs = 2\n").unwrap();
    let output =
        t4t(home.path(), &["--config", file.to_str().unwrap(), "gateway"], &[("T4T_STAMP_DEPT", "20")]);
    let said = errors(&output);
    assert!(said.contains("t4t.toml, line 2"), "{said}");
    assert!(said.contains("did you mean t4t_max_concurrent_jobs?"), "{said}");
    assert!(said.contains("did you mean T4T_STAMP_DEPTH?"), "{said}");
}

#[test]
fn a_bad_value_says_what_would_be_right() {
    let home = tempfile::tempdir().unwrap();
    let output = t4t(home.path(), &["provider"], &[("T4T_MAX_CONCURRENT_JOBS", "abc")]);
    let said = errors(&output);
    assert!(
        said.contains("T4T_MAX_CONCURRENT_JOBS=abc (environment): expected a whole number from 1 to 1000"),
        "{said}"
    );
}

#[test]
fn a_gateway_that_anyone_could_use_does_not_start() {
    let home = tempfile::tempdir().unwrap();
    assert!(t4t(home.path(), &["wallet", "new"], &[]).status.success());
    let output = t4t(home.path(), &["gateway"], &[("T4T_GATEWAY_HOST", "0.0.0.0")]);
    assert!(!output.status.success(), "{}", errors(&output));
    assert!(errors(&output).contains("set T4T_GATEWAY_API_KEY"), "{}", errors(&output));
}

#[test]
fn a_used_port_is_named_with_the_flag_that_changes_it() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = t4t(home.path(), &["dev", "--port", &port], &[]);
    let said = errors(&output);
    assert!(said.contains(&port) && said.contains("--port"), "{said}");
}

#[test]
fn the_doctor_names_the_variables_that_name_a_proxy() {
    let home = tempfile::tempdir().unwrap();
    let nowhere = "http://127.0.0.1:9";
    let asked = |chain: &str, proxies: &[(&str, &str)]| {
        let variables = [&[("GNOSIS_RPC_URL", chain), ("BEE_API_URL", nowhere)], proxies].concat();
        let doctor = t4t(home.path(), &["doctor", "--json"], &variables);
        let findings: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
        let proxy = findings.as_array().unwrap().iter().find(|finding| finding["what"] == "proxy");
        proxy.map(|finding| finding["found"].as_str().unwrap().to_owned())
    };
    assert_eq!(asked(nowhere, &[]), None);
    let near = asked(nowhere, &[("https_proxy", nowhere), ("ALL_PROXY", nowhere)]).unwrap();
    assert_eq!(near, "https_proxy, ALL_PROXY is set: nothing of what is asked here goes through it");
    let public = format!("{nowhere},https://rpc.t4t.example");
    let public = asked(&public, &[("HTTPS_PROXY", nowhere)]).unwrap();
    assert!(
        public.contains("HTTPS_PROXY") && public.contains("rpc.t4t.example may go through it"),
        "{public}"
    );
}

#[test]
fn a_backend_that_does_not_answer_is_named() {
    let home = tempfile::tempdir().unwrap();
    let port = super::rig::free_port();
    let output = t4t(home.path(), &["dev", "--check", "--backend", &format!("http://127.0.0.1:{port}")], &[]);
    let said = errors(&output);
    assert!(said.contains(&format!("the backend http://127.0.0.1:{port} can't be used")), "{said}");
}

#[test]
fn a_provider_without_endpoints_is_told_what_to_write() {
    let home = tempfile::tempdir().unwrap();
    assert!(t4t(home.path(), &["wallet", "new"], &[]).status.success());
    let output = t4t(home.path(), &["provider"], &[]);
    assert!(errors(&output).contains("\"url\": \"http://127.0.0.1:11434\""), "{}", errors(&output));
}

#[test]
fn a_wallet_is_made_once_and_its_key_is_never_shown() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let made = t4t(home.path(), &["wallet", "new", "--json"], &[]);
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let file = made["file"].as_str().unwrap();
    let key = std::fs::read_to_string(file).unwrap();
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);

    let again = t4t(home.path(), &["wallet", "new"], &[]);
    assert!(!again.status.success());
    assert!(errors(&again).contains("never overwritten"), "{}", errors(&again));
    assert_eq!(std::fs::read_to_string(file).unwrap(), key);

    let shown = t4t(home.path(), &["wallet", "show", "--json"], &[]);
    let settings = t4t(home.path(), &["config", "show", "--origin"], &[("WALLET_KEY", key.trim())]);
    let seen =
        format!("{}{}", String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&settings.stdout));
    assert!(seen.contains(made["address"].as_str().unwrap()));
    assert!(!seen.contains(key.trim().trim_start_matches("0x")));
}

#[test]
fn jobs_before_the_first_start_say_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let output = t4t(home.path(), &["jobs"], &[]);
    assert!(errors(&output).contains("start a role first"), "{}", errors(&output));
}
