//! The chain as its owner sees it: what is in blocks and in the pool, and how both are changed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::{Value, json};
use t4t_chain::contracts::JobOrder;
use t4t_chain::{
    BlockTag, ContractAddresses, Fees, LogFilter, RawTransaction, Rpc, TransactionRequest, deploy,
};
use t4t_crypto::WalletKey;
use t4t_testkit::anvil::dev_key;
use t4t_testkit::eventually;
use t4t_testkit::processes::{PATIENCE, World};
use t4t_types::{Address, SwarmRef, TxHash, Xbzz, keccak256};

const GWEI: u128 = 1_000_000_000;

/// Fees above all that a role pays.
pub(crate) const HIGH: Fees = Fees { max_fee: 300 * GWEI, max_priority: 100 * GWEI };

/// How long a sign is waited for: a cancellation comes three quarters of a minute after its job, on an idle machine.
const SEEN_WITHIN: Duration = Duration::from_secs(240);

/// Whose wallet a stranger has.
const STRANGER: u32 = 3;

/// Who gets what another program sends.
const ELSEWHERE: u32 = 5;

/// A signed transaction, in a block or in the pool.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Signed {
    pub(crate) hash: TxHash,
    pub(crate) from: Address,
    #[serde(deserialize_with = "number")]
    pub(crate) nonce: u64,
    pub(crate) input: String,
}

/// What a role's transaction does on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// This wallet's.
    Approval(Address),
    Posted,
    Acked,
    Claimed,
    Cancelled,
}

impl Sign {
    fn topic(self) -> [u8; 32] {
        keccak256(match self {
            Self::Approval(_) => "Approval(address,address,uint256)",
            Self::Posted => "JobPosted(bytes32,address,address)",
            Self::Acked => "JobAcked(bytes32)",
            Self::Claimed => "JobClaimed(bytes32,bytes32,uint128)",
            Self::Cancelled => "JobCancelled(bytes32,uint128)",
        })
    }

    fn topics(self) -> Vec<Vec<[u8; 32]>> {
        let mut topics = vec![vec![self.topic()]];
        if let Self::Approval(owner) = self {
            let mut padded = [0; 32];
            padded[12..].copy_from_slice(owner.as_bytes());
            topics.push(vec![padded]);
        }
        topics
    }
}

/// A chain under its owner's thumb.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    rpc: Rpc,
    contracts: ContractAddresses,
    chain_id: u64,
}

impl Chain {
    pub(crate) fn of(world: &World) -> Self {
        let (rpc, contracts) = (world.anvil.rpc().clone(), world.market.addresses);
        Self { rpc, contracts, chain_id: world.anvil.chain_id() }
    }

    pub(crate) async fn head(&self) -> anyhow::Result<u64> {
        Ok(self.rpc.latest_block().await?.number)
    }

    /// Waits for a new block.
    pub(crate) async fn makes_one(&self) -> anyhow::Result<()> {
        let before = self.head().await?;
        eventually(PATIENCE, "a new block", async || (self.head().await.ok()? > before).then_some(())).await
    }

    /// Seconds of the newest block.
    pub(crate) async fn now(&self) -> anyhow::Result<u64> {
        Ok(self.rpc.latest_block().await?.timestamp.get())
    }

    /// When a block was made.
    pub(crate) async fn made_at(&self, block: u64) -> anyhow::Result<u64> {
        let header = self.rpc.block_by_number(block).await?;
        Ok(header.context("the block is gone")?.timestamp.get())
    }

    /// Waits until a sign is seen from a block on; the block it is in.
    pub(crate) async fn sees(&self, sign: Sign, from: u64) -> anyhow::Result<u64> {
        let what = format!("{sign:?} from block {from} on");
        eventually(SEEN_WITHIN, &what, async || self.look_for(sign, from).await.ok().flatten()).await
    }

    /// The block of the newest such sign from a block on.
    pub(crate) async fn look_for(&self, sign: Sign, from: u64) -> anyhow::Result<Option<u64>> {
        let addresses = vec![self.contracts.escrow, self.contracts.token];
        let filter = LogFilter { addresses, topics: sign.topics(), from, to: None };
        let logs = self.rpc.logs(&filter).await?;
        Ok(logs.last().map(|log| log.block_number))
    }

    /// The transactions of a block, in their order.
    pub(crate) async fn block(&self, number: u64) -> anyhow::Result<Vec<Signed>> {
        let block: Value =
            self.rpc.call("eth_getBlockByNumber", json!([format!("{number:#x}"), true])).await?;
        Ok(serde_json::from_value(block["transactions"].clone())?)
    }

