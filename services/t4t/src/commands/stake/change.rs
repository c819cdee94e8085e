//! Changing the stake: one transaction through settlement, from the role's own folder and database.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde::Serialize;
use t4t_api::Settlement;
use t4t_api::settlement::{
    AwaitTransaction, RegistryIntent, SubmitTransaction, TransactionKey, TransactionOutcome,
};
use t4t_chain::{ChainEvent, events};
use t4t_clock::{Clock, SystemClock};
use t4t_crypto::WalletKey;
use t4t_operator::MarketView;
use t4t_operator::stake::{StakeRefusal, Standing};
use t4t_runtime::Settings;
use t4t_runtime::config::DataSettings;
use t4t_runtime::lock::{FolderLock, LockError};
use t4t_settlement::{SettlementConfig, SettlementDeps, SettlementService};
use t4t_store::Store;
use t4t_store::transactions::TransactionScope;
use t4t_terminal::Steps;
use t4t_types::{Address, TxHash, Xbzz};

/// One wait for a block, and how often it is waited: a fee that is too low is raised meanwhile.
const WAIT_MS: u64 = 60_000;
const WAITS: u32 = 5;

/// What is to be done with the stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Adds this much to it.
    Add(Xbzz),
    /// Leaves the market, so that it becomes free.
    Leave {
        /// Whether that is meant even if there is no way back.
        for_good: bool,
    },
    /// Takes it back.
    Withdraw,
}

impl Change {
    fn intent(self) -> RegistryIntent {
        match self {
            Self::Add(amount) => RegistryIntent::AddStake { amount },
            Self::Leave { .. } => RegistryIntent::Deactivate,
            Self::Withdraw => RegistryIntent::WithdrawStake,
        }
    }

    /// A name that no transaction has yet, so that the same wish can come up again later.
    fn new_key(self) -> TransactionKey {
        let what = match self {
            Self::Add(_) => "stake",
            Self::Leave { .. } => "deactivate",
            Self::Withdraw => "withdraw",
        };
        TransactionKey::new(format!("{what}:{}", SystemClock.unix_millis()))
    }

    fn check(self, standing: &Standing) -> Result<(), StakeRefusal> {
        match self {
            Self::Add(_) => standing.may_add(),
            Self::Leave { for_good } => standing.may_leave(for_good),
            Self::Withdraw => standing.may_withdraw(),
        }
    }
}

/// A change that is in a block.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Changed {
    /// How much was added or came back.
    pub(super) amount: Option<Xbzz>,
    /// The transaction.
    pub(super) transaction: TxHash,
    /// Its block.
    pub(super) block: u64,
    /// Wei paid for its gas, as a decimal number.
    pub(super) fee_wei: String,
    /// What holds after it, if the chain could be asked.
    pub(super) standing: Option<Standing>,
}

/// Makes a change and waits for its block. What an earlier command was cut off at is brought to its end instead of being
/// done again.
pub(super) async fn make(change: Change, settings: &Settings, key: WalletKey) -> anyhow::Result<Changed> {
    let data = DataSettings::from_settings(settings)?;
    let _lock = take(&data)?;
    let market = MarketView::open(settings)?;
    let wallet = key.address();
    let database = database(&data);
    let store = Store::open_for(&database, market.of_rows()).await;
    let store = store.context("the database can't be opened")?;
    let scope = TransactionScope { chain_id: market.chain_id, wallet };
    let key_of_change = match cut_off(&store, scope, change).await? {
        Some(earlier) => earlier,
        None => {
            change.check(&Standing::read(&market, wallet).await?)?;
            change.new_key()
        }
    };
    let submission = SubmitTransaction { key: key_of_change, intent: change.intent().into() };
    let deps = SettlementDeps {
        rpc: market.rpc.clone(),
        store: store.clone(),
        wallet: key,
        clock: SystemClock::shared(),
    };
    let config = SettlementConfig::new(market.chain_id, market.contracts);
    let running = SettlementService::start(config, deps);
    let running = Box::pin(running).await.context("settlement does not start")?;
    let settlement = Arc::clone(&running.settlement);
    let steps = Steps::begin();
    let included = steps.step("transaction", "waiting for its block", included(&*settlement, submission));
    let included = included.await;
    running.stop().await;
    store.close().await;
    included?.told(change, &market, wallet).await
}

/// The folder, which whoever runs as this provider holds.
pub(in crate::commands) fn take(data: &DataSettings) -> anyhow::Result<FolderLock> {
    FolderLock::take(&data.folder).map_err(|error| match error {
        LockError::InUse { folder } => anyhow::anyhow!(
            "the process that uses {} holds this wallet: stop that provider first, run this, and start it again",
            folder.display()
        ),
        error => error.into(),
    })
}

