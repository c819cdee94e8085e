//! `t4t jobs`: what was bought and sold, read from the database.

mod detail;
mod row;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use t4t_clock::{Clock, SystemClock};
use t4t_operator::jobs::{Databases, GetJobHistory, ListJobs};
use t4t_runtime::Settings;
use t4t_runtime::config::{ChainSettings, DataSettings};
use t4t_store::{Market, Side};
use t4t_terminal::output::{self, Table};

/// Lists the jobs of the configured market (`ESCROW_ADDRESS` on `T4T_CHAIN_ID`), or shows one.
#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    command: Option<JobsCommand>,
    /// The data folder; that of the settings if not given.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Shows one side only.
    #[arg(long, value_enum)]
    side: Option<SideArg>,
    /// Shows only those whose money has not reached its end.
    #[arg(long)]
    open: bool,
    /// Shows only those in this state, such as `claimed`.
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Shows this many, the newest first.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Writes JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// Shows all that is known about one job.
    Show {
        /// An id of the job, or its first digits: of the job, the request, the app's completion, a transaction, the
        /// routing id of messages, or the reference of a sealed request or answer.
        id: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SideArg {
    Buying,
    Selling,
}

impl From<SideArg> for Side {
    fn from(side: SideArg) -> Self {
        match side {
            SideArg::Buying => Self::Buying,
            SideArg::Selling => Self::Selling,
        }
    }
}

/// Runs `t4t jobs`.
pub(crate) fn run(args: JobsArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let folder = match &args.data {
        Some(folder) => folder.clone(),
        None => DataSettings::from_settings(&settings)?.folder,
    };
    // A list needs no chain: with settings that are wrong, a database of one market is still shown.
    let chain = ChainSettings::from_settings(&settings).ok();
    let market = chain.map(|chain| Market { chain_id: chain.chain_id, escrow: chain.escrow });
    let databases = Databases::find(&folder, market)?;
    t4t_runtime::process::run(async move {
        match &args.command {
            None => list(&args, &databases).await,
            Some(JobsCommand::Show { id }) => show(&args, &databases, id).await,
        }
    })??;
    Ok(ExitCode::SUCCESS)
}

async fn list(args: &JobsArgs, databases: &Databases) -> anyhow::Result<()> {
    let wanted = ListJobs {
        side: args.side.map(Side::from),
        is_open: args.open,
        state: args.state.clone(),
        limit: args.limit,
    };
    let rows = wanted.read(databases).await?;
    if args.json {
        return Ok(output::json(&rows)?);
    }
    let now = SystemClock.unix_millis();
    let mut table =
        Table::new(["AGE", "SIDE", "STATE", "MODEL", "WITH", "MAX xBZZ", "PAID xBZZ", "REQUEST", "JOB"]);
    for job in &rows {
        table.row(row::cells(job, now));
    }
    table.print()?;
    if rows.is_empty() {
        output::line("(no jobs yet)")?;
    }
    for note in databases.notes().await? {
        output::line(format!("({note})"))?;
    }
    Ok(())
}

async fn show(args: &JobsArgs, databases: &Databases, id: &str) -> anyhow::Result<()> {
    let wanted = GetJobHistory { id: id.to_owned(), side: args.side.map(Side::from) };
    let histories = wanted.read(databases).await?;
    if args.json {
        return Ok(output::json(&histories)?);
    }
    for history in &histories {
        output::line(detail::lines(history).join("\n"))?;
    }
    Ok(())
}
