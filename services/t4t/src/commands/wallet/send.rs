//! `t4t wallet send`: money leaves the wallet by its owner's word alone.
//!
//! No service takes an order to send money: it is signed in this process, from the role's own folder, after the
//! keystore's password was given here, or, where the key lies open in its file, the payment was typed out again.

use std::fmt;
use std::io::{BufRead, IsTerminal, Write};
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use clap::Args;
use secrecy::SecretString;
use serde::Serialize;
use t4t_api::Settlement;
use t4t_api::settlement::{AwaitTransaction, TransactionKey, TransactionOutcome, TransactionStatus};
use t4t_clock::SystemClock;
use t4t_crypto::WalletKey;
use t4t_crypto::keyfile::{self, KeyFileProblem};
use t4t_operator::MarketView;
use t4t_operator::text::xdai;
use t4t_runtime::config::{DataSettings, WalletSettings};
use t4t_runtime::{Settings, wallet};
use t4t_settlement::{Funds, SendFunds, SettlementConfig, SettlementDeps, SettlementService};
use t4t_store::Store;
use t4t_store::transactions::TransactionScope;
use t4t_terminal::{Steps, output};
use t4t_types::{Address, Wei, Xbzz};

use super::ask;
use crate::commands::stake::{database, take};

/// What an earlier payment's key begins with.
const EARLIER: &str = "send:";

/// One wait for a block, and how often it is waited: a fee that is too low is raised meanwhile.
const WAIT_MS: u64 = 60_000;
const WAITS: u32 = 5;

/// Decimals of the chain's coin.
const XDAI_DECIMALS: usize = 18;

/// What is to be sent and to whom.
#[derive(Debug, Args)]
pub(super) struct Payment {
    /// How much, such as `5` or `0.25`.
    amount: String,
    /// Of what: `xbzz` or `xdai`.
    token: Coin,
    /// To which address.
    to: Address,
    /// Writes JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coin {
    Xdai,
    Xbzz,
}

impl FromStr for Coin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "xbzz" => Ok(Self::Xbzz),
            "xdai" => Ok(Self::Xdai),
            _ => Err("expected xbzz or xdai".into()),
        }
    }
}

/// A payment as it is shown and typed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order(SendFunds);

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SendFunds { to, funds } = self.0;
        match funds {
            Funds::Xbzz(amount) => write!(f, "{amount} xBZZ {to}"),
            Funds::Xdai(wei) => write!(f, "{} xDAI {to}", xdai(wei.get())),
        }
    }
}

impl TryFrom<&Payment> for Order {
    type Error = anyhow::Error;

    fn try_from(payment: &Payment) -> anyhow::Result<Self> {
        let (funds, is_nothing) = match payment.token {
            Coin::Xbzz => {
                let amount = payment.amount.parse::<Xbzz>()?;
                (Funds::Xbzz(amount), amount.is_zero())
            }
            Coin::Xdai => {
                let wei = wei(&payment.amount).context("expected an amount of xDAI such as 0.25")?;
                (Funds::Xdai(wei), wei == Wei::ZERO)
            }
        };
        ensure!(!is_nothing, "nothing would be sent: name an amount such as 5");
        Ok(Self(SendFunds { to: payment.to, funds }))
    }
}

fn wei(text: &str) -> Option<Wei> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > XDAI_DECIMALS || !is_number(whole) || !is_number(part) {
        return None;
    }
    format!("{whole}{part:0<XDAI_DECIMALS$}").parse().ok().map(Wei::new)
}

#[derive(Serialize)]
struct Sent {
    transaction: String,
    block: u64,
    fee_wei: String,
}

/// Sends it and waits for its block.
pub(super) async fn run(payment: Payment, mut settings: Settings) -> anyhow::Result<()> {
    let order = Order::try_from(&payment)?;
    let key = authorised(order, &WalletSettings::from_settings(&mut settings)?)?;
    let sent = Box::pin(send(order, &settings, key)).await?;
    if payment.json {
        return Ok(output::json(&sent)?);
    }
    Ok(output::line(format!("sent {order}: transaction {}, block {}", sent.transaction, sent.block))?)
}