/// The wallet's transactions are in the role's database, or in settlement's where that runs on its own.
pub(in crate::commands) fn database(data: &DataSettings) -> PathBuf {
    let (role, apart) = (data.file(DataSettings::DATABASE), data.file(DataSettings::SETTLEMENT_DATABASE));
    if apart.exists() && !role.exists() { apart } else { role }
}

/// The key of the same change, where an earlier command or process sent it and did not see its block.
async fn cut_off(
    store: &Store,
    scope: TransactionScope,
    change: Change,
) -> anyhow::Result<Option<TransactionKey>> {
    let wanted = change.intent();
    for row in store.transactions_open(scope).await?.into_iter().filter(|row| row.is_pending()) {
        // What settlement decides by itself, such as an approval, is stored beside these and reads as none of them.
        let Ok(earlier) = serde_json::from_str::<RegistryIntent>(&row.intent) else { continue };
        // Another market's is brought into its block by whoever holds the wallet, and is no answer here.
        let ours = store.transaction_by_key(scope, &row.key).await?;
        if ours.is_none_or(|ours| ours.id != row.id) {
            continue;
        }
        if earlier == wanted {
            return Ok(Some(TransactionKey::new(row.key)));
        }
        if let (RegistryIntent::AddStake { amount }, Change::Add(_)) = (earlier, change) {
            bail!(
                "{amount} xBZZ that were to be added before are in no block yet (transaction {}): run \
                 `t4t stake add {amount}` to wait for them, then add more",
                row.hash
            );
        }
    }
    Ok(None)
}

/// A transaction in a block.
#[derive(Clone, Copy, Debug)]
struct Included {
    transaction: TxHash,
    block: u64,
    fee_wei: u128,
}

/// Submits a transaction and waits for its block.
async fn included(
    settlement: &dyn Settlement,
    submission: SubmitTransaction,
) -> anyhow::Result<(Included, String)> {
    let key = submission.key.clone();
    let mut status = settlement.ask(submission).await?;
    for _ in 0..WAITS {
        match status.outcome {
            TransactionOutcome::Mined { block, fee_wei, .. } => {
                let included = Included { transaction: status.hash, block, fee_wei };
                return Ok((included, format!("is in block {block}")));
            }
            TransactionOutcome::Reverted { block, reason } => bail!(
                "the contract refused it in block {block}: {reason} (transaction {}): `t4t stake` shows what holds",
                status.hash
            ),
            TransactionOutcome::Pending => {
                let wait = AwaitTransaction { key: key.clone(), wait_ms: WAIT_MS };
                status = settlement.ask(wait).await?;
            }
        }
    }
    bail!(
        "the transaction {} is in no block yet: run the same command again, which waits on and sends nothing twice",
        status.hash
    )
}

impl Included {
    async fn told(self, change: Change, market: &MarketView, wallet: Address) -> anyhow::Result<Changed> {
        let amount = match change {
            Change::Add(amount) => Some(amount),
            Change::Leave { .. } => None,
            Change::Withdraw => self.withdrawn(market).await,
        };
        Ok(Changed {
            amount,
            transaction: self.transaction,
            block: self.block,
            fee_wei: self.fee_wei.to_string(),
            standing: Standing::read_after(market, wallet, self.block).await,
        })
    }

    /// What came back, as the registry wrote it down; the money has moved even if nobody can be asked.
    async fn withdrawn(self, market: &MarketView) -> Option<Xbzz> {
        let receipt = market.rpc.receipt(self.transaction).await.ok()??;
        let mut events = receipt.logs.iter().filter_map(|log| events::decode(log, &market.contracts));
        events.find_map(|event| match event {
            ChainEvent::StakeWithdrawn { amount, .. } => Some(amount),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_the_one_that_holds_the_wallets_transactions() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataSettings {
            folder: folder.path().to_owned(),
            sealing_key_file: folder.path().join("pss.key"),
        };
        assert_eq!(database(&data), data.file(DataSettings::DATABASE));
        std::fs::write(data.file(DataSettings::SETTLEMENT_DATABASE), []).unwrap();
        assert_eq!(database(&data), data.file(DataSettings::SETTLEMENT_DATABASE));
        std::fs::write(data.file(DataSettings::DATABASE), []).unwrap();
        assert_eq!(database(&data), data.file(DataSettings::DATABASE));
    }
}
