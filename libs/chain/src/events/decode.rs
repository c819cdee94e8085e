//! Reading events out of logs.

use t4t_types::{Address, JobId, UnixSeconds, Xbzz};

use super::{ChainEvent, LoggedEvent, topics};
use crate::abi::{Garbled, Reader};
use crate::block::Log;
use crate::contracts::ContractAddresses;

/// Reads a log; `None` if it is no event of the market, from another contract, or garbled.
pub fn decode(log: &Log, addresses: &ContractAddresses) -> Option<ChainEvent> {
    let indexed = Indexed { topics: &log.topics };
    let data = Reader::new(&log.data);
    let topic = log.topics.first()?;
    if log.address == addresses.escrow {
        return escrow_event(topic, &indexed, data).ok().flatten();
    }
    if log.address == addresses.registry {
        return registry_event(topic, &indexed, data).ok().flatten();
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

/// `None` is an event that nobody here needs.
type Decoded = Result<Option<ChainEvent>, Garbled>;

fn escrow_event(topic: &[u8; 32], indexed: &Indexed<'_>, mut data: Reader<'_>) -> Decoded {
    let job = indexed.job()?;
    Ok(Some(match *topic {
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
    }))
}

fn registry_event(topic: &[u8; 32], indexed: &Indexed<'_>, mut data: Reader<'_>) -> Decoded {
    let owner = indexed.address(1)?;
    Ok(Some(match *topic {
        topics::PROVIDER_REGISTERED => ChainEvent::ProviderRegistered { owner },
        topics::OFFERINGS_UPDATED => ChainEvent::OfferingsUpdated { owner },
        topics::HEARTBEAT => ChainEvent::Heartbeat { owner, at: UnixSeconds::new(data.u64()?) },
        topics::STAKE_ADDED => ChainEvent::StakeAdded { owner, amount: Xbzz::from_plur(data.u128()?) },
        topics::STAKE_SLASHED => {
            let amount = Xbzz::from_plur(data.u128()?);
            ChainEvent::StakeSlashed { owner, amount, job: indexed.word(2).map(JobId::new)? }
        }
        topics::PROVIDER_DEACTIVATED => ChainEvent::ProviderDeactivated { owner },
        topics::STAKE_WITHDRAWN => {
            ChainEvent::StakeWithdrawn { owner, amount: Xbzz::from_plur(data.u128()?) }
        }
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
    }))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
