//! `t4t jobs`: what was bought and sold, read from the database.

mod detail;
mod meaning;
mod row;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use t4t_clock::{Clock, SystemClock};
use t4t_runtime::Settings;
use t4t_runtime::config::DataSettings;
use t4t_store::Store;
use t4t_types::RoutingId;

use self::row::JobRow;
use t4t_terminal::output::{self, Table};

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
    let places = ["", "gateway", "provider"].map(|role| folder.join(role).join(DataSettings::DATABASE));
    let found: Vec<_> = places.into_iter().filter(|path| path.exists()).collect();
    if found.is_empty() {
        bail!(
            "there is no {} in {}: start a role first, or name its folder with --data",
            DataSettings::DATABASE,
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
    let is_filtered = args.open || args.state.is_some();
    let found = rows(args, databases, if is_filtered { SEARCHED } else { args.limit }).await?;
    let wanted = |row: &JobRow| {
        (!args.open || meaning::is_open(&row.state))
            && args.state.as_ref().is_none_or(|state| state.eq_ignore_ascii_case(&row.state))
    };
    let most = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let rows: Vec<JobRow> = found.into_iter().map(|(_, row)| row).filter(wanted).take(most).collect();
    if args.json {
        return Ok(output::json(&rows)?);
    }
    let now = SystemClock.unix_millis();
    let mut table =
        Table::new(["AGE", "SIDE", "STATE", "MODEL", "WITH", "MAX xBZZ", "PAID xBZZ", "REQUEST", "JOB"]);
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
    let wanted = digits_of(id);
    if wanted.len() < MIN_DIGITS {
        bail!("{id:?} is too short: give at least {MIN_DIGITS} digits of the id");
    }
    let all = rows(args, databases, SEARCHED).await?;
    let mut names: Vec<String> = vec![wanted.clone()];
    if !all.iter().any(|(_, row)| row.is_named(&wanted)) {
        names = ids_of_transaction(databases, &wanted).await?;
    }
    // Both sides of a job share its routing id, whichever id was asked for.
    let routings: HashSet<RoutingId> = all
        .iter()
        .filter(|(_, row)| names.iter().any(|name| row.is_named(name)))
        .map(|(_, row)| row.routing)
        .collect();
    if routings.is_empty() {
        bail!("nothing here begins with {id}: `t4t jobs` lists the jobs");
    }
    let mut details = Vec::new();
    for (path, row) in all.into_iter().filter(|(_, row)| routings.contains(&row.routing)) {
        details.push(detail::Detail::read(&path, row).await?);
    }
    if args.json {
        return Ok(output::json(&details)?);
    }
    for detail in &details {
        output::line(detail.lines().join("\n"))?;
    }
    Ok(())
}

/// The digits of an id, however it is written.
fn digits_of(id: &str) -> String {
    id.trim().trim_start_matches("chatcmpl-").trim_start_matches("0x").to_ascii_lowercase()
}

/// The requests and jobs that the transactions with such a hash are about.
async fn ids_of_transaction(databases: &[PathBuf], digits: &str) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for path in databases {
        let apart = path.with_file_name(DataSettings::SETTLEMENT_DATABASE);
        for path in [path.clone(), apart].iter().filter(|path| path.exists()) {
            let store =
                Store::open_existing(path).await.with_context(|| format!("can't open {}", path.display()))?;
            let keys = store.transaction_keys_by_hash(digits).await?;
            ids.extend(keys.iter().filter_map(|key| key.split(':').nth(1)).map(digits_of));
            store.close().await;
        }
    }
    Ok(ids)
}
