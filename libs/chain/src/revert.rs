//! Why a contract refused: names of errors, and what to do about them.

use std::fmt;

use serde_json::Value;

use crate::abi::Reader;
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

/// Defines the contracts' errors: name, signature, and a sentence with the next step.
macro_rules! contract_errors {
    ($($(#[$doc:meta])* $name:ident = $signature:literal, $advice:literal;)*) => {
        /// An error that one of the market's contracts declares.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ContractError {
            $(#[doc = $advice] $name,)*
        }

        impl ContractError {
            /// Every error.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in the contract.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Its signature, whose hash begins with the selector.
            pub const fn signature(self) -> &'static str {
                match self {
                    $(Self::$name => $signature,)*
                }
            }

            /// What happened and what to do next, in a sentence for people.
            pub const fn advice(self) -> &'static str {
                match self {
                    $(Self::$name => $advice,)*
                }
            }
        }
    };
}

contract_errors! {
    AlreadyRegistered = "AlreadyRegistered()",
        "This wallet is registered already, and a wallet registers only once; start the provider with it as it is.";
    BadDeadline = "BadDeadline()",
        "The delivery deadline lies too close; choose one more than 30 seconds after the newest block.";
    BadStatus = "BadStatus()",
        "The job is not in a state that allows this; read the job again before the next step.";
    DeadlineNotPassed = "DeadlineNotPassed()",
        "It is too early to cancel or time out the job; try again once its deadline has passed on the chain.";
    DeadlinePassed = "DeadlinePassed()",
        "The job's deadline has passed on the chain, so it can't be accepted or claimed any more.";
    EscrowAlreadySet = "EscrowAlreadySet()",
        "The registry knows its escrow already, and that is set only once; deploy a new pair to change it.";
    ExposureAboveStake = "ExposureAboveStake(address,uint256,uint256)",
        "The provider's open jobs would put more at risk than it has staked.";
    InsufficientStake = "InsufficientStake()",
        "The stake is below the registry's minimum; put at least the minimum stake in.";
    InsufficientStakeForJob = "InsufficientStakeForJob()",
        "The provider's stake does not cover another job of this price; choose another provider or a smaller job.";
    ModelIdTooLong = "ModelIdTooLong(uint256,uint256)",
        "The model's name is longer than the escrow takes; use a shorter one.";
    NotClient = "NotClient()",
        "Only the wallet that posted the job may do this, or there is no such job; check the job id and the wallet.";
    NotEscrow = "NotEscrow()",
        "Only the escrow may do this.";
    NotOwner = "NotOwner()",
        "Only the wallet that deployed the registry may do this.";
    NotProvider = "NotProvider()",
        "Only the job's provider may do this, or there is no such job; check the job id and the wallet.";
    NotRegistered = "NotRegistered()",
        "This wallet is not an active provider; register it first.";
    OpenJobsRemain = "OpenJobsRemain()",
        "Jobs are still open; settle them before the stake is withdrawn.";
    PaymentOutOfBounds = "PaymentOutOfBounds(uint128,uint128,uint128)",
        "The job's highest payment is outside of what the escrow takes; choose an amount within its limits.";
    PaymentTooHigh = "PaymentTooHigh()",
        "The claim is higher than the escrow holds for the job; claim at most its highest payment.";
    ProviderNotLive = "ProviderNotLive()",
        "The provider has given no sign of life for ten minutes; choose another one.";
    ReentrancyGuardReentrantCall = "ReentrancyGuardReentrantCall()",
        "The token called back into the contract, which is refused.";
    SafeCastOverflowedUintDowncast = "SafeCastOverflowedUintDowncast(uint8,uint256)",
        "A number is larger than the contract can hold.";
    StillActive = "StillActive()",
        "The provider is still active; deactivate it before the stake is withdrawn.";
    StillBonded = "StillBonded()",
        "The stake is still bound; it is free two days after the deactivation.";
    TextTooLong = "TextTooLong(uint256,uint256)",
        "A model's name or the description is longer than the registry takes; use a shorter one.";
    TooManyOfferings = "TooManyOfferings(uint256,uint256)",
        "The list has more offers than the registry takes; offer fewer models.";
    TransferFailed = "TransferFailed()",
        "The token did not move; check the wallet's xBZZ balance and its allowance for the contract.";
    ZeroAddress = "ZeroAddress()",
        "The address zero was given where a contract must stand.";
}

impl ContractError {
    /// First four bytes of the error's data.
    pub fn selector(self) -> [u8; 4] {
        selector(self.signature())
    }

    fn by_selector(wanted: [u8; 4]) -> Option<Self> {
        Self::ALL.iter().copied().find(|error| error.selector() == wanted)
    }

    fn by_name(wanted: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|error| error.name() == wanted)
    }
}

/// First four bytes of a signature's hash.
pub(crate) fn selector(signature: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = t4t_types::keccak256(signature);
    [a, b, c, d]
}

impl Revert {
    /// Reads a refusal from its ABI-encoded data.
    pub fn from_data(data: Vec<u8>) -> Self {
        let reason = match data.first_chunk() {
            None => RevertReason::Unknown(None),
            Some(found) if *found == selector("Error(string)") => {
                let text = Reader::new(&data[4..]).text();
                text.map_or(RevertReason::Unknown(Some(*found)), |text| RevertReason::Message(shortened(&text)))
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
        let lower = format!("{message} {}", data.and_then(Value::as_str).unwrap_or_default()).to_ascii_lowercase();
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
            RevertReason::OutOfGas => "The transaction ran out of gas; send it again with a higher gas limit.",
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
