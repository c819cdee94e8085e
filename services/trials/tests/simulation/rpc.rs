//! The chain's node: JSON-RPC on the chain in memory.

use evm::uint::{H160, H256, U256};
use serde_json::{Value, json};

use super::chain::{Block, Chain, Mined};
use super::evm::Order;

/// Most gas that a question may take.
const QUESTION_GAS: u64 = 16_000_000;

/// A refusal: code, message, data.
type Refused = (i64, String, Option<Value>);

/// A node's view: its head may lag behind the chain's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    /// Blocks that it does not know yet.
    pub(crate) lag: u64,
}

/// Answers a body with one question or a list of them.
pub(crate) fn answer(chain: &mut Chain, view: View, body: &[u8]) -> Vec<u8> {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let answered = match asked {
        Value::Array(list) => list.iter().map(|question| one(chain, view, question)).collect(),
        question => one(chain, view, &question),
    };
    answered.to_string().into_bytes()
}

fn one(chain: &mut Chain, view: View, question: &Value) -> Value {
    let method = question["method"].as_str().unwrap_or_default();
    match run(chain, view, method, &question["params"]) {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": question["id"], "result": result }),
        Err((code, message, data)) => {
            json!({ "jsonrpc": "2.0", "id": question["id"],
                    "error": { "code": code, "message": message, "data": data } })
        }
    }
}

fn run(chain: &mut Chain, view: View, method: &str, params: &Value) -> Result<Value, Refused> {
    let head = chain.head().number.saturating_sub(view.lag);
    match method {
        "eth_chainId" => Ok(number(chain.chain_id)),
        "eth_blockNumber" => Ok(number(head)),
        "eth_getBlockByNumber" => {
            let found = height(&params[0], head).filter(|height| *height <= head);
            Ok(found.and_then(|height| chain.block(height)).map(header).into())
        }
        "eth_getBalance" => {
            Ok(json!(format!("{:#x}", chain.state_at(head).account(address(&params[0])?).balance)))
        }
        "eth_getTransactionCount" => {
            let from = address(&params[0])?;
            let pending = params[1] == "pending";
            Ok(number(if pending {
                chain.pending_nonce(from)
            } else {
                chain.state_at(head).account(from).nonce
            }))
        }
        "eth_call" => ask(chain, head, params).map(|outcome| json!(bytes(&outcome.returned))),
        "eth_estimateGas" => {
            // Nodes find the least limit; a fifth more covers what is kept back for inner calls and refunds.
            ask(chain, head, params).map(|outcome| number(outcome.gas_used + outcome.gas_used / 5))
        }
        "eth_sendRawTransaction" => {
            let raw = params[0].as_str().and_then(|text| hex::decode(text.trim_start_matches("0x")).ok());
            let sent = chain.send(raw.unwrap_or_default());
            sent.map(|hash| json!(hash)).map_err(|message| (-32000, message.to_owned(), None))
        }
        "eth_getTransactionByHash" => {
            let hash = hash(&params[0])?;
            let mined = chain.mined(hash).filter(|(block, _)| block.number <= head);
            let known = mined.is_some() || chain.waits(hash);
            Ok(if known { json!({ "hash": hash }) } else { Value::Null })
        }
        "eth_getTransactionReceipt" => {
            let mined = chain.mined(hash(&params[0])?).filter(|(block, _)| block.number <= head);
            Ok(mined.map(|(block, mined)| receipt(block, mined)).into())
        }
        "eth_getLogs" => Ok(logs(chain, head, &params[0])),
        other => Err((-32601, format!("the method {other} does not exist"), None)),
    }
}

