//! The contracts' events: what happened to jobs and providers.
//!
//! An event is a hint: whoever acts on one reads the state first.

use serde::{Deserialize, Serialize};
use t4t_types::{Address, EncryptionKey, JobId, Overlay, SwarmRef, TxHash, UnixSeconds, Xbzz};

use crate::abi::{Garbled, Reader};
use crate::block::{BlockHash, Log};
use crate::contracts::ContractAddresses;

/// First topics of the events, by which they are known.
pub mod topics {
    /// Reads 64 hexadecimal digits while compiling.
    const fn topic(digits: &str) -> [u8; 32] {
        let digits = digits.as_bytes();
        assert!(digits.len() == 64, "a topic has 64 digits");
        let mut bytes = [0; 32];
        let mut at = 0;
        while at < 32 {
            bytes[at] = nibble(digits[2 * at]) << 4 | nibble(digits[2 * at + 1]);
            at += 1;
        }
        bytes
    }

    const fn nibble(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("a topic has lower-case hexadecimal digits"),
        }
    }

    macro_rules! topics {
        ($($name:ident $signature:literal $digits:literal)*) => {
            $(#[doc = concat!("Hash of `", $signature, "`.")]
            pub const $name: [u8; 32] = topic($digits);)*

            /// Every event: its signature and its first topic.
            pub const ALL: &[(&str, [u8; 32])] = &[$(($signature, $name)),*];
        };
    }

    topics! {
        JOB_POSTED "JobPosted(bytes32,address,address)"
            "848d785d5c7c833ed230c164ce362149c3be4f9b9e799824c43ebcf6fbafe320"
        JOB_TERMS "JobTerms(bytes32,bytes32,string,uint128,uint64)"
            "26e4d7d929d173143fdf8396927a2b725970f75ff451c2268ca854fa9af1845e"
        JOB_ACKED "JobAcked(bytes32)"
            "e535de1e6b76e49ab808a5df85654dc9068d849b8d81089adf9140c480707b6e"
        JOB_CLAIMED "JobClaimed(bytes32,bytes32,uint128)"
            "131b1f05a7bf646ddb6f05c228b90cd054526272462fcdcff9ebace47885fd5f"
        JOB_REJECTED "JobRejected(bytes32,uint8)"
            "614106adbb95ae36cc80135f1b71c7add85eef77862a50a4462ba4a578857bb4"
        JOB_CANCELLED "JobCancelled(bytes32,uint128)"
            "3db7bab34377ec1163f1260496ff53aa5d5b10b9205179541f8d740950bb1345"
        JOB_TIMED_OUT "JobTimedOut(bytes32,uint128)"
            "3a50ab2a4d6a4bd520dc9f66f3f84c533c3ae469737f9c760f126b3ec552af34"
        PROVIDER_REGISTERED "ProviderRegistered(address,bytes32)"
            "c1031a4dd6064c07b2472171c6d677b3bcf743d1606b70a16c4c9e3ebb35e30c"
        OFFERINGS_UPDATED "OfferingsUpdated(address,uint256)"
            "ae03f1c063de226677267dce86d296be21efe76ea4d0b7c229ef5d19ed487bdf"
        HEARTBEAT "Heartbeat(address,uint64)"
            "72382836110f8dba15205d0508ec794c885dfa0cf8e4a75f68386f14e19ecdc1"
        STAKE_ADDED "StakeAdded(address,uint128)"
            "4e6e7db4a0a9233b0dfa7c824f8c9e3288091a0df7abbc72ec39be802089414d"
        STAKE_SLASHED "StakeSlashed(address,uint128,bytes32)"
            "e0ff7f1eb34ea33c16699b1171a1c9dca1d13380a61a51fb271100f201f49498"
        PROVIDER_DEACTIVATED "ProviderDeactivated(address)"
            "3584a4db7306d80246748a1c4bc6188505b8053684afee0c79670dade4db205c"
        STAKE_WITHDRAWN "StakeWithdrawn(address,uint128)"
            "3d67ee64384c0db5bc8e45f280fc926384971c9473181e40ae0ae5d31e9118cd"
        MAX_CONCURRENT_JOBS_UPDATED "MaxConcurrentJobsUpdated(address,uint32)"
            "7b076385fa32534feae7a18f8c0abbbf0c21e3eee6b90a74e0f0285414a9d341"
        KEYS_UPDATED "KeysUpdated(address,bytes32,bytes32)"
            "04c945ea815607b43c4c8eba872095961ea8ea66339c27b3d60a5662fe34eab0"
        METADATA_UPDATED "MetadataUpdated(address,string)"
            "2013570c343af8ab14a9778150e381a0fda34ed6368127a95fd5e7210cbec5bf"
        ESCROW_SET "EscrowSet(address)"
            "a585aec3a6cb0e1a084ed18c7638024e40cc3e3ea815166e2cb6fc17d7f1392b"
    }
}

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

