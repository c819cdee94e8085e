//! What the wallet holds, as the chain's endpoints say.

use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use t4t_chain::{ChainError, ContractAddresses, Rpc};
use t4t_clock::SharedClock;
use t4t_types::Address;

use super::amounts::Amounts;
use super::caution::Caution;
use crate::intent::Spender;

/// What the wallet holds, as the chain's endpoints say.
#[derive(Debug)]
pub(crate) struct Balances {
    rpc: Rpc,
    wallet: Address,
    contracts: ContractAddresses,
    caution: Arc<Caution>,
    clock: SharedClock,
}

impl Balances {
    pub(crate) const fn new(
        rpc: Rpc,
        wallet: Address,
        contracts: ContractAddresses,
        caution: Arc<Caution>,
        clock: SharedClock,
    ) -> Self {
        Self { rpc, wallet, contracts, caution, clock }
    }

    /// What the wallet holds, by the endpoint that says most: one that says less stops the wallet, or makes it pay for
    /// another approval each time. What is too much is refused by the estimate before anything is sent; once a payment
    /// failed on the chain all the same, the lowest balance counts for a while.
    pub(crate) async fn read(&self) -> Result<Amounts, ChainError> {
        if self.rpc.endpoints() == 1 {
            return self.said_by(&self.rpc).await;
        }
        let said = self.said_by_each().await;
        let is_careful = self.caution.is_on(self.clock.unix_millis());
        let best = |one: Amounts, other: Amounts| {
            if is_careful { one.least_held(&other) } else { one.most(&other) }
        };
        let found = said.iter().flatten().cloned().reduce(best);
        found.map_or_else(|| said.into_iter().next().unwrap_or(Ok(Amounts::default())), Ok)
    }

    /// The same by each endpoint.
    pub(crate) async fn said_by_each(&self) -> Vec<Result<Amounts, ChainError>> {
        let each = self.rpc.each();
        // With a closure here, the compiler could not tell that this may move to another thread.
        let mut asked = Vec::with_capacity(each.len());
        for rpc in &each {
            asked.push(self.said_by(rpc));
        }
        join_all(asked).await
    }

    async fn said_by(&self, rpc: &Rpc) -> Result<Amounts, ChainError> {
        let (wallet, token) = (self.wallet, self.contracts.token());
        let spenders = Spender::all(&self.contracts).map(|spender| spender.contract);
        let mut allowed = Vec::with_capacity(spenders.len());
        for contract in spenders {
            allowed.push(token.allowance(rpc, wallet, contract));
        }
        let (wei, xbzz, allowed) =
            tokio::try_join!(rpc.balance(wallet), token.balance_of(rpc, wallet), try_join_all(allowed))?;
        Ok(Amounts { wei, xbzz, allowances: spenders.into_iter().zip(allowed).collect() })
    }
}