fn ask(chain: &Chain, head: u64, params: &Value) -> Result<super::evm::Outcome, Refused> {
    let call = &params[0];
    let height = params.get(1).map_or(Some(head), |tag| height(tag, head)).unwrap_or(head).min(head);
    let data = call["data"].as_str().or_else(|| call["input"].as_str()).unwrap_or("0x");
    let order = Order {
        from: call.get("from").map_or(Ok(H160::zero()), address)?,
        to: call.get("to").map(address).transpose()?,
        data: hex::decode(data.trim_start_matches("0x")).unwrap_or_default(),
        value: U256::zero(),
        gas_limit: QUESTION_GAS,
        max_fee: 0,
        max_priority: 0,
    };
    let block = chain.block(height).unwrap_or(chain.head());
    // A question is asked as if in the next block, but at its own block's time, as nodes do it.
    let around = super::evm::Surroundings { base_fee: 0, ..chain.around(block) };
    let outcome = chain.state_at(height).ask(order, around);
    if outcome.success {
        return Ok(outcome);
    }
    Err((3, "execution reverted".to_owned(), Some(json!(bytes(&outcome.returned)))))
}

fn logs(chain: &Chain, head: u64, filter: &Value) -> Value {
    let from = height(&filter["fromBlock"], head).unwrap_or(head);
    let to = height(&filter["toBlock"], head).unwrap_or(head).min(head);
    let addresses: Option<Vec<H160>> = match &filter["address"] {
        Value::Array(list) => Some(list.iter().filter_map(|one| address(one).ok()).collect()),
        Value::Null => None,
        one => Some(address(one).into_iter().collect()),
    };
    let topics: Vec<Option<Vec<H256>>> = filter["topics"].as_array().map_or_else(Vec::new, |topics| {
        topics
            .iter()
            .map(|any| any.as_array().map(|any| any.iter().filter_map(|one| hash(one).ok()).collect()))
            .collect()
    });
    let found = chain.logs(from, to, |event| {
        addresses.as_ref().is_none_or(|addresses| addresses.contains(&event.address))
            && topics.iter().enumerate().all(|(index, allowed)| {
                allowed.as_ref().is_none_or(|allowed| {
                    event.topics.get(index).is_some_and(|topic| allowed.contains(topic))
                })
            })
    });
    found.into_iter().map(|(block, tx, index, event)| log(block, tx, index, event)).collect()
}

fn receipt(block: &Block, mined: &Mined) -> Value {
    let tx = mined.transaction.hash;
    let logs: Vec<Value> = mined
        .outcome
        .events
        .iter()
        .enumerate()
        .map(|(index, event)| log(block, tx, mined.first_log + index as u64, event))
        .collect();
    json!({
        "transactionHash": tx,
        "status": number(u64::from(mined.outcome.success)),
        "blockNumber": number(block.number),
        "blockHash": block.hash,
        "gasUsed": number(mined.outcome.gas_used),
        "effectiveGasPrice": format!("{:#x}", mined.price),
        "contractAddress": mined.outcome.created,
        "logs": logs,
    })
}

fn log(block: &Block, tx: H256, index: u64, event: &super::evm::Event) -> Value {
    json!({
        "address": event.address, "topics": event.topics, "data": bytes(&event.data),
        "blockNumber": number(block.number), "blockHash": block.hash,
        "transactionHash": tx, "logIndex": number(index), "removed": false,
    })
}

fn header(block: &Block) -> Value {
    json!({
        "number": number(block.number), "hash": block.hash, "parentHash": block.parent,
        "timestamp": number(block.timestamp), "baseFeePerGas": format!("{:#x}", block.base_fee),
    })
}

fn height(tag: &Value, head: u64) -> Option<u64> {
    match tag.as_str()? {
        "latest" | "pending" => Some(head),
        "earliest" => Some(0),
        "finalized" | "safe" => Some(head.saturating_sub(32)),
        digits => u64::from_str_radix(digits.strip_prefix("0x")?, 16).ok(),
    }
}

fn number(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

fn bytes(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn address(value: &Value) -> Result<H160, Refused> {
    serde_json::from_value(value.clone()).map_err(|cause| (-32602, cause.to_string(), None))
}

fn hash(value: &Value) -> Result<H256, Refused> {
    serde_json::from_value(value.clone()).map_err(|cause| (-32602, cause.to_string(), None))
}
