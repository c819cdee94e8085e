//! Questions about the chain itself: blocks, balances, receipts, logs, calls.

use serde_json::{Value, json};
use t4t_types::{Address, TxHash};

use crate::block::{BlockHeader, BlockTag, RawBlock, RawReceipt, Receipt};
use crate::encoding::{HexBytes, Number, Quantity, bytes};
use crate::error::ChainError;
use crate::revert;
use crate::rpc::Rpc;

/// A call or a transaction's substance: whom it goes to and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// ABI-encoded function and arguments.
    pub data: Vec<u8>,
}

/// A call as a transaction made it, or would make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who calls.
    pub from: Address,
    /// What.
    pub call: Call,
    /// Wei that go along.
    pub value: u128,
    /// Most gas that it may take.
    pub gas_limit: u64,
}

impl Rpc {
    /// Id of the chain that the preferred endpoint serves.
    pub async fn chain_id(&self) -> Result<u64, ChainError> {
        self.call::<Number>("eth_chainId", json!([])).await.map(|number| number.0)
    }

    /// The newest block.
    pub async fn latest_block(&self) -> Result<BlockHeader, ChainError> {
        let (method, params) = block_question(BlockTag::Latest);
        Ok(self.call::<RawBlock>(method, params).await?.into())
    }

    /// The block at a height, or `None` above the head.
    pub async fn block_by_number(&self, number: u64) -> Result<Option<BlockHeader>, ChainError> {
        self.block(BlockTag::Number(number)).await
    }

    async fn block(&self, tag: BlockTag) -> Result<Option<BlockHeader>, ChainError> {
        let (method, params) = block_question(tag);
        Ok(self.call::<Option<RawBlock>>(method, params).await?.map(BlockHeader::from))
    }

    /// Wei of the chain's own coin that an address holds.
    pub async fn balance(&self, address: Address) -> Result<u128, ChainError> {
        self.call::<Quantity>("eth_getBalance", json!([address, "latest"])).await.map(|wei| wei.0)
    }

    /// Transactions that an address has sent; with [`BlockTag::Pending`] also those that wait, which is its next
    /// nonce.
    pub async fn transaction_count(&self, address: Address, at: BlockTag) -> Result<u64, ChainError> {
        let params = json!([address, at.to_param()]);
        self.call::<Number>("eth_getTransactionCount", params).await.map(|count| count.0)
    }

    /// What became of a transaction, or `None` while it is in no block.
    pub async fn receipt(&self, tx: TxHash) -> Result<Option<Receipt>, ChainError> {
        let raw = self.call::<Option<RawReceipt>>("eth_getTransactionReceipt", json!([tx])).await?;
        Ok(raw.map(Receipt::from))
    }

    /// The same for many, in few requests.
    pub async fn receipts(&self, txs: &[TxHash]) -> Result<Vec<Option<Receipt>>, ChainError> {
        let questions = txs.iter().map(|tx| ("eth_getTransactionReceipt", json!([tx]))).collect();
        let read = |answer: Result<Value, ChainError>| {
            let raw: Option<RawReceipt> = serde_json::from_value(answer?)
                .map_err(|cause| ChainError::malformed("eth_getTransactionReceipt", cause.to_string()))?;
            Ok(raw.map(Receipt::from))
        };
        self.batch(questions).await?.into_iter().map(read).collect()
    }

    /// Whether the node knows a transaction, in a block or waiting.
    pub async fn transaction_known(&self, tx: TxHash) -> Result<bool, ChainError> {
        let found =
            self.call::<Option<serde::de::IgnoredAny>>("eth_getTransactionByHash", json!([tx])).await?;
        Ok(found.is_some())
    }

    /// [`Self::transaction_count`] by every endpoint that answers.
    pub async fn transaction_counts(&self, address: Address, at: BlockTag) -> Vec<u64> {
        let counts = self.ask_all::<Number>("eth_getTransactionCount", json!([address, at.to_param()])).await;
        counts.into_iter().map(|count| count.0).collect()
    }

