//! `t4t stake`: what a provider has at stake, and how it grows and comes back.

mod change;
mod standing;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use t4t_crypto::WalletKey;
use t4t_operator::MarketView;
use t4t_operator::stake::Standing;
use t4t_runtime::config::WalletSettings;
use t4t_runtime::{Settings, process, wallet};
use t4t_terminal::output;
use t4t_types::Xbzz;

use self::change::{Change, Changed};
pub(super) use self::change::{database, take};

/// Shows the stake, adds to it, or takes it back.
#[derive(Debug, Args)]
pub(crate) struct StakeArgs {
    #[command(subcommand)]
    command: Option<StakeCommand>,
    /// Writes JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum StakeCommand {
    /// Adds to the stake; the provider must be stopped meanwhile.
    Add {
        /// How much, in xBZZ.
        #[arg(value_parser = amount, allow_negative_numbers = true)]
        amount: Xbzz,
    },
    /// Leaves the market: no job is posted to this wallet any more, and its stake is free two days later. On a version-1
    /// registry, such as the live market's, that is for ever: it never takes the wallet again.
    Leave {
        /// Leaves even where the registry never takes a wallet back.
        #[arg(long)]
        for_good: bool,
    },
    /// Takes the stake back into the wallet, once it is free.
    Withdraw,
}

/// Runs `t4t stake`.
pub(crate) fn run(args: StakeArgs, mut settings: Settings) -> anyhow::Result<ExitCode> {
    let key = wallet::open(&WalletSettings::from_settings(&mut settings)?)?;
    process::run(async move {
        let change = match args.command {
            None => return show(&settings, &key, args.json).await,
            Some(StakeCommand::Add { amount }) => Change::Add(amount),
            Some(StakeCommand::Leave { for_good }) => Change::Leave { for_good },
            Some(StakeCommand::Withdraw) => Change::Withdraw,
        };
        let changed = Box::pin(change::make(change, &settings, key)).await?;
        tell(change, &changed, args.json)
    })??;
    Ok(ExitCode::SUCCESS)
}

/// An amount that is worth a transaction.
fn amount(text: &str) -> Result<Xbzz, String> {
    let amount: Xbzz = text.parse().map_err(|error: t4t_types::ParseXbzzError| error.to_string())?;
    if amount.is_zero() {
        Err("nothing would be added: name an amount such as 50".into())
    } else {
        Ok(amount)
    }
}

async fn show(settings: &Settings, key: &WalletKey, json: bool) -> anyhow::Result<()> {
    let market = MarketView::open(settings)?;
    let standing = Standing::read(&market, key.address()).await?;
    if json {
        return Ok(output::json(&standing)?);
    }
    Ok(output::line(standing::lines(&standing).join("\n"))?)
}

fn tell(change: Change, changed: &Changed, json: bool) -> anyhow::Result<()> {
    if json {
        return Ok(output::json(changed)?);
    }
    let amount = changed.amount.map_or_else(|| "the stake".to_owned(), |amount| format!("{amount} xBZZ"));
    let done = match change {
        Change::Add(_) => format!("added {amount} to the stake"),
        Change::Leave { .. } if changed.standing.as_ref().is_some_and(Standing::is_left_for_good) => {
            "left the market for ever: this registry never takes the wallet again".to_owned()
        }
        Change::Leave { .. } => "left the market".to_owned(),
        Change::Withdraw => format!("{amount} came back into the wallet"),
    };
    output::line(format!("{done}: transaction {}, block {}", changed.transaction, changed.block))?;
    match &changed.standing {
        Some(standing) => output::line(standing::lines(standing).join("\n"))?,
        None => output::line("next: `t4t stake` shows the stake when the chain answers again")?,
    }
    Ok(())
}
