//! Swarm: chunk algorithms and a Bee client.
//!
//! Two halves. The algorithms ([`chunk`], [`soc`], [`trojan`], [`stamp`]) are pure: they compute what a Bee node
//! computes, byte for byte. The client ([`Bee`], [`Subscription`], [`StampKeeper`]) speaks a node's HTTP API with
//! bounded waits, bounded memory and bounded retries.

mod admission;
mod carrier;
pub mod chunk;
mod client;
mod error;
mod feed;
mod keccak;
mod keeper;
mod signature;
pub mod soc;
pub mod stamp;
pub mod trojan;

pub use admission::Admission;
pub use carrier::Carrier;
pub use client::{
    Bee, BeeConfig, BuyStamp, ChainState, Health, LinkState, Message, NodeAddresses, NodeInfo, NodeMode,
    NodeStatus, Patience, Sent, StampReceipt, StampState, Subscription, Upload, Wallet,
};
pub use error::{SwarmError, SwarmTrouble};
pub use feed::FeedManifest;
pub use keeper::{
    SpendingLimits, StampKeeper, StampKeeperConfig, StampSource, Standing, Upkeep, estimate_of,
};
pub use trojan::{PssPublicKey, PssSecretKey, Topic};
