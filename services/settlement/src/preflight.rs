//! What is checked before anything is signed: money, allowance, and whether the contract would refuse.
//!
//! The token on Gnosis Chain takes all the gas of a call that fails, so such a call is not sent.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use t4t_api::settlement::{SettlementError, TransactionKey, TransactionOutcome};
use t4t_chain::{ChainError, ContractError, Revert, Rpc};
use t4t_store::transactions::{StoredCall, StoredTransaction};
use t4t_types::Xbzz;

use crate::core::Core;
use crate::error;
use crate::intent::{ContractIntent, Gas, Intent, OwnIntent, Plan, Spender};
use crate::purse::{Amounts, Held, Short};

/// How long an approval may take to get into a block.
const APPROVAL_LIMIT: Duration = Duration::from_secs(60);

/// Gas on top of an estimate, beside a quarter of it: the estimate is made on another state than the transaction meets,
/// where two slots more may be empty.
const GAS_MARGIN: u64 = 30_000;

/// Requests that can't be paid make settlement look at all receipts at most this often.
const SETTLED_READ_EVERY_MS: u64 = 1000;

impl Core {
    /// Holds the tokens a plan takes, raising the allowance if need be.
    pub(crate) async fn hold_tokens(&self, plan: &Plan) -> Result<Held, SettlementError> {
        let needs = self.token_needs(plan);
        self.approve_after_a_failure(plan, needs).await?;
        match self.hold(needs).await? {
            Ok(held) => return Ok(held),
            Err(short) => match plan.spender {
                Some(spender) if short == Short::Allowance => self.approve(spender, plan.spends).await?,
                _ => return Err(self.out_of(short, plan.spends)),
            },
        }
        self.hold(needs).await?.map_err(|short| self.out_of(short, plan.spends))
    }

    /// Raises the allowance once after a payment failed, where any endpoint says that it is too low: the others may say
    /// that it is high, so that each payment fails.
    async fn approve_after_a_failure(&self, plan: &Plan, needs: Amounts) -> Result<(), SettlementError> {
        let Some(spender) = plan.spender.filter(|_| self.caution.may_approve()) else { return Ok(()) };
        let said = self.on_chain_by_each().await;
        if said.iter().flatten().any(|amounts| !amounts.allows(needs)) {
            self.caution.approves();
            self.approve_anew(spender, plan.spends).await?;
        }
        Ok(())
    }

    /// Holds the coin that a call costs at most.
    pub(crate) async fn hold_coin(&self, call: &StoredCall) -> Result<Held, SettlementError> {
        let gas = self.heads.fees().most_for(call.gas_limit);
        let needs = Amounts { wei: gas.saturating_add(call.value), ..Amounts::default() };
        self.hold(needs).await?.map_err(|short| self.out_of(short, Xbzz::ZERO))
    }

    fn token_needs(&self, plan: &Plan) -> Amounts {
        self.taken(plan.spends, plan.spender)
    }

    /// What leaves the wallet and its allowances where a contract takes `spends`.
    fn taken(&self, spends: Xbzz, spender: Option<Spender>) -> Amounts {
        let taken_by = |contract| {
            if spender.is_some_and(|spender| spender.contract == contract) { spends } else { Xbzz::ZERO }
        };
        Amounts {
            wei: 0,
            xbzz: spends,
            escrow_allowance: taken_by(self.config.contracts.escrow),
            registry_allowance: taken_by(self.config.contracts.registry),
        }
    }

    fn out_of(&self, short: Short, needs: Xbzz) -> SettlementError {
        let wallet = self.scope.wallet;
        match short {
            Short::Xbzz { has } => SettlementError::OutOfXbzz { wallet, has, needs },
            Short::Wei => SettlementError::OutOfGas { wallet },
            Short::Allowance => SettlementError::Refused {
                reason: "Allowance".into(),
                advice: "other transactions use the allowance up; try again".into(),
            },
            Short::Unknown => {
                SettlementError::Chain { reason: "the wallet's balance could not be read".into() }
            }
        }
    }

    /// Holds amounts; what looks short is read again before it is called short.
    async fn hold(&self, amounts: Amounts) -> Result<Result<Held, Short>, SettlementError> {
        if let Ok(held) = self.purse.hold(amounts) {
            return Ok(Ok(held));
        }
        self.read_purse().await?;
        match self.purse.hold(amounts) {
            Err(short) if short != Short::Allowance && self.may_settle_first() => {
                // What is in a block already may have been counted twice.
                self.look(true).await?;
                self.purse.forget();
                self.read_purse().await?;
                Ok(self.purse.hold(amounts))
            }
            held => Ok(held),
        }
    }

    /// Whether something waits whose receipt would change what is left, and was not looked for just now.
    fn may_settle_first(&self) -> bool {
        let now = self.now_ms();
        let last = self.settled_read_at_ms.load(Ordering::Relaxed);
        let may = self.pacing.count() > 0 && now.saturating_sub(last) >= SETTLED_READ_EVERY_MS;
        if may {
            self.settled_read_at_ms.store(now, Ordering::Relaxed);
        }
        may
    }

    /// Reads what the wallet holds, unless that was just done.
    async fn read_purse(&self) -> Result<(), SettlementError> {
        let _turn = self.reading.lock().await;
        if self.purse.is_fresh(self.now_ms()) {
            return Ok(());
        }
        let mark = self.purse.mark();
        let open = self.store.transactions_open(self.scope).await.map_err(|cause| error::store(&cause))?;
        let pending = open.iter().filter(|row| row.is_pending());
        let pending = pending
            .map(|row| self.takes(row))
            .try_fold(Amounts::default(), |sum, takes| takes.map(|takes| sum.plus(takes)))?;
        let on_chain = self.on_chain().await.map_err(|cause| error::chain(&cause))?;
        self.purse.fill(mark, on_chain, pending, self.now_ms());
        Ok(())
    }