/// Reads a log; `None` if it is no event of the market, from another contract, or garbled.
pub fn decode(log: &Log, addresses: &ContractAddresses) -> Option<ChainEvent> {
    let indexed = Indexed { topics: &log.topics };
    let data = Reader::new(&log.data);
    let topic = log.topics.first()?;
    if log.address == addresses.escrow {
        return escrow_event(topic, &indexed, data)?.ok();
    }
    if log.address == addresses.registry {
        return registry_event(topic, &indexed, data)?.ok();
    }
    None
}

/// Reads a log together with its place.
pub fn decode_logged(log: &Log, addresses: &ContractAddresses) -> Option<LoggedEvent> {
    let event = decode(log, addresses)?;
    let Log { block_number, block_hash, log_index, tx, .. } = *log;
    Some(LoggedEvent { event, block_number, block_hash, log_index, tx })
}

/// The indexed values of a log.
struct Indexed<'a> {
    topics: &'a [[u8; 32]],
}

impl Indexed<'_> {
    fn word(&self, index: usize) -> Result<[u8; 32], Garbled> {
        self.topics.get(index).copied().ok_or(Garbled::new("an indexed value is missing"))
    }

    fn job(&self) -> Result<JobId, Garbled> {
        self.word(1).map(JobId::new)
    }

    fn address(&self, index: usize) -> Result<Address, Garbled> {
        Reader::new(&self.word(index)?).address()
    }
}

type Decoded = Option<Result<ChainEvent, Garbled>>;

fn escrow_event(topic: &[u8; 32], indexed: &Indexed<'_>, mut data: Reader<'_>) -> Decoded {
    let mut read = || {
        let job = indexed.job()?;
        Ok(match *topic {
            topics::JOB_POSTED => {
                ChainEvent::JobPosted { job, client: indexed.address(2)?, provider: indexed.address(3)? }
            }
            topics::JOB_TERMS => ChainEvent::JobTermsPosted {
                job,
                request_hash: data.word()?.into(),
                model: data.text()?,
                max_payment: Xbzz::from_plur(data.u128()?),
                delivery_deadline: UnixSeconds::new(data.u64()?),
            },
            topics::JOB_ACKED => ChainEvent::JobAcked { job },
            topics::JOB_CLAIMED => {
                let response_hash = data.word()?.into();
                ChainEvent::JobClaimed { job, response_hash, paid: Xbzz::from_plur(data.u128()?) }
            }
            topics::JOB_REJECTED => ChainEvent::JobRejected { job, reason: data.u8()? },
            topics::JOB_CANCELLED => ChainEvent::JobCancelled { job, slash: Xbzz::from_plur(data.u128()?) },
            topics::JOB_TIMED_OUT => ChainEvent::JobTimedOut { job, slash: Xbzz::from_plur(data.u128()?) },
            _ => return Ok(None),
        })
        .map(Some)
    };
    read().transpose()
}

fn registry_event(topic: &[u8; 32], indexed: &Indexed<'_>, mut data: Reader<'_>) -> Decoded {
    let mut read = || {
        let owner = indexed.address(1)?;
        Ok(match *topic {
            topics::PROVIDER_REGISTERED => ChainEvent::ProviderRegistered { owner },
            topics::OFFERINGS_UPDATED => ChainEvent::OfferingsUpdated { owner },
            topics::HEARTBEAT => ChainEvent::Heartbeat { owner, at: UnixSeconds::new(data.u64()?) },
            topics::STAKE_ADDED => ChainEvent::StakeAdded { owner, amount: Xbzz::from_plur(data.u128()?) },
            topics::STAKE_SLASHED => {
                let amount = Xbzz::from_plur(data.u128()?);
                ChainEvent::StakeSlashed { owner, amount, job: indexed.word(2).map(JobId::new)? }
            }
            topics::PROVIDER_DEACTIVATED => ChainEvent::ProviderDeactivated { owner },
            topics::STAKE_WITHDRAWN => ChainEvent::StakeWithdrawn { owner, amount: Xbzz::from_plur(data.u128()?) },
            topics::MAX_CONCURRENT_JOBS_UPDATED => {
                ChainEvent::MaxConcurrentJobsUpdated { owner, cap: data.u32()? }
            }
            topics::KEYS_UPDATED => ChainEvent::KeysUpdated {
                owner,
                encryption_key: data.word()?.into(),
                overlay: data.word()?.into(),
            },
            topics::METADATA_UPDATED => ChainEvent::MetadataUpdated { owner, metadata_uri: data.text()? },
            _ => return Ok(None),
        })
        .map(Some)
    };
    read().transpose()
}
