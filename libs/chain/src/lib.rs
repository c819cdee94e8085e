//! The chain: contract calls and events, JSON-RPC with several endpoints, raw signed transactions.
//!
//! Owns every byte that goes to or comes from the chain. It keeps no state beyond endpoints and the scanner's window,
//! and holds no key: whoever owns the wallet signs, stores and sends.

mod abi;
mod block;
mod contract_error;
pub mod contracts;
pub mod deploy;
mod encoding;
mod error;
pub mod events;
pub mod gnosis;
mod logs;
mod read;
pub mod revert;
mod rpc;
mod scanner;
mod send;
pub mod tx;

pub use block::{BlockHash, BlockHeader, BlockTag, Log, Receipt};
pub use contract_error::ContractError;
pub use contracts::ContractAddresses;
pub use error::{ChainError, EndpointFault};
pub use events::{ChainEvent, LoggedEvent};
pub use logs::LogFilter;
pub use read::{Attempt, Call};
pub use revert::{Revert, RevertReason};
pub use rpc::{Reply, Rpc, RpcConfig, RpcCounts, Transport};
pub use scanner::{LogScanner, ScanPass};
pub use send::SendError;
pub use tx::{Fees, RawTransaction, TransactionRequest};
