//! What contracts may take from the wallet: raised when a transaction needs it, never without limit.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::settlement::{SettlementError, TransactionKey, TransactionOutcome};
use t4t_clock::SharedClock;
use t4t_types::Xbzz;
use tokio::sync::Mutex;

use super::dispatch::Dispatch;
use super::holding::Holding;
use crate::books::{Amounts, Books, Held, Short, spent};
use crate::error;
use crate::intent::{ContractIntent, Intent, OwnIntent, Plan, Spender};
use crate::outcomes::Outcomes;
use crate::own_keys;

/// How long an approval may take to get into a block.
const APPROVAL_LIMIT: Duration = Duration::from_secs(60);

/// Sees to what contracts may take.
#[derive(Debug)]
pub(super) struct Approvals {
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) holding: Arc<Holding>,
    pub(super) books: Arc<Books>,
    pub(super) outcomes: Arc<Outcomes>,
    pub(super) clock: SharedClock,
    pub(super) config: ApprovalConfig,
    /// One approval at a time.
    pub(super) approving: Mutex<()>,
}

/// How much is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApprovalConfig {
    pub(super) contracts: t4t_chain::ContractAddresses,
    /// What a contract that takes often is allowed altogether.
    pub(super) target: Xbzz,
}

impl Approvals {
    /// Holds the tokens a plan takes, raising the allowance if need be.
    pub(super) async fn hold_tokens(&self, plan: &Plan) -> Result<Held, SettlementError> {
        let needs = spent(plan.spends, plan.spender);
        let told = |short| self.holding.told(short, plan.spends);
        if let Some(spender) = plan.spender {
            self.approve_after_a_failure(spender, plan.spends, &needs).await?;
        }
        match (self.holding.hold(&needs).await?, plan.spender) {
            (Ok(held), _) => return Ok(held),
            (Err(Short::Allowance), Some(spender)) => self.approve(spender, plan.spends).await?,
            (Err(short), _) => return Err(told(short)),
        }
        self.holding.hold(&needs).await?.map_err(told)
    }

    /// Raises the allowance once after a payment failed, where any endpoint says that it is too low: the others may say
    /// that it is high, so that each payment fails.
    async fn approve_after_a_failure(
        &self,
        spender: Spender,
        amount: Xbzz,
        needs: &Amounts,
    ) -> Result<(), SettlementError> {
        if !self.books.caution().may_approve() {
            return Ok(());
        }
        let said = self.books.balances().said_by_each().await;
        if said.iter().flatten().any(|amounts| !amounts.allowances.cover(&needs.allowances)) {
            self.books.caution().approves();
            let _turn = self.approving.lock().await;
            self.approve_now(spender, amount).await?;
        }
        Ok(())
    }

    /// Lets a contract take what is needed, and one that takes often a day's budget with it. One approval serves all that
    /// wait.
    async fn approve(&self, spender: Spender, needs: Xbzz) -> Result<(), SettlementError> {
        let _turn = self.approving.lock().await;
        self.books.forget();
        self.books.refresh().await?;
        if self.books.hold(&spent(needs, Some(spender))).is_ok() {
            return Ok(());
        }
        self.approve_now(spender, needs).await
    }

    async fn approve_now(&self, spender: Spender, needs: Xbzz) -> Result<(), SettlementError> {
        let Spender { contract: spender, takes_often } = spender;
        let amount = if takes_often { needs.max(self.config.target) } else { needs };
        let key = own_keys::approval(spender, self.clock.unix_millis());
        let intent = Intent::Own(OwnIntent::Approve { spender, amount });
        let plan = intent.plan(&self.config.contracts)?;
        self.dispatch.begin().await?;
        // An approval that has the key is as good.
        let _status = self.dispatch.dispatch(&key, &intent, plan, None).await?;
        let approved = self.outcomes.wait_for(&TransactionKey::new(key), APPROVAL_LIMIT).await?;
        self.books.forget();
        match approved.outcome {
            TransactionOutcome::Mined { .. } => Ok(()),
            TransactionOutcome::Pending => Err(SettlementError::Chain {
                reason: format!("the approval {} is in no block yet, try again", approved.hash),
            }),
            TransactionOutcome::Reverted { reason, .. } => Err(SettlementError::Refused {
                reason,
                advice: "the token refused the approval; check the configured token address".into(),
            }),
        }
    }

    /// Sees to the escrow's allowance before the first purchase needs it: no more than that purchase would allow, and
    /// only where less than half of it is left and there is something to spend. Where it fails, the first purchase does
    /// it.
    pub(super) async fn approve_early(&self) {
        let half = Xbzz::from_plur(self.config.target.plur() / 2);
        let escrow = Spender::escrow(&self.config.contracts);
        let approved = async {
            let on_chain = self.books.balances().read().await.map_err(|cause| error::chain(&cause))?;
            if on_chain.allowances.get(escrow.contract) >= half || on_chain.xbzz.is_zero() {
                return Ok(());
            }
            self.dispatch.begin().await?;
            self.approve(escrow, half).await
        };
        if let Err(error) = approved.await {
            tracing::info!(%error, "the escrow's allowance was not raised yet: the first purchase does it");
        }
    }
}
