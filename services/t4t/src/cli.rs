//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{CommandFactory, Parser, Subcommand};
use t4t_runtime::Settings;
use t4t_runtime::config::{Flag, keys};
use t4t_terminal::output;

use crate::commands::{config, doctor, jobs, role, stake, wallet};

/// The version, with the commit where the build knows it.
static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("T4T_COMMIT") {
    Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
    None => env!("CARGO_PKG_VERSION").to_owned(),
});

/// A market for AI inference without an operator.
#[derive(Debug, Parser)]
#[command(name = "t4t", version = VERSION.as_str())]
struct Cli {
    /// The configuration file (TOML).
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the whole market on this machine: chain, Swarm, one provider, one gateway.
    #[cfg(feature = "dev")]
    Dev(t4t_dev::DevArgs),
    /// Says how to get the market on one machine, which this build leaves out.
    #[cfg(not(feature = "dev"))]
    #[command(disable_help_flag = true)]
    Dev {
        /// Whatever it would have been told.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        _arguments: Vec<std::ffi::OsString>,
    },
    /// Runs a gateway: buys inference for the apps beside it.
    Gateway,
    /// Runs a provider: sells what its backends serve.
    Provider,
    /// Makes, shows or imports the wallet.
    Wallet(wallet::WalletArgs),
    /// Shows the settings and what can be set.
    Config(config::ConfigArgs),
    /// Lists jobs, or shows one.
    Jobs(jobs::JobsArgs),
    /// Shows the stake, adds to it, or takes it back.
    Stake(stake::StakeArgs),
    /// Checks everything that a role needs and says what to do about what is missing.
    Doctor(doctor::DoctorArgs),
    /// Shows the version.
    Version,
}

/// Does what the command line says.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let load = |flags: Vec<Flag>| Settings::from_process(cli.config.as_deref(), flags);
    match cli.command {
        #[cfg(feature = "dev")]
        Some(Command::Dev(args)) => t4t_dev::run(args, load(Vec::new())?),
        #[cfg(not(feature = "dev"))]
        Some(Command::Dev { .. }) => anyhow::bail!(
            "this build leaves `t4t dev` out: run `cargo run --release -p t4t -- dev` in a copy of the source"
        ),
        Some(Command::Gateway) => role::gateway(load(Vec::new())?),
        Some(Command::Provider) => role::provider(load(Vec::new())?),
        Some(Command::Wallet(args)) => wallet::run(args, load(Vec::new())?),
        Some(Command::Config(args)) => config::run(&args, cli.config.as_deref()),
        Some(Command::Jobs(args)) => jobs::run(args, load(Vec::new())?),
        Some(Command::Stake(args)) => stake::run(args, load(Vec::new())?),
        Some(Command::Doctor(args)) => doctor::run(args, load(Vec::new())?),
        Some(Command::Version) => {
            output::line(format!("t4t {}", *VERSION))?;
            Ok(ExitCode::SUCCESS)
        }
        None => run_mode(load(Vec::new())?),
    }
}

/// Without a command, `T4T_MODE` says what to run, as in the reference's containers.
fn run_mode(settings: Settings) -> anyhow::Result<ExitCode> {
    match settings.text(&keys::T4T_MODE) {
        Some("gateway") => role::gateway(settings),
        Some(_) => role::provider(settings),
        None => {
            Cli::command().print_help()?;
            Ok(ExitCode::from(2))
        }
    }
}
