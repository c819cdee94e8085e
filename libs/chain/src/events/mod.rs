//! The contracts' events: what happened to jobs, providers and payment channels.
//!
//! An event is a hint: whoever acts on one reads the state first.

pub mod channels;
mod decode;
pub mod topics;

use serde::{Deserialize, Serialize};
use t4t_types::{Address, EncryptionKey, JobId, Overlay, SwarmRef, TxHash, UnixSeconds, Xbzz};

use crate::block::BlockHash;

pub use decode::{decode, decode_logged};

/// Something that happened in the market's contracts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ChainEvent {
    /// A client posted a job.
    JobPosted {
        /// The job.
        job: JobId,
        /// Who posted it.
        client: Address,
        /// Who is to do it.
        provider: Address,
    },
    /// What a posted job says; comes with [`Self::JobPosted`], from our escrow only.
    JobTermsPosted {
        /// The job.
        job: JobId,
        /// Where the sealed request lies.
        request_hash: SwarmRef,
        /// The model as the client wrote it, cut after 1,024 bytes.
        model: String,
        /// What is in escrow.
        max_payment: Xbzz,
        /// Until when it can be claimed.
        delivery_deadline: UnixSeconds,
    },
    /// The provider acknowledged a job.
    JobAcked {
        /// The job.
        job: JobId,
    },
    /// The provider took its payment; nothing paid means that it refused.
    JobClaimed {
        /// The job.
        job: JobId,
        /// Where the sealed answer lies.
        response_hash: SwarmRef,
        /// What was paid.
        paid: Xbzz,
    },
    /// The provider refused a job; [`Self::JobCancelled`] comes with it. From our escrow only.
    JobRejected {
        /// The job.
        job: JobId,
        /// Why, as client and provider agreed.
        reason: u8,
    },
    /// A job ended without an acknowledgement, or refused.
    JobCancelled {
        /// The job.
        job: JobId,
        /// What the provider lost.
        slash: Xbzz,
    },
    /// A job ended without an answer.
    JobTimedOut {
        /// The job.
        job: JobId,
        /// What the provider lost.
        slash: Xbzz,
    },
    /// A provider came.
    ProviderRegistered {
        /// Its wallet.
        owner: Address,
    },
    /// A provider replaced its offers.
    OfferingsUpdated {
        /// Its wallet.
        owner: Address,
    },
    /// A provider is alive.
    Heartbeat {
        /// Its wallet.
        owner: Address,
        /// When it said so.
        at: UnixSeconds,
    },
    /// A provider staked more.
    StakeAdded {
        /// Its wallet.
        owner: Address,
        /// By how much.
        amount: Xbzz,
    },
    /// A provider lost stake.
    StakeSlashed {
        /// Its wallet.
        owner: Address,
        /// How much.
        amount: Xbzz,
        /// For which job.
        job: JobId,
    },
    /// A provider left.
    ProviderDeactivated {
        /// Its wallet.
        owner: Address,
    },
    /// A provider took its stake back.
    StakeWithdrawn {
        /// Its wallet.
        owner: Address,
        /// How much.
        amount: Xbzz,
    },
    /// A provider said how many jobs it works on at once.
    MaxConcurrentJobsUpdated {
        /// Its wallet.
        owner: Address,
        /// How many; zero means it does not say.
        cap: u32,
    },
    /// A provider changed its sealing key or node. From our registry only.
    KeysUpdated {
        /// Its wallet.
        owner: Address,
        /// The key that requests are sealed to from now on.
        encryption_key: EncryptionKey,
        /// Its node in Swarm from now on.
        overlay: Overlay,
    },
    /// A provider changed its description. From our registry only.
    MetadataUpdated {
        /// Its wallet.
        owner: Address,
        /// Where it lies now: any text, cut after 1,024 bytes.
        metadata_uri: String,
    },
}

/// An event and its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedEvent {
    /// What happened.
    pub event: ChainEvent,
    /// Height of the block.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: BlockHash,
    /// Place in the block; with the hash, unique.
    pub log_index: u64,
    /// The transaction.
    pub tx: TxHash,
}

impl ChainEvent {
    /// The job that it is about, if it is about one.
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::JobPosted { job, .. }
            | Self::JobTermsPosted { job, .. }
            | Self::JobAcked { job }
            | Self::JobClaimed { job, .. }
            | Self::JobRejected { job, .. }
            | Self::JobCancelled { job, .. }
            | Self::JobTimedOut { job, .. }
            | Self::StakeSlashed { job, .. } => Some(*job),
            _ => None,
        }
    }

    /// The provider whose registry entry it changes, if it changes one.
    pub fn owner(&self) -> Option<Address> {
        match self {
            Self::ProviderRegistered { owner }
            | Self::OfferingsUpdated { owner }
            | Self::Heartbeat { owner, .. }
            | Self::StakeAdded { owner, .. }
            | Self::StakeSlashed { owner, .. }
            | Self::ProviderDeactivated { owner }
            | Self::StakeWithdrawn { owner, .. }
            | Self::MaxConcurrentJobsUpdated { owner, .. }
            | Self::KeysUpdated { owner, .. }
            | Self::MetadataUpdated { owner, .. } => Some(*owner),
            _ => None,
        }
    }
}
