//! Settings: layers, mistakes, unsafe combinations, secrets.

#![expect(clippy::unwrap_used, reason = "the helpers of a test end it where they can't help")]

use std::path::Path;
use std::time::Duration;

use t4t_runtime::config::{
    ChainSettings, ConfigError, ConfigProblem, DataSettings, Flag, GatewaySettings, SelectionStrategy,
    ServiceName, ServiceSettings, SwarmSettings, WalletSettings, keys,
};
use t4t_runtime::{Settings, wallet};
use t4t_types::Xbzz;

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    Settings::load(None, variables(pairs), Vec::new())
}

fn load_file(text: &str, pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t4t.toml");
    std::fs::write(&file, text).unwrap();
    Settings::load(Some(&file), variables(pairs), Vec::new())
}

fn message<T>(result: Result<T, ConfigError>) -> String {
    result.err().expect("there is a mistake").to_string()
}

#[test]
fn nothing_needs_to_be_set() {
    let settings = load(&[("HOME", "/home/me")]).unwrap();
    let chain = ChainSettings::from_settings(&settings).unwrap();
    assert_eq!((chain.chain_id, chain.rpc_urls.len()), (100, 1));
    let gateway = GatewaySettings::from_settings(&settings).unwrap();
    assert_eq!(gateway.bind.to_string(), "127.0.0.1:8080");
    assert_eq!(gateway.strategy, SelectionStrategy::TopRepCheapest);
    assert_eq!(gateway.deadline, Duration::from_secs(900));
    assert!(SwarmSettings::from_settings(&settings).unwrap().stamps.manage);
}

#[test]
fn flags_overrule_the_environment_and_that_the_file_and_that_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t4t.toml");
    std::fs::write(&file, "t4t_max_concurrent_jobs = 3\nt4t_stamp_depth = 20\nlog_level = \"warn\"\n")
        .unwrap();
    let flag = Flag { key: &keys::LOG_LEVEL, value: "error".into(), flag: "--log" };
    let environment = variables(&[("T4T_STAMP_DEPTH", "21"), ("LOG_LEVEL", "debug")]);
    let settings = Settings::load(Some(&file), environment, vec![flag]).unwrap();
    let seen = |key| (settings.text(key).unwrap(), settings.origin(key));
    assert_eq!(seen(&keys::LOG_LEVEL), ("error", "--log"));
    assert_eq!(seen(&keys::T4T_STAMP_DEPTH), ("21", "environment"));
    assert_eq!(seen(&keys::T4T_MAX_CONCURRENT_JOBS).0, "3");
    assert!(seen(&keys::T4T_MAX_CONCURRENT_JOBS).1.ends_with("t4t.toml, line 1"));
    assert_eq!(seen(&keys::T4T_STAMP_TTL_DAYS), ("30", "default"));
}

#[test]
fn an_unknown_key_in_the_file_names_its_line_and_the_nearest_known_key() {
    let message =
        message(load_file("# mine\nbee_api_url = \"http://bee:1633\"\nt4t_max_concurent_jobs = 2\n", &[]));
    assert!(message.contains("t4t_max_concurent_jobs"), "{message}");
    assert!(message.contains("t4t.toml, line 3"), "{message}");
    assert!(message.ends_with("did you mean t4t_max_concurrent_jobs?"), "{message}");
}

#[test]
fn an_unknown_variable_of_ours_stops_the_start_and_those_of_others_do_not() {
    let text = message(load(&[("T4T_PROVIDER_WAIT_SECOND", "5"), ("PATH", "/bin"), ("T4TX", "1")]));
    assert_eq!(
        text,
        "unknown setting T4T_PROVIDER_WAIT_SECOND (environment): did you mean T4T_PROVIDER_WAIT_SECONDS?"
    );
    assert!(message(load(&[("T4T_QQQQQQQQQQQQ", "1")])).contains("t4t config keys"));
    assert!(load(&[("T4T_TEST_SLOW", "1")]).is_ok());
}

