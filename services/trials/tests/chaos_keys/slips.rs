//! Slips in the files and variables that secrets are written into: whatever is said about them, to people, to programs
//! and in the log, holds no secret.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::ensure;
use t4t_testkit::anvil::dev_key;
use t4t_testkit::chaos::Row;
use t4t_testkit::secrets::{Secrets, no_secret};

use super::ROW;
use super::files::private;

/// A key as apps and services send it.
const TOKEN: &str = "sk-t4t-slip-5d1c77e09ab2f00d";

/// A backend's key.
const BACKEND_KEY: &str = "sk-backend-slip-0b7f3e6d11c4";

/// A keystore's password.
const PASSPHRASE: &str = "incorrect mule cell clip";

/// What fingers make of `NAME = "VALUE"` in the configuration file.
const IN_TOML: [&str; 22] = [
    "NAME = VALUE",
    "NAME = \"VALUE",
    "NAME = VALUE\"",
    "NAME = 'VALUE\"",
    "NAME = \"VALUE\",",
    "NAME = \"VALUE\" \"",
    "NAME \"VALUE\"",
    "NAME VALUE",
    "NAME: \"VALUE\"",
    "NAME == \"VALUE\"",
    "NAME = \"VALUE\"\nNAME = \"VALUE\"",
    "NAME = { key = \"VALUE\" }",
    "NAME.\"VALUE\" = 1",
    "[NAME]\n\"VALUE\" = 1",
    "NAMEE = \"VALUE\"",
    "\"VALUE\" = \"NAME\"",
    "VALUE",
    "export NAME=\"VALUE\"",
    "t4t_stamp_depth = \"VALUE\"",
    "registry_address = \"VALUE\"",
    "bee_api_url = \"VALUE\"",
    "wallet_key_file = \"VALUE\"",
];

/// What fingers make of `endpoints.json`.
const IN_ENDPOINTS: [&str; 14] = [
    r#"[{"name":"b","url":"http://127.0.0.1:9","apiKey":VALUE}]"#,
    r#"[{"name":"b","url":"http://127.0.0.1:9","apiKey":"VALUE}]"#,
    r#"[{"name":"b","url":"http://127.0.0.1:9","apiKey":"VALUE"}"#,
    r#"[{"name":"b","url":"http://127.0.0.1:9","apiKey" "VALUE"}]"#,
    r#"[{"name":"b","url":"http://127.0.0.1:9",'apiKey':'VALUE'}]"#,
    r#"[{"name":"b","url":"http://127.0.0.1:9","apiKey":["VALUE"]}]"#,
    r#"[{"name":"b","url":"http://127.0.0.1:9","apiKey":{"key":"VALUE"}}]"#,
    r#"[{"name":"b","url":"http://127.0.0.1:9","apiKey":"VALUE "}]"#,
    r#"[{"name":"b","url":"http://127.0.0.1:9","VALUE":"apiKey"}]"#,
    r#"[{"name":"b","url":"http://127.0.0.1:9","apikey":"VALUE"}]"#,
    r#"[{"name":"b","url":"http://user:VALUE@127.0.0.1:9"}]"#,
    r#"[{"name":"b","url":"http://127.0.0.1:9?key=VALUE"}]"#,
    r#"{"name":"b","url":"http://127.0.0.1:9","apiKey":"VALUE"}"#,
    r#"[{"name":"b","url":"VALUE"}]"#,
];

/// What fingers make of a keystore, beside what the other tests of key files do.
const IN_KEYSTORE: [&str; 6] = [
    "{\"VALUE\"}",
    "{\"version\":3,\"crypto\":\"VALUE\"}",
    "{\"version\":\"VALUE\"}",
    "{\"version\":3,\"id\":VALUE}",
    "{\"version\":3,\"crypto\":{\"cipher\":\"VALUE\",\"cipherparams\":{\"iv\":\"00\"},\"ciphertext\":\"00\",\"kdf\":\"VALUE\",\"mac\":\"00\"}}",
    "{\"VALUE\":{\"version\":3}}",
];

struct Play<'a> {
    home: &'a Path,
    secrets: Secrets,
    runs: u64,
    refused: u64,
}

