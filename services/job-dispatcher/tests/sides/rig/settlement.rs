//! A settlement that follows a script: transactions by key, each handed in once, with the fate that was ordered for it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use t4t_api::Serve;
use t4t_api::settlement::{
    Account, AwaitTransaction, GetAccount, SettlementError, SignEnvelope, SubmitTransaction, TransactionKey,
    TransactionOutcome, TransactionStatus,
};
use t4t_crypto::WalletKey;
use t4t_types::{Address, Xbzz};

use super::messages;
use super::world::{Fate, World};

/// What a wallet holds for gas: as good as all.
const XDAI_WEI: u128 = 1_000_000_000_000_000_000_000;

/// The settlement of one wallet. What it knows of its transactions outlives its machine.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) world: Arc<World>,
    pub(crate) key: Arc<WalletKey>,
}

impl Settlement {
    fn wallet(&self) -> Address {
        self.key.address()
    }

    fn status(&self, key: &TransactionKey) -> Result<TransactionStatus, SettlementError> {
        let chain = self.world.chain();
        let known = chain
            .transaction(self.wallet(), key)
            .ok_or_else(|| SettlementError::UnknownTransaction { key: key.clone() })?;
        Ok(TransactionStatus { key: key.clone(), nonce: 0, hash: known.hash, outcome: known.outcome.clone() })
    }

    fn refused(&self, reason: String) -> SettlementError {
        let wallet = self.wallet();
        match reason.as_str() {
            "TransferFailed" => {
                let has = self.world.chain().balance(wallet);
                SettlementError::OutOfXbzz { wallet, has, needs: Xbzz::MAX }
            }
            _ => SettlementError::Refused { reason, advice: "look again".into() },
        }
    }

    fn submit(&self, call: SubmitTransaction) -> Result<TransactionStatus, SettlementError> {
        let (wallet, SubmitTransaction { key, intent }) = (self.wallet(), call);
        if let Ok(known) = self.status(&key) {
            return Ok(known);
        }
        let fate = self.world.fate_of(wallet, key.as_str());
        if let Some(Fate::NotTaken(error)) = fate {
            return Err(error);
        }
        self.world.chain().enter(wallet, key.clone(), intent);
        let hash = self.status(&key)?.hash;
        match fate {
            None => {
                self.world.mine(hash, None);
                if let TransactionOutcome::Reverted { reason, .. } = self.status(&key)?.outcome {
                    // What the contract would refuse is not sent.
                    self.world.chain().forget_newest();
                    return Err(self.refused(reason));
                }
            }
            Some(Fate::ReplyLost(error)) => {
                self.world.mine(hash, None);
                return Err(error);
            }
            Some(Fate::Reverts(reason)) => self.world.mine(hash, Some(reason)),
            Some(Fate::PendingFor(wait)) => {
                let world = Arc::clone(&self.world);
                self.world.later(wait, move || world.mine(hash, None));
            }
            Some(Fate::Stuck | Fate::NotTaken(_)) => {}
        }
        self.status(&key)
    }
}

#[async_trait]
impl Serve<SubmitTransaction> for Settlement {
    async fn ask(&self, call: SubmitTransaction) -> Result<TransactionStatus, SettlementError> {
        self.submit(call)
    }
}

#[async_trait]
impl Serve<AwaitTransaction> for Settlement {
    async fn ask(&self, call: AwaitTransaction) -> Result<TransactionStatus, SettlementError> {
        if call.wait_ms == 0 {
            return self.status(&call.key);
        }
        let mut mined = self.world.mined();
        let in_a_block = async {
            loop {
                mined.mark_unchanged();
                match self.status(&call.key) {
                    Ok(TransactionStatus { outcome: TransactionOutcome::Pending, .. }) => {}
                    known => return known,
                }
                // The sender lives in the world.
                drop(mined.changed().await);
            }
        };
        let wait = Duration::from_millis(call.wait_ms);
        match t4t_clock::timeout(&*self.world.clock, wait, in_a_block).await {
            Ok(known) => known,
            Err(t4t_clock::Elapsed) => self.status(&call.key),
        }
    }
}

#[async_trait]
impl Serve<SignEnvelope> for Settlement {
    async fn ask(&self, call: SignEnvelope) -> Result<String, SettlementError> {
        Ok(messages::signed(&self.key, &call, self.world.now()))
    }
}

#[async_trait]
impl Serve<GetAccount> for Settlement {
    async fn ask(&self, _: GetAccount) -> Result<Account, SettlementError> {
        Ok(Account {
            address: self.wallet(),
            chain_id: 100,
            registry: Address::new([0xa; 20]),
            escrow: Address::new([0xb; 20]),
            token: Address::new([0xc; 20]),
            xdai_wei: XDAI_WEI,
            max_fee_wei: 1_000_000_000,
            xbzz: self.world.chain().balance(self.wallet()),
            pending: 0,
        })
    }
}
