//! Slips in the configuration file and in the environment: each is told with its place, and no secret is repeated.

#![expect(clippy::unwrap_used, reason = "the helpers of a test end it where they can't help")]

use std::error::Error;

use t4t_runtime::config::{
    ChainSettings, ConfigError, DataSettings, GatewaySettings, Key, ProviderSettings, ServiceSettings,
    SwarmSettings, WalletSettings, keys,
};
use t4t_runtime::telemetry::LogConfig;
use t4t_runtime::{Settings, wallet};

/// Secrets of the kinds that people write into these files.
const SECRETS: [&str; 4] = [
    "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
    "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
    "sk-t4t-5d1c77e09ab2f00d",
    "correct horse battery staple",
];

/// A fragment that gives a secret away: a third of it, from anywhere.
fn gives_away(text: &str, secret: &str) -> bool {
    let letters: Vec<char> = secret.chars().collect();
    letters.windows(letters.len() / 3).any(|part| text.contains(&part.iter().collect::<String>()))
}

/// Everything that loading and reading the settings says.
fn said(file: &str, variables: &[(String, String)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t4t.toml");
    std::fs::write(&path, file).unwrap();
    let mut told = Vec::new();
    let mut tell = |error: Option<&(dyn Error + 'static)>| {
        let mut next = error;
        while let Some(error) = next {
            told.push(error.to_string());
            next = error.source();
        }
    };
    match Settings::load(Some(&path), variables.to_vec(), Vec::new()) {
        Err(error) => tell(Some(&error)),
        Ok(mut settings) => {
            let read: [Result<(), ConfigError>; 7] = [
                ChainSettings::from_settings(&settings).map(drop),
                SwarmSettings::from_settings(&settings).map(drop),
                GatewaySettings::from_settings(&settings).map(drop),
                ProviderSettings::from_settings(&settings).map(drop),
                ServiceSettings::from_settings(&settings).map(drop),
                DataSettings::from_settings(&settings).map(drop),
                LogConfig::from_settings(&settings).map(drop),
            ];
            read.iter().for_each(|read| tell(read.as_ref().err().map(|error| error as _)));
            match WalletSettings::from_settings(&mut settings) {
                Err(error) => tell(Some(&error)),
                Ok(wallet) => tell(wallet::open(&wallet).err().as_ref().map(|error| error as _)),
            }
        }
    }
    told.join("\n")
}

fn secret_keys() -> impl Iterator<Item = &'static Key> {
    keys::ALL.iter().copied().filter(|key| key.kind.is_secret())
}

/// What fingers and editors make of `name = "value"`.
fn slips(name: &str, value: &str) -> Vec<String> {
    let mut slips: Vec<String> = [
        "{n} = {v}",
        "{n} = \"{v}",
        "{n} = {v}\"",
        "{n} = '{v}\"",
        "{n} = \"{v}'",
        "{n} = “{v}”",
        "{n} = \"{v}\" \"",
        "{n} = \"{v}\",",
        "{n} = \"{v}\";",
        "{n} \"{v}\"",
        "{n} {v}",
        "{n}: \"{v}\"",
        "{n}: {v}",
        "{n} == \"{v}\"",
        "{n} = = \"{v}\"",
        "{n}.\"{v}\" = 1",
        "{n} = [\"{v}\"",
        "{n} = [\"{v}\", 1]]",
        "{n} = { key = \"{v}\" }",
        "{n} = { \"{v}\" }",
        "[{n}]\n\"{v}\" = 1",
        "[{n}\nkey = \"{v}\"",
        "{n} = \"{v}\"\n{n} = \"{v}\"",
        "{n} = \"\\{v}\"",
        "{n} = \"\"\"{v}",
        "{n} = \"\n{v}\"",
        "{n} =\n\"{v}\"",
        "\"{v}\" = \"{n}\"",
        "{v} = \"{n}\"",
        "{v} = {n}",
        "\"{v}\"",
        "{v}",
        "= \"{v}\"",
        "export {n}=\"{v}\"",
        "{n}=\"{v}\" # \u{0}",
        "{n}s = \"{v}\"",
        "{n}_{v} = 1",
        "log_level = \"{v}\"",
        "t4t_stamp_depth = \"{v}\"",
        "t4t_stamp_manage = \"{v}\"",
        "registry_address = \"{v}\"",
        "postage_batch_id = \"{v}\"",
        "bee_api_url = \"{v}\"",
        "gnosis_rpc_url = \"https://rpc.example/{v}, htps://{v}\"",
        "t4t_gateway_host = \"{v}\"",
        "t4t_max_escrow_per_job = \"{v}\"",
        "t4t_selection_strategy = \"{v}\"",
        "t4t_allowed_models = \"{v}\"",
        "wallet_key_file = \"{v}\"",
        "t4t_wallet_password_file = \"{v}\"",
        "t4t_service_token_file = \"{v}\"",
        "t4t_gateway_api_key_file = \"{v}\"",
        "t4t_pss_key_path = \"{v}\"",
        "{N} = \"{v}\"",
    ]
    .map(|slip| slip.replace("{n}", name).replace("{N}", &name.to_uppercase()).replace("{v}", value))
    .into();
    // A line that is cut off anywhere.
    let whole = format!("{name} = \"{value}\"");
    let ends = (1..whole.len()).filter(|end| whole.is_char_boundary(*end));
    slips.extend(ends.map(|end| whole[..end].to_owned()));
    slips
}

#[test]
fn no_slip_in_the_file_repeats_a_secret() {
    let mut refused = 0;
    for key in secret_keys() {
        for secret in SECRETS {
            for slip in slips(&key.name.to_lowercase(), secret) {
                let file = format!("log_level = \"info\"\n{slip}\nt4t_stamp_ttl_days = 30\n");
                let said = said(&file, &[]);
                assert!(!gives_away(&said, secret), "a slip was repeated:\n{slip}\n{said}");
                refused += usize::from(!said.is_empty());
            }
        }
    }
    assert!(refused > 500, "only {refused} slips were refused");
}

#[test]
fn a_slip_is_told_by_line_and_column() {
    let said = said("log_level = \"info\"\nwallet_key = \"0x4c08\n", &[]);
    assert!(said.contains("t4t.toml is not valid TOML at line 2, column "), "{said}");
    let without_quotes = self::said(
        "\nwallet_key = 0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318\n",
        &[],
    );
    assert!(without_quotes.contains("WALLET_KEY") && without_quotes.contains("line 2"), "{without_quotes}");
    assert!(without_quotes.contains("a text in quotes"), "{without_quotes}");
}

#[test]
fn no_variable_in_the_wrong_place_repeats_a_secret() {
    for key in keys::ALL {
        for secret in SECRETS {
            for value in [
                secret.to_owned(),
                format!("\"{secret}\""),
                format!("{secret} {secret}"),
                format!("x{secret}"),
            ] {
                let said =
                    said("", &[(key.name.to_owned(), value.clone()), ("HOME".into(), "/nowhere".into())]);
                assert!(!gives_away(&said, secret), "{}={value}: {said}", key.name);
            }
        }
    }
}