    /// The transactions of a wallet that wait in the pool, by nonce.
    pub(crate) async fn waiting(&self, wallet: Address) -> anyhow::Result<Vec<Signed>> {
        let pool: BTreeMap<String, BTreeMap<Address, BTreeMap<String, Signed>>> =
            self.rpc.call("txpool_content", json!([])).await?;
        let own = pool.into_values().filter_map(|mut by_wallet| by_wallet.remove(&wallet));
        let mut waiting: Vec<Signed> = own.flat_map(BTreeMap::into_values).collect();
        waiting.sort_by_key(|transaction| transaction.nonce);
        Ok(waiting)
    }

    /// Waits until so many transactions of a wallet wait.
    pub(crate) async fn has_waiting(&self, wallet: Address, count: usize) -> anyhow::Result<Vec<Signed>> {
        let what = format!("{count} waiting transactions of {wallet}");
        eventually(PATIENCE, &what, async || {
            self.waiting(wallet).await.ok().filter(|waiting| waiting.len() >= count)
        })
        .await
    }

    /// The block in which a wallet's call is from a block on, at whatever nonce, if it is in one. Whether it did anything
    /// does not count: an acknowledgement that comes after its claim is late, and no harm.
    pub(crate) async fn included(
        &self,
        wallet: Address,
        input: &str,
        from: u64,
    ) -> anyhow::Result<Option<u64>> {
        for number in from..=self.head().await? {
            let block = self.block(number).await?;
            if block.iter().any(|transaction| transaction.from == wallet && transaction.input == input) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// The bytes of a transaction.
    pub(crate) async fn bytes_of(&self, hash: TxHash) -> anyhow::Result<String> {
        Ok(self.rpc.call("eth_getRawTransactionByHash", json!([hash])).await?)
    }

    /// Replaces the newest blocks by others that hold these bytes, each in the block with its number, counted from zero.
    pub(crate) async fn reorganise(&self, depth: u64, blocks: &[(String, u64)]) -> anyhow::Result<()> {
        self.rpc.call::<Value>("anvil_reorg", json!([depth, blocks])).await?;
        Ok(())
    }

    /// Hands bytes to the node.
    pub(crate) async fn send(&self, bytes: &str) -> anyhow::Result<()> {
        self.rpc.call::<Value>("eth_sendRawTransaction", json!([bytes])).await?;
        Ok(())
    }

    /// Takes a transaction out of the pool.
    pub(crate) async fn drop_from_pool(&self, hash: TxHash) -> anyhow::Result<()> {
        self.rpc.call::<Value>("anvil_dropTransaction", json!([hash])).await?;
        Ok(())
    }

    /// Makes a block with this base fee.
    pub(crate) async fn mine_at(&self, base_fee: u128) -> anyhow::Result<()> {
        let fee = format!("{base_fee:#x}");
        self.rpc.call::<Value>("anvil_setNextBlockBaseFeePerGas", json!([fee])).await?;
        self.rpc.call::<Value>("anvil_mine", json!(["0x1"])).await?;
        Ok(())
    }

    /// Nonces that a wallet has used up.
    pub(crate) async fn used(&self, wallet: Address) -> anyhow::Result<u64> {
        Ok(self.rpc.transaction_count(wallet, BlockTag::Latest).await?)
    }

    /// Another program's transaction with a role's key.
    pub(crate) fn foreign(&self, key: &WalletKey, nonce: u64, fees: Fees) -> RawTransaction {
        let request = TransactionRequest {
            chain_id: self.chain_id,
            nonce,
            to: Some(dev_key(ELSEWHERE).address()),
            data: Vec::new(),
            value: 1,
            gas_limit: 21_000,
            fees,
        };
        request.sign(key)
    }

    /// A job of a stranger that the provider refuses at once, as bytes that nobody has yet.
    pub(crate) async fn strangers_post(&self, provider: Address) -> anyhow::Result<String> {
        let key = dev_key(STRANGER);
        let order = JobOrder {
            provider,
            request_hash: SwarmRef::new(keccak256(b"a stranger's request")),
            model: "what nobody sells".parse()?,
            max_payment: Xbzz::from_plur(10_000_000_000_000),
            delivery_deadline: self.rpc.latest_block().await?.timestamp.plus(300),
        };
        let call = self.contracts.escrow().post_job(&order);
        let request = TransactionRequest {
            chain_id: self.chain_id,
            nonce: self.used(key.address()).await?,
            to: Some(call.to),
            data: call.data,
            value: 0,
            gas_limit: 600_000,
            fees: HIGH,
        };
        Ok(hex_of(&request.sign(&key).bytes))
    }

    /// Lets the stranger post.
    pub(crate) async fn welcome_stranger(&self) -> anyhow::Result<()> {
        let approval = self.contracts.token().approve_all(self.contracts.escrow);
        deploy::transact(&self.rpc, &dev_key(STRANGER), &approval).await?;
        Ok(())
    }
}

/// Bytes as JSON-RPC takes them.
pub(crate) fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)?;
    u64::from_str_radix(text.trim_start_matches("0x"), 16).map_err(D::Error::custom)
}