    /// [`Self::receipt`] by every endpoint that answers.
    pub async fn receipts_by_all(&self, tx: TxHash) -> Vec<Option<Receipt>> {
        let receipts = self.ask_all::<Option<RawReceipt>>("eth_getTransactionReceipt", json!([tx])).await;
        receipts.into_iter().map(|raw| raw.map(Receipt::from)).collect()
    }

    /// [`Self::transaction_known`] by every endpoint that answers.
    pub async fn transaction_known_by(&self, tx: TxHash) -> Vec<bool> {
        let found =
            self.ask_all::<Option<serde::de::IgnoredAny>>("eth_getTransactionByHash", json!([tx])).await;
        found.into_iter().map(|found| found.is_some()).collect()
    }

    /// Runs a view function and returns its ABI-encoded result.
    pub async fn eth_call(&self, to: Address, data: &[u8], at: BlockTag) -> Result<Vec<u8>, ChainError> {
        let (method, params) = call_question(None, to, data, at);
        let answer = self.call::<HexBytes>(method, params).await;
        answer.map(|bytes| bytes.0).map_err(revert::explained)
    }

    /// Tries a call as `from` would send it, on the newest state and without sending it. A refusal is
    /// [`ChainError::Reverted`] with the contract's reason.
    pub async fn simulate(&self, from: Address, call: &Call) -> Result<Vec<u8>, ChainError> {
        let (method, params) = call_question(Some(from), call.to, &call.data, BlockTag::Latest);
        let answer = self.call::<HexBytes>(method, params).await;
        answer.map(|bytes| bytes.0).map_err(revert::explained)
    }

    /// Tries what a transaction did on the state after another block. A receipt does not carry a contract's reason to
    /// refuse; this gives it again, as [`ChainError::Reverted`].
    pub async fn replay(&self, attempt: &Attempt, at: BlockTag) -> Result<Vec<u8>, ChainError> {
        let Attempt { from, call, value, gas_limit } = attempt;
        let (method, mut params) = call_question(Some(*from), call.to, &call.data, at);
        params[0]["value"] = json!(format!("{value:#x}"));
        params[0]["gas"] = json!(format!("{gas_limit:#x}"));
        let answer = self.call::<HexBytes>(method, params).await;
        answer.map(|bytes| bytes.0).map_err(revert::explained)
    }

    /// Runs view functions in few requests; each has its own result.
    pub async fn eth_calls(
        &self,
        calls: &[Call],
        at: BlockTag,
    ) -> Result<Vec<Result<Vec<u8>, ChainError>>, ChainError> {
        let questions = calls.iter().map(|call| call_question(None, call.to, &call.data, at)).collect();
        let read = |answer: Result<Value, ChainError>| {
            let value = answer.map_err(revert::explained)?;
            let bytes: Result<HexBytes, _> = serde_json::from_value(value);
            bytes.map(|bytes| bytes.0).map_err(|cause| ChainError::malformed("eth_call", cause.to_string()))
        };
        Ok(self.batch(questions).await?.into_iter().map(read).collect())
    }

    /// Gas that a transaction would take on the newest state. A refusal is [`ChainError::Reverted`]. Without `to`, it
    /// creates a contract.
    pub async fn estimate_gas(
        &self,
        from: Address,
        to: Option<Address>,
        data: &[u8],
    ) -> Result<u64, ChainError> {
        let mut transaction = json!({ "from": from, "data": bytes(data) });
        if let Some(to) = to {
            transaction["to"] = json!(to);
        }
        let answer = self.call::<Number>("eth_estimateGas", json!([transaction])).await;
        answer.map(|gas| gas.0).map_err(revert::explained)
    }
}

pub(crate) fn block_question(tag: BlockTag) -> (&'static str, Value) {
    ("eth_getBlockByNumber", json!([tag.to_param(), false]))
}

fn call_question(from: Option<Address>, to: Address, data: &[u8], at: BlockTag) -> (&'static str, Value) {
    // Both names of the field are in use; every node takes this one.
    let mut call = json!({ "to": to, "data": bytes(data) });
    if let Some(from) = from {
        call["from"] = json!(from);
    }
    ("eth_call", json!([call, at.to_param()]))
}
