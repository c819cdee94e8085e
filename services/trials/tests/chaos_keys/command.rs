//! `t4t wallet`: key files are made once, for their owner alone, and keys are never shown.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, ensure};
use t4t_crypto::keyfile;
use t4t_testkit::anvil::dev_key;
use t4t_testkit::chaos::Row;
use t4t_testkit::secrets::{Secrets, no_secret};

use super::files::private;
use super::{PASSWORD, ROW, T4T};

/// Wallets made at once in one place.
const RACERS: usize = 16;

/// `t4t wallet …` with these variables and this on its standard input.
fn wallet(
    home: &Path,
    arguments: &[&str],
    variables: &[(&str, &Path)],
    input: &str,
) -> anyhow::Result<Output> {
    // A mask that takes nothing away: the mode is then what the command asked for.
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0; exec \"$0\" wallet \"$@\"", T4T]).args(arguments);
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(variables.iter().copied()).env("LOG_LEVEL", "trace");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // A command that does not ask closes it.
    let _closed = child.stdin.take().context("its input")?.write_all(input.as_bytes());
    Ok(child.wait_with_output()?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Checks that the file was made for its owner alone and that nothing of it was shown.
fn is_kept(file: &Path, password: Option<&Path>, outputs: &[&Output]) -> anyhow::Result<()> {
    let mode = fs::metadata(file)?.permissions().mode() & 0o7777;
    ensure!(mode == 0o600, "{} has mode {mode:04o}", file.display());
    let given = password.map(|_| PASSWORD.into());
    let key = keyfile::read_wallet(file, given.as_ref())?.secret_bytes();
    let secrets = Secrets::new().key("the key", &key).text("the password", PASSWORD);
    for output in outputs {
        no_secret(&secrets.in_bytes("what it said", said(output).as_bytes()))?;
    }
    Ok(())
}

#[test]
fn wallets_are_made_and_taken_over_for_their_owner_alone_and_never_shown() -> anyhow::Result<()> {
    let (key, mut runs) = (dev_key(1), 0);
    let text = format!("0x{}", hex::encode(key.secret_bytes()));
    let outside = tempfile::tempdir()?;
    let (plain, password) = (outside.path().join("plain"), outside.path().join("password"));
    private(&plain, &text)?;
    private(&password, format!("{PASSWORD}\n"))?;
    let keystore = outside.path().join("keystore");
    keyfile::write_wallet_keystore(&keystore, &key, &PASSWORD.into())?;
    let (plain, keystore) = (plain.display().to_string(), keystore.display().to_string());
    let ways: [(&[&str], &str, bool); 6] = [
        (&["new"], "", false),
        (&["new", "--encrypt", "--json"], "", true),
        (&["import"], &text, false),
        (&["import", &plain], "", false),
        (&["import", &keystore], "", false),
        (&["import", "--encrypt", &keystore], "", true),
    ];
    for (arguments, input, is_sealed) in ways {
        let home = tempfile::tempdir()?;
        let file = home.path().join("data/wallet.key");
        let data = file.parent().context("it lies in a folder")?;
        let variables = [("T4T_DATA_DIR", data), ("T4T_WALLET_PASSWORD_FILE", password.as_path())];
        let run = |arguments, input| wallet(home.path(), arguments, &variables, input);
        let made = run(arguments, input)?;
        ensure!(made.status.success(), "{arguments:?}: {}", said(&made));
        ensure!(fs::metadata(data)?.permissions().mode() & 0o077 == 0, "others can look into the folder");
        let shown = run(&["show"], "")?;
        ensure!(shown.status.success(), "{}", said(&shown));
        let content = fs::read(&file)?;
        let again = [run(&["new"], "")?, run(&["import"], &text)?, run(&["import", &keystore], "")?];
        for refused in &again {
            let said = said(refused);
            ensure!(!refused.status.success() && said.contains("never overwritten"), "{said}");
            ensure!(said.contains(&file.display().to_string()), "{said}");
        }
        ensure!(fs::read(&file)? == content, "the file was written again");
        let sealed = is_sealed.then_some(password.as_path());
        is_kept(&file, sealed, &[&made, &shown, &again[0], &again[1], &again[2]])?;
        runs += 5;
    }
    let found = "mode 0600 without umask, 0 overwritten, 0 shown";
    Row::new(ROW, "wallet new, import, show in 6 ways", runs, found).report()
}

#[test]
fn of_many_that_are_made_at_once_one_stays() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("wallet.key");
    let make = || wallet(home.path(), &["new", "--json"], &[("WALLET_KEY_FILE", &file)], "");
    let made: Vec<Output> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS).map(|_| scope.spawn(make)).collect();
        racers
            .into_iter()
            .map(|racer| racer.join().expect("it does not panic"))
            .collect::<anyhow::Result<_>>()
    })?;
    let winners: Vec<&Output> = made.iter().filter(|output| output.status.success()).collect();
    ensure!(winners.len() == 1, "{} wallets were made", winners.len());
    let owner = keyfile::read_wallet(&file, None)?.address().to_string();
    ensure!(said(winners[0]).contains(&owner), "the file holds another wallet than was told");
    is_kept(&file, None, &made.iter().collect::<Vec<_>>())?;
    Row::new(ROW, "wallets made at once in one place", RACERS as u64, "1 made, told and kept").report()
}

#[test]
fn what_is_no_key_is_not_repeated() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let key = dev_key(1).secret_bytes();
    let secrets = Secrets::new().key("the key", &key);
    let text = hex::encode(key.as_slice());
    let near =
        [text.clone(), format!("0x{}", &text[..63]), format!("0x{text}0"), format!("0x{}g", &text[..63])];
    for wrong in &near {
        let imported = wallet(home.path(), &["import"], &[], wrong)?;
        let set = wallet(home.path(), &["show"], &[("WALLET_KEY", Path::new(wrong))], "")?;
        for output in [imported, set] {
            let said = said(&output);
            ensure!(output.status.code() == Some(1) && said.contains("64 hexadecimal digits"), "{said}");
            no_secret(&secrets.in_bytes("what it said", said.as_bytes()))?;
        }
    }
    Row::new(ROW, "texts that are nearly a key", 8, "refused with what is expected, 0 repeated").report()
}
