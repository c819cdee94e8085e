//! Queries of logs, and the splitting of ranges that an endpoint finds too large.

use serde_json::{Value, json};
use t4t_types::Address;

use crate::block::{Log, RawLog};
use crate::encoding::{bytes, quantity};
use crate::error::ChainError;
use crate::rpc::Rpc;

/// Which logs are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Contracts; empty means all.
    pub addresses: Vec<Address>,
    /// Values that each topic may have; an empty list means any.
    pub topics: Vec<Vec<[u8; 32]>>,
    /// First block.
    pub from: u64,
    /// Last block; `None` is the newest.
    pub to: Option<u64>,
}

impl LogFilter {
    pub(crate) fn question(&self) -> (&'static str, Value) {
        let to = self.to.map_or_else(|| json!("latest"), |number| json!(quantity(number)));
        let mut filter = json!({ "fromBlock": quantity(self.from), "toBlock": to });
        if !self.addresses.is_empty() {
            filter["address"] = json!(self.addresses);
        }
        if !self.topics.is_empty() {
            let topic = |allowed: &Vec<[u8; 32]>| match allowed.as_slice() {
                [] => Value::Null,
                allowed => allowed.iter().map(|topic| json!(bytes(topic))).collect(),
            };
            filter["topics"] = self.topics.iter().map(topic).collect();
        }
        ("eth_getLogs", json!([filter]))
    }
}

/// Whether an error says that fewer blocks should be asked for.
pub(crate) fn is_range_too_large(error: &ChainError) -> bool {
    let ChainError::Answer { code, message, .. } = error else {
        return matches!(error, ChainError::TooLarge { .. });
    };
    let message = message.to_ascii_lowercase();
    let said = [
        "range",
        "too many",
        "more than",
        "too large",
        "response size",
        "exceed",
        "limit",
        "timeout",
        "timed out",
    ];
    *code == -32005 || said.iter().any(|text| message.contains(text))
}

pub(crate) fn mined(raw: Vec<RawLog>) -> Vec<Log> {
    raw.into_iter().filter_map(RawLog::mined).collect()
}

impl Rpc {
    /// The logs that match, oldest first. A range that an endpoint finds too large is halved until it does not.
    pub async fn logs(&self, filter: &LogFilter) -> Result<Vec<Log>, ChainError> {
        let mut found = Vec::new();
        let mut ranges = vec![filter.clone()];
        while let Some(range) = ranges.pop() {
            let (method, params) = range.question();
            match self.call::<Vec<RawLog>>(method, params).await {
                Ok(logs) => found.extend(mined(logs)),
                Err(error) if is_range_too_large(&error) => {
                    let to = match range.to {
                        Some(to) => to,
                        None => self.latest_block().await?.number,
                    };
                    let (first, second) = halves(range, to).ok_or(error)?;
                    // The last one is taken first.
                    ranges.push(second);
                    ranges.push(first);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

fn halves(range: LogFilter, to: u64) -> Option<(LogFilter, LogFilter)> {
    if range.from >= to {
        return None;
    }
    let middle = range.from + (to - range.from) / 2;
    let open_end = range.to;
    let first = LogFilter { to: Some(middle), ..range.clone() };
    Some((first, LogFilter { from: middle + 1, to: open_end, ..range }))
}
