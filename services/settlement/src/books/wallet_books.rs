//! What the wallet can still spend, kept up to date: the chain's word, less what the stored transactions will take.

use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_chain::{ChainError, ContractAddresses};
use t4t_store::transactions::StoredTransaction;
use t4t_types::Xbzz;
use tokio::sync::Mutex;

use super::amounts::{Allowances, Amounts};
use super::balances::Balances;
use super::caution::Caution;
use super::purse::{Held, Purse, Short};
use crate::error;
use crate::intent::{ContractIntent, Intent, Spender};
use crate::journal::Journal;

/// What the wallet can still spend.
#[derive(Debug)]
pub(crate) struct Books {
    purse: Arc<Purse>,
    balances: Balances,
    caution: Arc<Caution>,
    journal: Journal,
    contracts: ContractAddresses,
    /// One reading at a time.
    reading: Mutex<()>,
}

impl Books {
    pub(crate) fn new(
        balances: Balances,
        caution: Arc<Caution>,
        journal: Journal,
        contracts: ContractAddresses,
    ) -> Self {
        Self { purse: Arc::default(), balances, caution, journal, contracts, reading: Mutex::new(()) }
    }

    /// Holds amounts for a submission, as far as is known.
    pub(crate) fn hold(&self, amounts: &Amounts) -> Result<Held, Short> {
        self.purse.hold(amounts.clone())
    }

    /// Forgets what is known.
    pub(crate) fn forget(&self) {
        self.purse.forget();
    }

    /// What the chain says.
    pub(crate) const fn balances(&self) -> &Balances {
        &self.balances
    }

    /// What payments that failed say about endpoints.
    pub(crate) fn caution(&self) -> &Caution {
        &self.caution
    }

    /// Notes what became of what a transaction was to spend.
    pub(crate) fn note_outcome(&self, intent: &Intent, success: bool) -> Result<(), SettlementError> {
        if !intent.plan(&self.contracts)?.spends.is_zero() {
            if success { self.caution.succeeded() } else { self.caution.failed(self.journal.now_ms()) }
        }
        if !success {
            // What it would have taken is still there.
            self.purse.forget();
        }
        Ok(())
    }

    /// Reads what the wallet holds, unless that was just done.
    pub(crate) async fn refresh(&self) -> Result<(), SettlementError> {
        let _turn = self.reading.lock().await;
        if self.purse.is_fresh(self.journal.now_ms()) {
            return Ok(());
        }
        let before = self.purse.snapshot();
        let open = self.journal.open().await?;
        let mut pending = Amounts::default();
        for row in open.iter().filter(|row| row.is_pending()) {
            pending = pending.plus(&self.taken_by(row)?);
        }
        let on_chain: Result<Amounts, ChainError> = self.balances.read().await;
        let on_chain = on_chain.map_err(|cause| error::chain(&cause))?;
        self.purse.fill(&before, &on_chain, &pending, self.journal.now_ms());
        Ok(())
    }

    /// What a waiting transaction takes at most.
    fn taken_by(&self, row: &StoredTransaction) -> Result<Amounts, SettlementError> {
        let plan = Intent::of(row)?.plan(&self.contracts)?;
        let max_fee = row.newest().map_or(0, |version| version.max_fee);
        let wei = max_fee.saturating_mul(row.call.gas_limit.into()).saturating_add(row.call.value);
        Ok(Amounts { wei, ..spent(plan.spends, plan.spender) })
    }
}

/// What leaves the wallet and its allowances where `amount` of the token is spent.
pub(crate) fn spent(amount: Xbzz, spender: Option<Spender>) -> Amounts {
    let allowances = spender.map(|spender| Allowances::of(spender.contract, amount)).unwrap_or_default();
    Amounts { wei: 0, xbzz: amount, allowances }
}
