//! The domain's values: amounts, ids, references, prices and token counts.
//!
//! Parsing and arithmetic only; no I/O. Everything past an edge (HTTP, chain, SQL, configuration) is one of these
//! types and never a bare string or integer.

mod address;
mod amount;
mod bytes32;
mod hash;
mod job;
mod job_ref;
mod model_id;
mod price;
mod time;
mod wei;

pub use address::{Address, ParseAddressError};
pub use amount::{ParseXbzzError, Xbzz};
pub use bytes32::{
    BatchId, ChannelId, ChannelSalt, EncryptionKey, JobId, Overlay, ParseBytes32Error, RequestId, RoutingId,
    SwarmRef, TxHash, VoucherContext,
};
pub use hash::keccak256;
pub use job::{JobStatus, JobTerms, Offering};
pub use job_ref::{JobRef, ParseJobRefError};
pub use model_id::{ModelId, ParseModelIdError};
pub use price::{TokenPrices, TokenUsage};
pub use time::{BLOCK_SECONDS, UnixSeconds};
pub use wei::Wei;
