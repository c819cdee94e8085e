//! `t4t doctor`: checks everything that a role needs.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use t4t_clock::SystemClock;
use t4t_inference_runner::{Endpoints, Examined, examine as look_at};
use t4t_job_dispatcher::carriage::postage::{deaf, keeper_config};
use t4t_operator::doctor::{self, Backend, Backends, Finding, FromServices, Role, with_causes};
use t4t_runtime::config::{ProviderSettings, SwarmSettings, WalletSettings};
use t4t_runtime::{Settings, process, wallet};
use t4t_terminal::output::{self, Table};

/// How long each backend may take to show its models.
const BACKEND_LIMIT: Duration = Duration::from_secs(10);

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

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Gateway => Self::Gateway,
            RoleArg::Provider => Self::Provider,
        }
    }
}

/// Runs `t4t doctor`.
pub(crate) fn run(args: DoctorArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let findings = process::run(Box::pin(examine(args.role.into(), settings)))??;
    let all_good = findings.iter().all(|finding| finding.ok);
    if args.json {
        output::json(&findings)?;
    } else {
        show(&findings)?;
    }
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(role: Role, mut settings: Settings) -> anyhow::Result<Vec<Finding>> {
    let key_settings = WalletSettings::from_settings(&mut settings)?;
    let opened = tokio::task::spawn_blocking(move || wallet::open(&key_settings)).await?;
    let services = FromServices {
        stamps: keeper_config(&SwarmSettings::from_settings(&settings)?, None),
        deaf: deaf(),
        backends: match role {
            Role::Provider => Some(backends(&settings).await?),
            Role::Gateway => None,
        },
    };
    let wallet = opened.map(|key| key.address());
    Ok(Box::pin(doctor::examine(role, &settings, wallet, services)).await?)
}

/// The provider's backends, by the same reader as the runner's: what passes here starts there.
async fn backends(settings: &Settings) -> anyhow::Result<Backends> {
    let file = ProviderSettings::from_settings(settings)?.endpoints_file;
    let shown = match Endpoints::load(&file) {
        Ok(endpoints) => {
            let examined = look_at(&endpoints, &SystemClock::shared(), BACKEND_LIMIT).await;
            Ok(examined.into_iter().map(backend).collect())
        }
        Err(error) => Err(with_causes(&error)),
    };
    Ok(Backends { file, shown })
}

fn backend(Examined { endpoint, models, warnings }: Examined) -> Backend {
    Backend { name: endpoint, models: models.map(|models| models.len()), warnings }
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
