//! The payment channels' events.

use serde::{Deserialize, Serialize};
use t4t_types::{Address, ChannelId, ChannelSalt, UnixSeconds, VoucherContext, Xbzz};

use super::topics::channels as topics;
use crate::abi::{Garbled, Reader};
use crate::block::Log;
use crate::contracts::channels::ChannelKey;

/// Something that happened to the payment channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ChannelEvent {
    /// A payer's free balance grew by tokens of `from`.
    Deposited {
        /// Whose balance.
        payer: Address,
        /// Whose tokens.
        from: Address,
        /// How much.
        amount: Xbzz,
    },
    /// A payer's free balance fell.
    Withdrawn {
        /// Whose balance.
        payer: Address,
        /// Who got it, less the fee.
        to: Address,
        /// How much left the balance.
        amount: Xbzz,
        /// What of it is in the free balance of whoever submitted it.
        fee: Xbzz,
    },
    /// A channel was opened.
    Opened {
        /// The channel.
        id: ChannelId,
        /// What makes it.
        key: ChannelKey,
        /// What it holds.
        reserved: Xbzz,
    },
    /// A channel was topped up.
    ToppedUp {
        /// The channel.
        id: ChannelId,
        /// Who is paid.
        provider: Address,
        /// What it holds altogether.
        reserved: Xbzz,
    },
    /// A voucher was claimed.
    Claimed {
        /// The channel.
        id: ChannelId,
        /// Who was paid.
        provider: Address,
        /// What was paid altogether, not the difference.
        paid: Xbzz,
        /// What for.
        context: VoucherContext,
    },
    /// A voucher of a batch paid nothing.
    Skipped {
        /// The channel.
        id: ChannelId,
        /// Why.
        reason: Skip,
    },
    /// The payer asked to close a channel.
    CloseRequested {
        /// The channel.
        id: ChannelId,
        /// Who is paid until it is closed.
        provider: Address,
        /// From when on it may be closed.
        closing_at: UnixSeconds,
    },
    /// A channel was closed.
    Closed {
        /// The channel.
        id: ChannelId,
        /// Who was paid.
        provider: Address,
        /// What was paid altogether, a last voucher included.
        paid: Xbzz,
        /// What went back to the payer's free balance.
        released: Xbzz,
    },
}

/// Why a voucher of a batch paid nothing. The numbers are the contract's; zero is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// It is not for the provider of the batch.
    OtherProvider,
    /// The channel was never opened, or is closed.
    NotOpen,
    /// As much was paid before, or the channel holds no more.
    NothingNew,
    /// The signature is not its signer's over this voucher.
    BadSignature,
}

impl Skip {
    /// The reason with the contract's number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::OtherProvider),
            2 => Some(Self::NotOpen),
            3 => Some(Self::NothingNew),
            4 => Some(Self::BadSignature),
            _ => None,
        }
    }
}

impl ChannelEvent {
    /// Reads a log; `None` if it is no event of the channels at `contract`, or garbled.
    pub fn decode(log: &Log, contract: Address) -> Option<Self> {
        if log.address != contract {
            return None;
        }
        read(log).ok().flatten()
    }

    /// The channel that it is about, if it is about one.
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Deposited { .. } | Self::Withdrawn { .. } => None,
            Self::Opened { id, .. }
            | Self::ToppedUp { id, .. }
            | Self::Claimed { id, .. }
            | Self::Skipped { id, .. }
            | Self::CloseRequested { id, .. }
            | Self::Closed { id, .. } => Some(*id),
        }
    }
}

/// The topics of a filter for all that happens to a provider's channels. (A skipped voucher names no provider.)
pub fn of_provider(provider: Address) -> Vec<Vec<[u8; 32]>> {
    let kinds =
        vec![topics::OPENED, topics::TOPPED_UP, topics::CLAIMED, topics::CLOSE_REQUESTED, topics::CLOSED];
    vec![kinds, Vec::new(), vec![padded(provider)]]
}

/// The topics of a filter for what goes into a payer's balance and out of it.
pub fn of_payer(payer: Address) -> Vec<Vec<[u8; 32]>> {
    vec![vec![topics::DEPOSITED, topics::WITHDRAWN], vec![padded(payer)]]
}

fn read(log: &Log) -> Result<Option<ChannelEvent>, Garbled> {
    let [topic, first, rest @ ..] = log.topics.as_slice() else { return Ok(None) };
    let mut data = Reader::new(&log.data);
    let id = ChannelId::new(*first);
    if *topic == topics::SKIPPED {
        let reason = Skip::from_number(data.u8()?).ok_or(Garbled::new("a reason that is not known"))?;
        return Ok(Some(ChannelEvent::Skipped { id, reason }));
    }
    let [second, rest @ ..] = rest else { return Ok(None) };
    let (payer, second) = (Reader::new(first).address(), Reader::new(second).address()?);
    Ok(Some(match *topic {
        topics::DEPOSITED => {
            ChannelEvent::Deposited { payer: payer?, from: second, amount: amount(&mut data)? }
        }
        topics::WITHDRAWN => ChannelEvent::Withdrawn {
            payer: payer?,
            to: second,
            amount: amount(&mut data)?,
            fee: amount(&mut data)?,
        },
        topics::OPENED => {
            let [payer] = rest else { return Ok(None) };
            let key = ChannelKey {
                payer: Reader::new(payer).address()?,
                provider: second,
                signer: data.address()?,
                close_delay: data.u64()?,
                salt: ChannelSalt::new(data.word()?),
            };
            ChannelEvent::Opened { id, key, reserved: amount(&mut data)? }
        }
        topics::TOPPED_UP => ChannelEvent::ToppedUp { id, provider: second, reserved: amount(&mut data)? },
        topics::CLAIMED => ChannelEvent::Claimed {
            id,
            provider: second,
            paid: amount(&mut data)?,
            context: VoucherContext::new(data.word()?),
        },
        topics::CLOSE_REQUESTED => {
            ChannelEvent::CloseRequested { id, provider: second, closing_at: UnixSeconds::new(data.u64()?) }
        }
        topics::CLOSED => ChannelEvent::Closed {
            id,
            provider: second,
            paid: amount(&mut data)?,
            released: amount(&mut data)?,
        },
        _ => return Ok(None),
    }))
}

fn amount(data: &mut Reader<'_>) -> Result<Xbzz, Garbled> {
    data.u128().map(Xbzz::from_plur)
}

fn padded(address: Address) -> [u8; 32] {
    let mut topic = [0; 32];
    topic[12..].copy_from_slice(address.as_bytes());
    topic
}

#[cfg(test)]
#[path = "channels_tests.rs"]
mod tests;
