//! `t4t doctor`: checks everything that a role needs.

mod backends;
mod chain;
mod doors;
mod limits;
mod swarm;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;
use t4t_crypto::WalletKey;
use t4t_runtime::config::{DataSettings, WalletSettings};
use t4t_runtime::{Settings, process, wallet};

use t4t_terminal::output::{self, Table};

/// Checks everything that a role needs and says what to do about what is missing.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Checks what this role needs.
    #[arg(long, value_enum, default_value = "gateway")]
    role: RoleArg,
    /// Writes JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RoleArg {
    Gateway,
    Provider,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<String>,
}

impl Finding {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, ok: true, found: found.into(), next_step: None }
    }

    fn bad(what: &'static str, found: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { what, ok: false, found: found.into(), next_step: Some(next_step.into()) }
    }
}

/// Runs `t4t doctor`.
pub(crate) fn run(args: DoctorArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let findings = process::run(examine(args.role, settings))??;
    let all_good = findings.iter().all(|finding| finding.ok);
    if args.json {
        output::json(&findings)?;
    } else {
        show(&findings)?;
    }
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(role: RoleArg, mut settings: Settings) -> anyhow::Result<Vec<Finding>> {
    let key_settings = WalletSettings::from_settings(&mut settings)?;
    let opened = tokio::task::spawn_blocking(move || wallet::open(&key_settings)).await?;
    let (finding, key) = wallet_finding(opened);
    let mut findings = vec![finding, data_finding(&DataSettings::from_settings(&settings)?)];
    findings.extend(doors::examine(&settings, role == RoleArg::Gateway)?);
    let address = key.map(|key| key.address());
    findings.extend(chain::examine(&settings, address, role == RoleArg::Provider).await?);
    findings.extend(swarm::examine(&settings).await?);
    match role {
        RoleArg::Provider => findings.extend(backends::examine(&settings).await?),
        RoleArg::Gateway => findings.extend(limits::examine(&settings)?),
    }
    Ok(findings)
}

fn wallet_finding(opened: Result<WalletKey, wallet::WalletError>) -> (Finding, Option<WalletKey>) {
    match opened {
        Ok(key) => (Finding::good("wallet", key.address().to_string()), Some(key)),
        Err(error) => {
            let next_step = match error {
                wallet::WalletError::Missing { .. } => "run `t4t wallet new`",
                _ => "correct it, or point WALLET_KEY_FILE at your wallet",
            };
            (Finding::bad("wallet", chain_of(&error), next_step), None)
        }
    }
}

fn data_finding(data: &DataSettings) -> Finding {
    let folder = data.folder.display().to_string();
    let probe = data.folder.join(".doctor");
    let written = std::fs::create_dir_all(&data.folder).and_then(|()| std::fs::write(&probe, []));
    match written.and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) => Finding::good("data folder", folder),
        Err(error) => Finding::bad(
            "data folder",
            format!("{folder} can't be written: {error}"),
            "set T4T_DATA_DIR to a folder of yours",
        ),
    }
}

/// An error with its causes on one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn show(findings: &[Finding]) -> anyhow::Result<()> {
    let mut table = Table::bare();
    for finding in findings {
        let sign = if finding.ok { "ok" } else { "FAIL" };
        table.row([sign.to_owned(), finding.what.to_owned(), finding.found.clone()]);
    }
    for (line, finding) in table.lines().iter().zip(findings) {
        output::line(line)?;
        if let Some(next_step) = &finding.next_step {
            output::line(format!("        next: {next_step}"))?;
        }
    }
    Ok(())
}