impl Play<'_> {
    /// Runs the program and searches all that it says.
    fn says(&mut self, program: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Output> {
        let mut command = Command::new(super::program(program[0]));
        command.args(&program[1..]).env_clear().current_dir(self.home).stdin(Stdio::null());
        command.env("HOME", self.home).env("LOG_LEVEL", "trace").env("RUST_BACKTRACE", "full");
        command.env("GNOSIS_RPC_URL", "http://127.0.0.1:9").env("T4T_ADMIN_PORT", "0");
        command.env("T4T_DATA_DIR", self.home.join("data"));
        let output = command.envs(variables.iter().copied()).output()?;
        self.runs += 1;
        self.refused += u64::from(!output.status.success());
        let said = [&output.stdout[..], &output.stderr].concat();
        let found = self.secrets.in_bytes("what it said", &said);
        no_secret(&found).map_err(|error| error.context(format!("{program:?} with {variables:?}")))?;
        Ok(output)
    }

    /// Whatever reads the settings and ends; what would run on is started only where the settings are refused.
    fn all_say(&mut self, variables: &[(&str, &str)]) -> anyhow::Result<()> {
        for program in [&["t4t", "config", "show", "--origin"][..], &["t4t", "wallet", "show"]] {
            self.says(program, variables)?;
        }
        if self.says(&["t4t", "config", "validate"], variables)?.status.success() {
            return Ok(());
        }
        for role in [["t4t", "gateway"], ["t4t", "provider"], ["t4t", "doctor"], ["t4t", "stake"]] {
            let output = self.says(&role, variables)?;
            ensure!(!output.status.success(), "{role:?} starts with settings that are not valid");
        }
        Ok(())
    }
}

#[test]
fn no_slip_in_a_file_or_a_variable_shows_a_secret() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let key = dev_key(1).secret_bytes();
    let hex = hex::encode(key.as_slice());
    let prefixed = format!("0x{hex}");
    let secrets = Secrets::new().key("the wallet's key", &key).text("the token", TOKEN);
    let secrets = secrets.text("the backend's key", BACKEND_KEY).text("the password", PASSPHRASE);
    fs::create_dir(home.path().join("data"))?;
    let wallet = home.path().join("data/wallet.key");
    private(&wallet, &prefixed)?;
    let mut play = Play { home: home.path(), secrets, runs: 0, refused: 0 };

    let (file, written) = (home.path().join("t4t.toml"), home.path().join("t4t.toml").display().to_string());
    for (name, value) in
        [("wallet_key", prefixed.as_str()), ("t4t_service_token", TOKEN), ("t4t_gateway_api_key", TOKEN)]
    {
        for slip in IN_TOML {
            private(
                &file,
                format!("log_level = \"info\"\n{}\n", slip.replace("NAME", name).replace("VALUE", value)),
            )?;
            play.all_say(&[("T4T_CONFIG", &written)])?;
        }
    }
    for name in [
        "WALLET_KEY_FILE",
        "T4T_WALLET_PASSWORD_FILE",
        "T4T_SERVICE_TOKEN_FILE",
        "T4T_STAMP_DEPTH",
        "BEE_API_URL",
    ] {
        for value in [&prefixed, &hex, TOKEN, PASSPHRASE] {
            play.all_say(&[(name, value)])?;
        }
    }
    for value in [&hex[..60], &format!("{prefixed}00"), TOKEN, PASSPHRASE, &format!("\"{prefixed}\"")] {
        play.says(&["t4t", "wallet", "show"], &[("WALLET_KEY", value)])?;
    }
    for slip in IN_ENDPOINTS {
        private(&home.path().join("data/endpoints.json"), slip.replace("VALUE", BACKEND_KEY))?;
        let output = play.says(&["t4t", "provider"], &[])?;
        ensure!(!output.status.success(), "a provider starts with {slip}");
    }
    fs::remove_file(&wallet)?;
    for slip in IN_KEYSTORE {
        for value in [&hex, PASSPHRASE] {
            private(&wallet, slip.replace("VALUE", value))?;
            play.says(&["t4t", "wallet", "show"], &[])?;
        }
        fs::remove_file(&wallet)?;
    }
    let password = home.path().join("password");
    for (content, mode) in [("", 0o600), ("\n", 0o600), (PASSPHRASE, 0o644), (PASSPHRASE, 0o600)] {
        use std::os::unix::fs::PermissionsExt;
        fs::write(&password, content)?;
        fs::set_permissions(&password, fs::Permissions::from_mode(mode))?;
        let output = play.says(
            &["t4t", "wallet", "show"],
            &[("T4T_WALLET_PASSWORD_FILE", &password.display().to_string())],
        )?;
        ensure!(!output.status.success(), "there is no wallet");
    }
    let argument = play.says(&["t4t", "wallet", "import", &prefixed], &[])?;
    ensure!(!argument.status.success(), "a key is taken from the command line");
    let found = format!("0 secrets in all that was said; {} refused", play.refused);
    Row::new(ROW, "slips in settings, endpoints.json, keystores, passwords, variables", play.runs, found)
        .report()
}
