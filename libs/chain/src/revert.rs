//! Why a contract refused: names of errors, and what to do about them.

use std::fmt;

use serde_json::Value;

use crate::abi::Reader;
use crate::contract_error::{ContractError, selector};
use crate::encoding;
use crate::error::{ChainError, shortened};

/// A contract's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// Why.
    pub reason: RevertReason,
    /// The ABI-encoded error as the node gave it; empty if it gave none.
    pub data: Vec<u8>,
}

/// Why a contract refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevertReason {
    /// One of the market's own errors.
    Contract(ContractError),
    /// `require` with a text.
    Message(String),
    /// A failed check of the compiler: 0x01 assertion, 0x11 overflow, 0x12 division by zero, 0x32 index.
    Panic(u64),
    /// The gas ran out.
    OutOfGas,
    /// An assertion of old code, which takes all the gas; the token on Gnosis Chain does so when a balance or an
    /// allowance is too low.
    InvalidOpcode,
    /// An error that is not in the table, by its selector if there is one.
    Unknown(Option<[u8; 4]>),
}

impl Revert {
    /// Reads a refusal from its ABI-encoded data.
    pub fn from_data(data: Vec<u8>) -> Self {
        let reason = match data.first_chunk() {
            None => RevertReason::Unknown(None),
            Some(found) if *found == selector("Error(string)") => {
                let text = Reader::new(&data[4..]).text();
                text.map_or(RevertReason::Unknown(Some(*found)), |text| {
                    RevertReason::Message(shortened(&text))
                })
            }
            Some(found) if *found == selector("Panic(uint256)") => {
                let code = Reader::new(&data[4..]).u64();
                code.map_or(RevertReason::Unknown(Some(*found)), RevertReason::Panic)
            }
            Some(found) => ContractError::by_selector(*found)
                .map_or(RevertReason::Unknown(Some(*found)), RevertReason::Contract),
        };
        Self { reason, data }
    }

    /// Reads a refusal from a node's JSON-RPC error, or `None` if it is about something else.
    pub fn from_answer(code: i64, message: &str, data: Option<&Value>) -> Option<Self> {
        if let Some(bytes) = data.and_then(revert_data).filter(|bytes| bytes.len() >= 4) {
            return Some(Self::from_data(bytes));
        }
        let told = |reason| Some(Self { reason, data: Vec::new() });
        let lower =
            format!("{message} {}", data.and_then(Value::as_str).unwrap_or_default()).to_ascii_lowercase();
        let says = |text: &str| lower.contains(text);
        if says("out of gas") || says("outofgas") || says("gas required exceeds allowance") {
            return told(RevertReason::OutOfGas);
        }
        if ["invalid opcode", "invalidfeopcode", "badinstruction", "bad instruction", "invalid instruction"]
            .iter()
            .any(|text| says(text))
        {
            return told(RevertReason::InvalidOpcode);
        }
        if code != 3 && !says("revert") {
            return None;
        }
        told(reason_in_text(message))
    }

    /// The error's name, for logs and for matching across versions of the contracts.
    pub fn name(&self) -> &'static str {
        match self.reason {
            RevertReason::Contract(error) => error.name(),
            RevertReason::Message(_) => "Error",
            RevertReason::Panic(_) => "Panic",
            RevertReason::OutOfGas => "OutOfGas",
            RevertReason::InvalidOpcode => "InvalidOpcode",
            RevertReason::Unknown(_) => "Unknown",
        }
    }

    /// The market's own error, if it is one.
    pub fn contract_error(&self) -> Option<ContractError> {
        match self.reason {
            RevertReason::Contract(error) => Some(error),
            _ => None,
        }
    }

    /// What happened and what to do next, in a sentence for people.
    pub fn advice(&self) -> &'static str {
        match self.reason {
            RevertReason::Contract(error) => error.advice(),
            RevertReason::OutOfGas => {
                "The transaction ran out of gas; send it again with a higher gas limit."
            }
            RevertReason::InvalidOpcode => {
                "The token refused; check the wallet's xBZZ balance and its allowance for the contract."
            }
            RevertReason::Message(_) | RevertReason::Panic(_) | RevertReason::Unknown(_) => {
                "A contract refused for a reason that is not known here; check the configured contract addresses."
            }
        }
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            RevertReason::Contract(error) => f.write_str(error.name()),
            RevertReason::Message(text) => write!(f, "{text:?}"),
            RevertReason::Panic(code) => write!(f, "panic {code:#04x}"),
            RevertReason::OutOfGas => f.write_str("out of gas"),
            RevertReason::InvalidOpcode => f.write_str("invalid opcode"),
            RevertReason::Unknown(Some(selector)) => write!(f, "unknown error 0x{}", hex::encode(selector)),
            RevertReason::Unknown(None) => f.write_str("no reason given"),
        }
    }
}

/// Turns a node's refusal into [`ChainError::Reverted`] where it is one.
pub(crate) fn explained(error: ChainError) -> ChainError {
    let ChainError::Answer { code, message, data } = &error else {
        return error;
    };
    Revert::from_answer(*code, message, data.as_ref()).map_or(error, ChainError::Reverted)
}

/// The bytes in an error's `data`: plain (geth), after "Reverted " (nethermind), or one level down (others).
fn revert_data(data: &Value) -> Option<Vec<u8>> {
    let text = match data {
        Value::String(text) => text.as_str(),
        Value::Object(fields) => fields.get("data")?.as_str()?,
        _ => return None,
    };
    encoding::parse_bytes(text.strip_prefix("Reverted ").unwrap_or(text))
}

/// The reason that a node put into words only.
fn reason_in_text(message: &str) -> RevertReason {
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric()).collect::<String>();
    let named = message.split([' ', ':']).find_map(|part| ContractError::by_name(&word(part)));
    if let Some(error) = named {
        return RevertReason::Contract(error);
    }
    let told = message.split_once("reverted:").map(|(_, text)| text.trim()).filter(|text| !text.is_empty());
    told.map_or(RevertReason::Unknown(None), |text| RevertReason::Message(shortened(text)))
}

#[cfg(test)]
#[path = "revert_tests.rs"]
mod tests;