/// The wallet, opened by the password that is given here, or after the payment was typed again.
fn authorised(order: Order, settings: &WalletSettings) -> anyhow::Result<WalletKey> {
    if settings.key.is_none() {
        match keyfile::read_wallet(&settings.file, None) {
            Err(error) if matches!(error.problem, KeyFileProblem::PasswordNeeded) => {
                let password = password(order)?;
                return Ok(keyfile::read_wallet(&settings.file, Some(&password))?);
            }
            _ => {}
        }
    }
    // A plain key, or what is wrong with it.
    let key = wallet::open(settings)?;
    say(&format!("the wallet {} has no password: type\n  {order}\nto send it: ", key.address()))?;
    let typed = line()?;
    let is_same = typed
        .split_whitespace()
        .map(str::to_ascii_lowercase)
        .eq(order.to_string().split_whitespace().map(str::to_ascii_lowercase));
    ensure!(is_same, "nothing was sent: what was typed is not `{order}`");
    Ok(key)
}

/// From the terminal, or from standard input where that is none; never from the file that services read it from, which
/// is there for all of them.
fn password(order: Order) -> anyhow::Result<SecretString> {
    if std::io::stdin().is_terminal() {
        return ask(&format!("password of the wallet, to send {order}: "));
    }
    Ok(zeroize::Zeroizing::new(line()?).as_str().into())
}

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("can't read standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn say(text: &str) -> std::io::Result<()> {
    let mut err = std::io::stderr().lock();
    err.write_all(text.as_bytes())?;
    err.flush()
}

async fn send(order: Order, settings: &Settings, key: WalletKey) -> anyhow::Result<Sent> {
    let data = DataSettings::from_settings(settings)?;
    let _lock = take(&data)?;
    let market = MarketView::open(settings)?;
    let scope = TransactionScope { chain_id: market.chain_id, wallet: key.address() };
    let database = database(&data);
    let store = Store::open_for(&database, market.of_rows()).await;
    let store = store.context("the database can't be opened")?;
    let earlier = store.transactions_open(scope).await?;
    if let Some(row) = earlier.iter().find(|row| row.is_pending() && row.key.starts_with(EARLIER)) {
        bail!(
            "a payment that was sent before is in no block yet (transaction {}): start the role, which brings it into \
             one, and send the next one then",
            row.hash
        );
    }
    let deps = SettlementDeps {
        rpc: market.rpc.clone(),
        store: store.clone(),
        wallet: key,
        clock: SystemClock::shared(),
    };
    let starting = SettlementService::start(SettlementConfig::new(market.chain_id, market.contracts), deps);
    let running = Box::pin(starting).await.context("settlement does not start")?;
    let steps = Steps::begin();
    let included = async {
        let key = running.send_funds(order.0).await?;
        let sent = included(&*running.settlement, key).await?;
        let told = format!("is in block {}", sent.block);
        Ok((sent, told))
    };
    let sent = steps.step("transaction", "waiting for its block", included).await;
    running.stop().await;
    store.close().await;
    sent
}

async fn included(settlement: &dyn Settlement, key: TransactionKey) -> anyhow::Result<Sent> {
    for _ in 0..WAITS {
        let wait = AwaitTransaction { key: key.clone(), wait_ms: WAIT_MS };
        let TransactionStatus { hash, outcome, .. } = settlement.ask(wait).await?;
        match outcome {
            TransactionOutcome::Mined { block, fee_wei, .. } => {
                return Ok(Sent { transaction: hash.to_string(), block, fee_wei: fee_wei.to_string() });
            }
            TransactionOutcome::Reverted { block, reason } => {
                bail!("it was refused in block {block}: {reason} (transaction {hash}): nothing was sent")
            }
            TransactionOutcome::Pending => {}
        }
    }
    bail!(
        "the payment is in no block yet: start the role, which brings it into one; sending again would pay twice"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_xdai_are_exact() {
        let cases = [
            ("1", Some(10u128.pow(18))),
            ("0.25", Some(25 * 10u128.pow(16))),
            ("0.000000000000000001", Some(1)),
        ];
        for (text, expected) in cases {
            assert_eq!(wei(text), expected.map(Wei::new), "{text}");
        }
        for text in ["", ".5", "-1", "1e3", "0.0000000000000000001", "1,5", "999999999999999999999999999999"]
        {
            assert_eq!(wei(text), None, "{text}");
        }
    }
}
