//! Deployment of a market of our own contracts on a development chain.
//!
//! Keys and transactions here are throwaway: nothing is stored before it is sent. On a chain with money, settlement
//! sends the transactions.

use std::time::Duration;

use ethers_core::abi::{Token as AbiToken, encode};
use serde::Deserialize;
use t4t_clock::timeout;
use t4t_crypto::WalletKey;
use t4t_types::Address;

use crate::abi::address_token;
use crate::block::{BlockTag, Receipt};
use crate::contracts::ContractAddresses;
use crate::encoding;
use crate::error::ChainError;
use crate::read::Call;
use crate::rpc::Rpc;
use crate::tx::{Fees, TransactionRequest};

const REGISTRY: &str = include_str!("../../../contracts/artifacts/ProviderRegistry.json");
const ESCROW: &str = include_str!("../../../contracts/artifacts/JobEscrow.json");
const TOKEN: &str = include_str!("../../../contracts/artifacts/XbzzToken.json");

/// Beside the pair, which does not know of it.
pub(crate) const CHANNELS: &str = include_str!("../../../contracts/artifacts/PaymentChannels.json");

/// Wei for a unit of gas that the block's maker gets.
const TIP: u128 = 1_000_000_000;

/// How long a transaction may take to get into a block.
const INCLUSION_LIMIT: Duration = Duration::from_secs(60);

/// Pause between two looks for a receipt.
const RECEIPT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Deserialize)]
struct Artifact {
    bytecode: String,
}

/// Deploys token, registry and escrow from `key`'s wallet and ties them together. The wallet may mint the token.
pub async fn deploy_market(rpc: &Rpc, key: &WalletKey) -> Result<ContractAddresses, ChainError> {
    let token = create(rpc, key, TOKEN, &[]).await?;
    let registry = create(rpc, key, REGISTRY, &[address_token(token)]).await?;
    let escrow = create(rpc, key, ESCROW, &[address_token(token), address_token(registry)]).await?;
    let addresses = ContractAddresses { registry, escrow, token };
    transact(rpc, key, &addresses.registry().set_escrow(escrow)).await?;
    Ok(addresses)
}

/// Deploys payment channels of a token.
pub async fn deploy_channels(rpc: &Rpc, key: &WalletKey, token: Address) -> Result<Address, ChainError> {
    create(rpc, key, CHANNELS, &[address_token(token)]).await
}

/// Signs and sends one call and waits until it is in a block. Only for development: the transaction is not stored, and
/// two at once from one wallet take each other's nonce. A call that fails is [`ChainError::Reverted`].
pub async fn transact(rpc: &Rpc, key: &WalletKey, call: &Call) -> Result<Receipt, ChainError> {
    send(rpc, key, Some(call.to), call.data.clone(), 0).await
}

/// Sends wei of the chain's own coin, as [`transact`] does.
pub async fn send_coin(rpc: &Rpc, key: &WalletKey, to: Address, wei: u128) -> Result<Receipt, ChainError> {
    send(rpc, key, Some(to), Vec::new(), wei).await
}

async fn create(
    rpc: &Rpc,
    key: &WalletKey,
    artifact: &str,
    arguments: &[AbiToken],
) -> Result<Address, ChainError> {
    let artifact: Artifact = serde_json::from_str(artifact)
        .map_err(|cause| ChainError::malformed("an artifact", cause.to_string()))?;
    let mut code = encoding::parse_bytes(&artifact.bytecode)
        .ok_or_else(|| ChainError::malformed("an artifact", "its code is not hexadecimal"))?;
    code.extend(encode(arguments));
    let receipt = send(rpc, key, None, code, 0).await?;
    receipt.contract.ok_or_else(|| ChainError::malformed("a receipt", "it names no contract"))
}

async fn send(
    rpc: &Rpc,
    key: &WalletKey,
    to: Option<Address>,
    data: Vec<u8>,
    value: u128,
) -> Result<Receipt, ChainError> {
    let from = key.address();
    let gas = rpc.estimate_gas(from, to, &data).await?;
    let request = TransactionRequest {
        chain_id: rpc.chain_id().await?,
        nonce: rpc.transaction_count(from, BlockTag::Pending).await?,
        to,
        data: data.clone(),
        value,
        gas_limit: gas.saturating_add(gas / 4),
        fees: Fees::suggested(rpc.latest_block().await?.base_fee, TIP),
    };
    let raw = request.sign(key);
    rpc.send_raw(&raw.bytes).await?;
    let receipt = wait_for_receipt(rpc, raw.hash).await?;
    if receipt.success {
        return Ok(receipt);
    }
    // The receipt does not say why; the same call on the newest state most often does.
    let why = rpc.estimate_gas(from, to, &data).await.err();
    Err(why.unwrap_or_else(|| ChainError::malformed("a transaction", "it was reverted without a reason")))
}

async fn wait_for_receipt(rpc: &Rpc, tx: t4t_types::TxHash) -> Result<Receipt, ChainError> {
    let clock = rpc.clock();
    let found = async {
        loop {
            if let Some(receipt) = rpc.receipt(tx).await? {
                return Ok(receipt);
            }
            clock.sleep(RECEIPT_PAUSE).await;
        }
    };
    timeout(&**clock, INCLUSION_LIMIT, found)
        .await
        .unwrap_or_else(|_| Err(ChainError::malformed("a transaction", "no block took it within a minute")))
}