#[test]
fn a_bad_value_names_the_setting_where_it_is_and_what_would_be_right() {
    assert_eq!(
        message(load(&[("T4T_MAX_CONCURRENT_JOBS", "abc")])),
        "T4T_MAX_CONCURRENT_JOBS=abc (environment): expected a whole number from 1 to 1000"
    );
    let cases = [
        ("T4T_STAMP_MANAGE", "yes", "expected true or false"),
        ("T4T_HEARTBEAT_INTERVAL_SECONDS", "600", "from 1 to 599"),
        ("T4T_SELECTION_STRATEGY", "best", "expected one of top_rep_cheapest, cheapest, manual"),
        ("REGISTRY_ADDRESS", "0x12", "expected 0x and 40 hexadecimal digits"),
        ("POSTAGE_BATCH_ID", "0x12", "expected 64 hexadecimal digits"),
        ("T4T_GATEWAY_HOST", "localhost", "expected an IP address"),
        ("T4T_MAX_ESCROW_PER_JOB", "0.5", "or an amount such as `0.5 xBZZ`"),
        ("T4T_ESCROW_HEADROOM_RATIO", "11", "expected a number from 0 to 10"),
    ];
    for (name, value, expected) in cases {
        let message = message(load(&[(name, value)]));
        assert!(message.contains(name) && message.contains(value) && message.contains(expected), "{message}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let error = load(&[("T4T_STAMP_DEPTH", "x"), ("T4T_STAMP_TTL_DAYS", "y")]).unwrap_err();
    let ConfigError::Invalid(problems) = &error else { panic!("{error}") };
    assert_eq!(problems.len(), 2);
    assert_eq!(error.to_string().lines().count(), 2);
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_named() {
    assert!(message(load_file("a = = 1", &[])).contains("is not valid TOML"));
    let missing = Settings::load(Some(Path::new("/nowhere/t4t.toml")), Vec::new(), Vec::new());
    assert!(message(missing).contains("/nowhere/t4t.toml"));
    let named = load(&[("T4T_CONFIG", "/nowhere/else.toml")]);
    assert!(message(named).contains("/nowhere/else.toml"));
}

#[test]
fn a_table_in_the_file_is_not_taken_for_a_value() {
    let message = message(load_file("[bee_api_url]\nx = 1\n", &[]));
    assert!(message.contains("BEE_API_URL=a table"), "{message}");
}

#[test]
fn lists_are_arrays_in_the_file_and_have_commas_in_the_environment() {
    let file = "gnosis_rpc_url = [\"http://a:1\", \"http://b:2\"]\nt4t_allowed_models = [\"m\", \"n/o\"]\n";
    let settings = load_file(file, &[]).unwrap();
    assert_eq!(ChainSettings::from_settings(&settings).unwrap().rpc_urls.len(), 2);
    let models = GatewaySettings::from_settings(&settings).unwrap().allowed_models.unwrap();
    assert_eq!(models.iter().map(|model| model.as_str()).collect::<Vec<_>>(), ["m", "n/o"]);
    let settings = load(&[("GNOSIS_RPC_URL", "http://a:1, http://b:2,http://c:3")]).unwrap();
    assert_eq!(ChainSettings::from_settings(&settings).unwrap().rpc_urls.len(), 3);
}

#[test]
fn amounts_are_plur_or_xbzz() {
    let pairs =
        [("T4T_MAX_PRICE_PER_MILLION_TOKENS", "18000000000000000"), ("T4T_MAX_ESCROW_PER_JOB", "0.25 xBZZ")];
    let gateway = GatewaySettings::from_settings(&load(&pairs).unwrap()).unwrap();
    assert_eq!(gateway.price_cap, Xbzz::from_plur(18_000_000_000_000_000));
    assert_eq!(gateway.max_escrow, Xbzz::from_plur(2_500_000_000_000_000));
}

#[test]
fn a_gateway_open_to_the_network_needs_a_key_or_the_operators_word() {
    let open = ("T4T_GATEWAY_HOST", "0.0.0.0");
    let gateway = |pairs: &[(&str, &str)]| GatewaySettings::from_settings(&load(pairs).unwrap());
    let text = message(gateway(&[open]));
    assert!(text.contains("0.0.0.0:8080") && text.contains("set T4T_GATEWAY_API_KEY"), "{text}");
    assert!(gateway(&[open, ("T4T_GATEWAY_API_KEY", "k")]).is_ok());
    assert!(gateway(&[open, ("T4T_GATEWAY_OPEN", "true")]).is_ok());
    // The reference's variables name the same address.
    let reference = gateway(&[("T4T_ADMIN_HOST", "0.0.0.0"), ("T4T_ADMIN_PORT", "3000")]);
    assert!(message(reference).contains("0.0.0.0:3000"));
}

#[test]
fn services_open_to_the_network_need_a_token() {
    let services = |pairs: &[(&str, &str)]| ServiceSettings::from_settings(&load(pairs).unwrap());
    let text = message(services(&[("T4T_SERVICE_HOST", "0.0.0.0")]));
    assert!(text.contains("set T4T_SERVICE_TOKEN"), "{text}");
    let open = services(&[("T4T_SERVICE_HOST", "0.0.0.0"), ("T4T_SERVICE_TOKEN", "t")]).unwrap();
    assert_eq!(open.bind(ServiceName::Settlement).address.to_string(), "0.0.0.0:7002");
    assert!(open.peer(ServiceName::Watcher).token.is_some());
}

#[test]
fn settings_that_do_not_go_together_name_the_line_to_change() {
    let swarm = |pairs: &[(&str, &str)]| SwarmSettings::from_settings(&load(pairs).unwrap());
    assert!(message(swarm(&[("T4T_STAMP_TTL_DAYS", "3")])).contains("set T4T_STAMP_MIN_TTL_DAYS below"));
    assert!(message(swarm(&[("T4T_STAMP_DEPTH", "30")])).contains("T4T_STAMP_MAX_DEPTH"));
    let manual = GatewaySettings::from_settings(&load(&[("T4T_SELECTION_STRATEGY", "manual")]).unwrap());
    assert!(message(manual).contains("T4T_MANUAL_PROVIDER is not set"));
}

#[test]
fn no_secret_is_in_debug_in_the_shown_settings_or_in_an_error() {
    const KEY: &str = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    let pairs = [
        ("WALLET_KEY", KEY),
        ("T4T_SERVICE_TOKEN", "s3cret-token"),
        ("GNOSIS_RPC_URL", "https://user:s3cret-password@rpc.example/s3cret-path?k=s3cret-query"),
    ];
    let mut settings = load(&pairs).unwrap();
    let shown = format!("{settings:?} {:?}", settings.shown());
    assert!(!shown.contains("s3cret") && !shown.contains("4c0883"), "{shown}");
    assert!(shown.contains("https://rpc.example/…"), "{shown}");
    let wallet =
        WalletSettings { key: settings.take_secret(&keys::WALLET_KEY), ..wallet_settings(&settings) };
    assert_eq!(
        wallet::open(&wallet).unwrap().address().to_string(),
        "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
    );
    assert!(!format!("{wallet:?}").contains("4c0883"));
    assert!(settings.secret(&keys::WALLET_KEY).is_none(), "it is kept once");

    let bad_url = message(load(&[("GNOSIS_RPC_URL", "htps://rpc.example/s3cret")]));
    assert!(!bad_url.contains("s3cret"), "{bad_url}");
    let bad_key = WalletSettings { key: Some("0xs3cret".into()), ..wallet_settings(&settings) };
    assert!(!wallet::open(&bad_key).unwrap_err().to_string().contains("s3cret"));
}

fn wallet_settings(settings: &Settings) -> WalletSettings {
    let mut with_home = settings
        .with(vec![Flag { key: &keys::T4T_DATA_DIR, value: "/nowhere".into(), flag: "test" }])
        .unwrap();
    WalletSettings::from_settings(&mut with_home).unwrap()
}

#[test]
fn a_missing_wallet_names_the_command_that_makes_one() {
    let settings = load(&[("T4T_DATA_DIR", "/nowhere")]).unwrap();
    let error = wallet::open(&wallet_settings(&settings)).unwrap_err().to_string();
    assert!(error.contains("/nowhere/wallet.key") && error.contains("t4t wallet new"), "{error}");
}

#[test]
fn data_lives_where_the_system_keeps_data() {
    let folder =
        |pairs: &[(&str, &str)]| DataSettings::from_settings(&load(pairs).unwrap()).map(|data| data.folder);
    if !Path::new("/data").exists() {
        assert_eq!(folder(&[("HOME", "/home/me")]).unwrap(), Path::new("/home/me/.local/share/t4t"));
        assert_eq!(folder(&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")]).unwrap(), Path::new("/x/t4t"));
        assert!(matches!(folder(&[]), Err(ConfigError::Invalid(problems))
            if matches!(problems[..], [ConfigProblem::Missing { name: "T4T_DATA_DIR", .. }])));
    }
    assert_eq!(folder(&[("T4T_DATA_DIR", "/srv/t4t"), ("HOME", "/h")]).unwrap(), Path::new("/srv/t4t"));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let settings = load(&[("T4T_MAX_CONCURRENT_JOBS", ""), ("POSTAGE_BATCH_ID", "")]).unwrap();
    assert!(!settings.is_set(&keys::T4T_MAX_CONCURRENT_JOBS));
    assert!(SwarmSettings::from_settings(&settings).unwrap().batch.is_none());
}

#[test]
fn settings_of_the_reference_that_nothing_reads_are_told() {
    let settings = load(&[("T4T_PERSIST_PAYLOADS", "true"), ("T4T_STAMP_DEPTH", "20")]).unwrap();
    let told: Vec<_> = settings.without_effect().map(|key| key.name).collect();
    assert_eq!(told, ["T4T_PERSIST_PAYLOADS"]);
}
