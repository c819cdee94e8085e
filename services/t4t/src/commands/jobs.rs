//! `t4t jobs`: what was bought and sold, read from the database.

mod detail;
mod row;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use t4t_clock::{Clock, SystemClock};
use t4t_runtime::Settings;
use t4t_runtime::config::DataSettings;
use t4t_store::Store;

use self::row::JobRow;
use crate::output::{self, Table};

/// The database's name in its folder.
pub(crate) const DATABASE: &str = "t4t.db";

/// Rows among which an id is looked for.
const SEARCHED: u32 = 10_000;

/// Digits of an id that must be given at least.
const MIN_DIGITS: usize = 4;

/// Lists jobs, or shows one.
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
    /// Shows this many of each side, the newest first.
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
        /// The job's or the request's id, or its first digits.
        id: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SideArg {
    Buying,
    Selling,
}

/// Runs `t4t jobs`.
pub(crate) fn run(args: JobsArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let databases = databases(&args, &settings)?;
    t4t_runtime::process::run(async move {
        match &args.command {
            None => list(&args, &databases).await,
            Some(JobsCommand::Show { id }) => show(&args, &databases, id).await,
        }
    })??;
    Ok(ExitCode::SUCCESS)
}

/// The folder's own database, or those of the two roles in it (as `t4t dev` keeps them).
fn databases(args: &JobsArgs, settings: &Settings) -> anyhow::Result<Vec<PathBuf>> {
    let folder = match &args.data {
        Some(folder) => folder.clone(),
        None => DataSettings::from_settings(settings)?.folder,
    };
    let places = ["", "gateway", "provider"].map(|role| folder.join(role).join(DATABASE));
    let found: Vec<_> = places.into_iter().filter(|path| path.exists()).collect();
    if found.is_empty() {
        bail!(
            "there is no {DATABASE} in {}: start a role first, or name its folder with --data",
            folder.display()
        );
    }
    Ok(found)
}

async fn rows(args: &JobsArgs, databases: &[PathBuf], limit: u32) -> anyhow::Result<Vec<(PathBuf, JobRow)>> {
    let mut rows = Vec::new();
    for path in databases {
        let store =
            Store::open_existing(path).await.with_context(|| format!("can't open {}", path.display()))?;
        if args.side != Some(SideArg::Selling) {
            rows.extend(
                store.buying_list_recent(limit).await?.iter().map(|job| (path.clone(), JobRow::bought(job))),
            );
        }
        if args.side != Some(SideArg::Buying) {
            rows.extend(
                store.selling_list_recent(limit).await?.iter().map(|job| (path.clone(), JobRow::sold(job))),
            );
        }
        store.close().await;
    }
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.created_at_ms));
    Ok(rows)
}

async fn list(args: &JobsArgs, databases: &[PathBuf]) -> anyhow::Result<()> {
    let rows: Vec<_> = rows(args, databases, args.limit).await?.into_iter().map(|(_, row)| row).collect();
    if args.json {
        return Ok(output::json(&rows)?);
    }
    let now = SystemClock.unix_millis();
    let mut table = Table::new(["AGE", "SIDE", "STATE", "MODEL", "WITH", "MAX xBZZ", "PAID xBZZ", "JOB"]);
    for row in &rows {
        table.row(row.cells(now));
    }
    table.print()?;
    if rows.is_empty() {
        output::line("(no jobs yet)")?;
    }
    Ok(())
}

async fn show(args: &JobsArgs, databases: &[PathBuf], id: &str) -> anyhow::Result<()> {
    let wanted = id.trim_start_matches("0x").to_ascii_lowercase();
    if wanted.len() < MIN_DIGITS {
        bail!("{id:?} is too short: give at least {MIN_DIGITS} digits of the id");
    }
    let mut found = rows(args, databases, SEARCHED).await?;
    found.retain(|(_, row)| row.is_named(&wanted));
    if found.is_empty() {
        bail!("no job or request begins with {id}: `t4t jobs` lists them");
    }
    let mut all = Vec::new();
    for (path, row) in found {
        all.push(detail::Detail::read(&path, row).await?);
    }
    if args.json {
        return Ok(output::json(&all)?);
    }
    for detail in &all {
        output::line(detail.lines().join("\n"))?;
    }
    Ok(())
}
