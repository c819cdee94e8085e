//! `t4t wallet`: making, showing and importing the wallet, and sending its money away.

mod send;

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use t4t_crypto::WalletKey;
use t4t_crypto::keyfile::{self, KeyFileProblem};
use t4t_runtime::config::WalletSettings;
use t4t_runtime::lock::make_private;
use t4t_runtime::wallet;
use t4t_runtime::{Settings, process};
use zeroize::Zeroizing;

use t4t_terminal::output;

/// A key and a keystore are both far shorter.
const MAX_INPUT_BYTES: usize = 64 << 10;

/// Makes, shows or imports the wallet, or sends its money away.
#[derive(Debug, Args)]
pub(crate) struct WalletArgs {
    #[command(subcommand)]
    command: WalletCommand,
}

#[derive(Debug, Subcommand)]
enum WalletCommand {
    /// Makes a new wallet; an existing one is never overwritten.
    New {
        #[command(flatten)]
        form: Form,
    },
    /// Shows the wallet's address and file.
    Show {
        /// Writes JSON.
        #[arg(long)]
        json: bool,
    },
    /// Takes over a wallet: a key file or keystore, or, without FILE, a key from standard input.
    Import {
        /// The file to take over.
        file: Option<PathBuf>,
        #[command(flatten)]
        form: Form,
    },
    /// Sends money away, such as `send 5 xbzz 0x…`; asks for the wallet's password, or for the payment once more. The
    /// role must be stopped meanwhile.
    Send(send::Payment),
}

#[derive(Debug, Args)]
struct Form {
    /// Keeps the key encrypted under a password (in `T4T_WALLET_PASSWORD_FILE`, or asked for).
    #[arg(long)]
    encrypt: bool,
    /// Writes JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct WalletShown {
    address: String,
    file: String,
}

/// Runs `t4t wallet`.
pub(crate) fn run(args: WalletArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    match args.command {
        WalletCommand::New { form } => {
            let settings = wallet_of(settings)?;
            let key = WalletKey::generate().context("no key can be made")?;
            keep(&key, &settings, &form, "made")?;
        }
        WalletCommand::Show { json } => {
            let settings = wallet_of(settings)?;
            show(&wallet::open(&settings)?, &settings, json)?;
        }
        WalletCommand::Import { file, form } => {
            let settings = wallet_of(settings)?;
            let key = match file {
                Some(file) if parse(&file.to_string_lossy()).is_ok() => bail!(
                    "this is a key and not a file: others can read what is passed to a command, so pass it on \
                     standard input instead, and think of it as known"
                ),
                Some(file) => read_file(&file, settings.password_file.as_deref())?,
                None => read_standard_input()?,
            };
            keep(&key, &settings, &form, "imported")?;
        }
        WalletCommand::Send(payment) => process::run(Box::pin(send::run(payment, settings)))??,
    }
    Ok(ExitCode::SUCCESS)
}

fn wallet_of(mut settings: Settings) -> anyhow::Result<WalletSettings> {
    Ok(WalletSettings::from_settings(&mut settings)?)
}

fn keep(key: &WalletKey, settings: &WalletSettings, form: &Form, done: &str) -> anyhow::Result<()> {
    if let Some(folder) = settings.file.parent() {
        make_private(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    }
    if form.encrypt {
        let password = new_password(settings.password_file.as_deref())?;
        keyfile::write_wallet_keystore(&settings.file, key, &password)?;
    } else {
        keyfile::write_wallet_hex(&settings.file, key)?;
    }
    if form.json {
        return show(key, settings, true);
    }
    output::line(format!("{done} the wallet {}", key.address()))?;
    output::line(format!(
        "its key is in {} (mode 0600): keep a copy somewhere safe",
        settings.file.display()
    ))?;
    output::line("next: send it xDAI for gas and xBZZ for payments on Gnosis Chain, then run `t4t doctor`")?;
    Ok(())
}

fn show(key: &WalletKey, settings: &WalletSettings, json: bool) -> anyhow::Result<()> {
    let shown = WalletShown { address: key.address().to_string(), file: settings.origin() };
    if json {
        return Ok(output::json(&shown)?);
    }
    let mut table = output::Table::bare();
    table.row(["address".into(), shown.address]);
    table.row(["key".into(), shown.file]);
    Ok(table.print()?)
}

fn read_file(file: &Path, password_file: Option<&Path>) -> anyhow::Result<WalletKey> {
    match keyfile::read_wallet(file, None) {
        Err(error) if matches!(error.problem, KeyFileProblem::PasswordNeeded) => {}
        read => return Ok(read?),
    }
    let password = match password_file {
        Some(file) => wallet::read_password(file)?,
        None => ask("password of the keystore: ")?,
    };
    Ok(keyfile::read_wallet(file, Some(&password))?)
}

fn read_standard_input() -> anyhow::Result<WalletKey> {
    if std::io::stdin().is_terminal() {
        let text = ask("the wallet's key (0x and 64 hexadecimal digits, not shown): ")?;
        return parse(text.expose_secret());
    }
    // Room for all of it at once, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_INPUT_BYTES));
    let mut input = std::io::stdin().take(MAX_INPUT_BYTES as u64);
    input.read_to_string(&mut text).context("can't read standard input")?;
    parse(&text)
}

fn parse(text: &str) -> anyhow::Result<WalletKey> {
    WalletKey::parse(text.trim()).context("this is not a wallet's key: expected 0x and 64 hexadecimal digits")
}

fn new_password(file: Option<&Path>) -> anyhow::Result<SecretString> {
    if let Some(file) = file {
        return Ok(wallet::read_password(file)?);
    }
    let password = ask("new password: ")?;
    if password.expose_secret().is_empty() {
        bail!("the password is empty: leave --encrypt out to keep the key unencrypted");
    }
    if ask("the same again: ")?.expose_secret() != password.expose_secret() {
        bail!("the two passwords differ: nothing was written");
    }
    Ok(password)
}

fn ask(prompt: &str) -> anyhow::Result<SecretString> {
    let text = rpassword::prompt_password(prompt);
    text.map(SecretString::from).context("no password can be asked for: set T4T_WALLET_PASSWORD_FILE")
}
