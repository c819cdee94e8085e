//! Settings: a file, or variables of the environment.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use t4t_runtime::Settings;
use t4t_runtime::config::{
    ChainSettings, DataSettings, GatewaySettings, ProviderSettings, ServiceSettings, SwarmSettings,
    WalletSettings,
};
use t4t_runtime::telemetry::LogConfig;

static FILE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("t4t.toml");
    (folder, file)
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, text)) = data.split_first() else { return };
    let loaded = if kind % 2 == 0 {
        std::fs::write(&FILE.1, text).expect("the file can be written");
        Settings::load(Some(&FILE.1), [], Vec::new())
    } else {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let pairs = pairs.filter(|(name, _)| *name != "T4T_CONFIG");
        Settings::load(None, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())), Vec::new())
    };
    match loaded {
        Ok(settings) => read(settings),
        Err(error) => drop(error.to_string()),
    }
});

fn read(mut settings: Settings) {
    let _ = settings.shown();
    let _ = (ChainSettings::from_settings(&settings), SwarmSettings::from_settings(&settings));
    let _ = (GatewaySettings::from_settings(&settings), ProviderSettings::from_settings(&settings));
    let _ = (ServiceSettings::from_settings(&settings), DataSettings::from_settings(&settings));
    let _ = LogConfig::from_settings(&settings);
    let _ = WalletSettings::from_settings(&mut settings);
}