    /// What a waiting transaction takes at most.
    fn takes(&self, row: &StoredTransaction) -> Result<Amounts, SettlementError> {
        let plan = Intent::of(row)?.plan(&self.config.contracts)?;
        let max_fee = row.newest().map_or(0, |version| version.max_fee);
        let wei = max_fee.saturating_mul(row.call.gas_limit.into()).saturating_add(row.call.value);
        Ok(Amounts { wei, ..self.token_needs(&plan) })
    }

    /// What the wallet holds, by the endpoint that says most: one that says less stops the wallet, or makes it pay for
    /// another approval each time. What is too much is refused by the estimate before anything is sent; once a payment
    /// failed on the chain all the same, the lowest balance counts for a while.
    pub(crate) async fn on_chain(&self) -> Result<Amounts, ChainError> {
        if self.rpc.endpoints() == 1 {
            return self.on_chain_by(&self.rpc).await;
        }
        let said = self.on_chain_by_each().await;
        let best = if self.caution.is_on(self.now_ms()) { Amounts::least_held } else { Amounts::most };
        let found = said.iter().flatten().copied().reduce(best);
        found.map_or_else(|| said.into_iter().next().unwrap_or(Ok(Amounts::default())), Ok)
    }

    async fn on_chain_by_each(&self) -> Vec<Result<Amounts, ChainError>> {
        let each = self.rpc.each();
        // With a closure here, the compiler could not tell that this may move to another thread.
        let mut asked = Vec::with_capacity(each.len());
        for rpc in &each {
            asked.push(self.on_chain_by(rpc));
        }
        join_all(asked).await
    }

    async fn on_chain_by(&self, rpc: &Rpc) -> Result<Amounts, ChainError> {
        let (wallet, contracts) = (self.scope.wallet, self.config.contracts);
        let token = contracts.token();
        let (wei, xbzz, escrow_allowance, registry_allowance) = tokio::try_join!(
            rpc.balance(wallet),
            token.balance_of(rpc, wallet),
            token.allowance(rpc, wallet, contracts.escrow),
            token.allowance(rpc, wallet, contracts.registry),
        )?;
        Ok(Amounts { wei, xbzz, escrow_allowance, registry_allowance })
    }

    /// Lets a contract take what is needed, and the escrow a day's budget with it. One approval serves all that wait.
    async fn approve(&self, spender: Spender, needs: Xbzz) -> Result<(), SettlementError> {
        let _turn = self.approving.lock().await;
        self.purse.forget();
        self.read_purse().await?;
        if self.purse.hold(self.taken(needs, Some(spender))).is_ok() {
            return Ok(());
        }
        self.approve_now(spender, needs).await
    }

    /// The same although an endpoint says that enough is allowed.
    async fn approve_anew(&self, spender: Spender, needs: Xbzz) -> Result<(), SettlementError> {
        let _turn = self.approving.lock().await;
        self.approve_now(spender, needs).await
    }

    async fn approve_now(&self, spender: Spender, needs: Xbzz) -> Result<(), SettlementError> {
        let Spender { contract: spender, takes_often } = spender;
        let amount = if takes_often { needs.max(self.config.allowance_target) } else { needs };
        let key = format!("approve:{spender}:{}", self.now_ms());
        let intent = Intent::Own(OwnIntent::Approve { spender, amount });
        self.submit_boxed(&key, &intent).await?;
        let approved = self.wait_for(&TransactionKey::new(key), APPROVAL_LIMIT).await?;
        self.purse.forget();
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
    pub(crate) async fn approve_early(&self) {
        let half = Xbzz::from_plur(self.config.allowance_target.plur() / 2);
        let approved = async {
            let on_chain = self.on_chain().await.map_err(|cause| error::chain(&cause))?;
            if on_chain.escrow_allowance >= half || on_chain.xbzz.is_zero() {
                return Ok(());
            }
            self.have_recent_head().await?;
            self.approve(Spender::escrow(&self.config.contracts), half).await
        };
        if let Err(error) = approved.await {
            tracing::info!(%error, "the escrow's allowance was not raised yet: the first purchase does it");
        }
    }

    /// Gas for a plan. Where the contract would refuse, says why.
    pub(crate) async fn gas(&self, plan: &Plan) -> Result<u64, SettlementError> {
        let (least, most) = match plan.gas {
            Gas::Fixed(gas) => return Ok(gas),
            Gas::Estimated { least, most } => (least, most),
        };
        let estimate = self.rpc.estimate_gas(self.scope.wallet, Some(plan.call.to), &plan.call.data).await;
        match estimate {
            Ok(gas) => Ok(gas.saturating_add(gas / 4).saturating_add(GAS_MARGIN).clamp(least, most)),
            Err(ChainError::Reverted(revert)) => Err(self.explain(plan, &revert).await),
            Err(cause) => Err(error::chain(&cause)),
        }
    }

    /// The token says nothing when it refuses, so its balance is looked at.
    async fn explain(&self, plan: &Plan, revert: &Revert) -> SettlementError {
        let by_contract = revert.contract_error().is_some_and(|error| error != ContractError::TransferFailed);
        if by_contract || plan.spends.is_zero() {
            return error::refused(revert);
        }
        self.purse.forget();
        match self.on_chain().await {
            Ok(on_chain) if on_chain.xbzz < plan.spends => {
                self.out_of(Short::Xbzz { has: on_chain.xbzz }, plan.spends)
            }
            Ok(_) => error::refused(revert),
            Err(cause) => error::chain(&cause),
        }
    }
}
