//! A panic's text is not told: it may hold what was being worked on.

use std::process::Command;

use anyhow::ensure;
use t4t_testkit::anvil::dev_key;
use t4t_testkit::chaos::Row;
use t4t_testkit::secrets::{Secrets, no_secret};

use super::ROW;

/// Set in the process that is to panic.
const PANICS: &str = "T4T_CHAOS_KEYS_PANICS";

#[test]
fn a_panic_tells_where_and_not_what() -> anyhow::Result<()> {
    let key = dev_key(1).secret_bytes();
    if std::env::var_os(PANICS).is_some() {
        let log = t4t_runtime::telemetry::LogConfig {
            level: "trace".into(),
            format: t4t_runtime::telemetry::LogFormat::Human,
        };
        t4t_runtime::telemetry::init(&log);
        t4t_runtime::process::begin();
        panic!("the key is {} or {:?}", hex::encode(key.as_slice()), key.as_slice());
    }
    let ended = Command::new(std::env::current_exe()?)
        .args(["--exact", "panics::a_panic_tells_where_and_not_what", "--nocapture"])
        .env(PANICS, "yes")
        .env("RUST_BACKTRACE", "full")
        .output()?;
    let said = [ended.stdout, ended.stderr].concat();
    let text = String::from_utf8_lossy(&said);
    ensure!(!ended.status.success() && text.contains("panics.rs"), "{}: {text}", ended.status);
    no_secret(&Secrets::new().key("the key", &key).in_bytes("what it said", &said))?;
    Row::new(ROW, "a panic with the key in its text", 1, "tells the place, not the text").report()
}
