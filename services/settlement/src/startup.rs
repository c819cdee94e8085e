//! Before anything is answered: the chain is what the configuration says, and what was left open is taken up.

use std::sync::Arc;

use t4t_chain::{ChainError, ContractAddresses, Rpc};
use t4t_types::Address;

use crate::error::StartError;
use crate::head::HeadReader;
use crate::journal::Journal;
use crate::wallet::Wallet;
use crate::watching::{Recovered, Recovery};

/// What is done before anything is answered.
#[derive(Debug)]
pub(crate) struct Startup {
    pub(crate) rpc: Rpc,
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) journal: Journal,
    pub(crate) contracts: ContractAddresses,
    pub(crate) newest: Arc<HeadReader>,
    pub(crate) recovery: Recovery,
}

impl Startup {
    /// Checks the chain and takes up what the last run left open.
    pub(crate) async fn begin(&self) -> Result<Recovered, StartError> {
        self.check_owner().await?;
        self.check_chain().await?;
        self.newest.begin().await.map_err(StartError::Chain)?;
        self.recovery.take_up().await.map_err(StartError::Recovery)
    }

    /// What another wallet left open here could never be settled by this one.
    async fn check_owner(&self) -> Result<(), StartError> {
        let opened = self.wallet.address();
        match self.journal.other_wallet().await? {
            Some(owner) => Err(StartError::OtherWallet { owner, opened }),
            None => Ok(()),
        }
    }

    async fn check_chain(&self) -> Result<(), StartError> {
        let (rpc, contracts) = (&self.rpc, self.contracts);
        rpc.verify_chain(self.wallet.scope().chain_id).await.map_err(|error| match error {
            ChainError::WrongChain { expected, got } => StartError::WrongChain { expected, got },
            cause => StartError::Chain(cause),
        })?;
        let escrow = contracts.registry().escrow(rpc).await;
        let escrow = escrow.map_err(|cause| self.not_there("registry", cause))?;
        let registry = contracts.escrow().registry(rpc).await;
        let registry = registry.map_err(|cause| self.not_there("escrow", cause))?;
        let token = contracts.escrow().xbzz(rpc).await;
        let token = token.map_err(|cause| self.not_there("escrow", cause))?;
        let balance = contracts.token().balance_of(rpc, self.wallet.address()).await;
        balance.map_err(|cause| self.not_there("token", cause))?;
        same("registry", escrow, contracts.escrow)?;
        same("escrow", registry, contracts.registry)?;
        same("escrow", token, contracts.token)
    }

    fn not_there(&self, contract: &'static str, error: ChainError) -> StartError {
        let chain_id = self.wallet.scope().chain_id;
        match error {
            ChainError::NoContract { address } => StartError::NoContract { contract, address, chain_id },
            cause => StartError::Chain(cause),
        }
    }
}

fn same(contract: &'static str, found: Address, expected: Address) -> Result<(), StartError> {
    if found == expected { Ok(()) } else { Err(StartError::ContractMismatch { contract, found, expected }) }
}
