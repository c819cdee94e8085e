//! Intents as contract calls: calldata, gas, and what each takes from the wallet.

use t4t_api::settlement::{SettlementError, TransactionIntent};
use t4t_chain::contracts::{JobOrder, Offering, Registration};
use t4t_chain::{Call, ContractAddresses};
use t4t_types::{Address, EncryptionKey, Overlay, SwarmRef, Xbzz};

use crate::error::invalid;
use crate::intent::{Intent, OwnIntent, SendFunds, Token};

/// Gas of an acknowledgement: 35,673 measured on the live contracts. What is not used is not paid.
const ACK_GAS: u64 = 80_000;

/// Gas of a claim: 110,431 measured on the live contracts after refunds of up to a fifth.
const CLAIM_GAS: u64 = 250_000;

/// Gas of a refusal: 61,832 measured on the live contracts after refunds of up to a fifth.
const REFUSE_GAS: u64 = 180_000;

/// Longest description of a provider, in bytes, as our registry has it.
const MAX_METADATA_BYTES: usize = 512;

/// What a transaction calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Contract and calldata.
    pub(crate) call: Call,
    /// Wei that go along.
    pub(crate) value: u128,
    /// Gas that is known to do, where a wrong call costs next to nothing and time counts; otherwise it is estimated.
    pub(crate) fixed_gas: Option<u64>,
    /// xBZZ that leave the wallet.
    pub(crate) spends: Xbzz,
    /// The contract that takes them by its allowance.
    pub(crate) spender: Option<Address>,
}

impl Plan {
    fn of(call: Call) -> Self {
        Self { call, value: 0, fixed_gas: None, spends: Xbzz::ZERO, spender: None }
    }

    /// A call of nothing.
    pub(crate) fn nothing(to: Address) -> Self {
        Self::of(Call { to, data: Vec::new() })
    }

    fn with_gas(call: Call, gas: u64) -> Self {
        Self { fixed_gas: Some(gas), ..Self::of(call) }
    }

    /// A call by which a contract takes `amount` from the wallet.
    fn taking(call: Call, amount: Xbzz) -> Self {
        let spender = Some(call.to);
        Self { spends: amount, spender, ..Self::of(call) }
    }

    /// What an intent calls.
    pub(crate) fn new(intent: &Intent, contracts: &ContractAddresses) -> Result<Self, SettlementError> {
        match intent {
            Intent::Asked(asked) => Self::asked(asked, contracts),
            Intent::Own(OwnIntent::Approve { spender, amount }) => {
                Ok(Self::of(contracts.token().approve(*spender, *amount)))
            }
            Intent::Own(OwnIntent::Send(send)) => Self::sending(*send, contracts),
        }
    }

    fn asked(intent: &TransactionIntent, contracts: &ContractAddresses) -> Result<Self, SettlementError> {
        use TransactionIntent as Intent;
        let (escrow, registry) = (contracts.escrow(), contracts.registry());
        Ok(match intent {
            Intent::PostJob { provider, request_hash, model, max_payment, delivery_deadline } => {
                let order = JobOrder {
                    provider: *provider,
                    request_hash: *request_hash,
                    model: model.clone(),
                    max_payment: *max_payment,
                    delivery_deadline: *delivery_deadline,
                };
                Self::taking(escrow.post_job(&order), *max_payment)
            }
            Intent::AckJob { job } => Self::with_gas(escrow.ack_job(*job), ACK_GAS),
            Intent::ClaimJob { job, response_hash, paid } => {
                Self::with_gas(escrow.claim_job(*job, *response_hash, *paid), CLAIM_GAS)
            }
            Intent::RefuseJob { job } => {
                Self::with_gas(escrow.claim_job(*job, SwarmRef::ZERO, Xbzz::ZERO), REFUSE_GAS)
            }
            Intent::CancelJob { job } => Self::of(escrow.cancel_job(*job)),
            Intent::TimeOutJob { job } => Self::of(escrow.timeout_job(*job)),
            Intent::Register { sealing_key, overlay, metadata_uri, stake } => {
                let registration = registration(*sealing_key, *overlay, metadata_uri, *stake)?;
                Self::taking(registry.register(&registration), *stake)
            }
            Intent::UpdateOfferings { offerings } => {
                let offerings = offerings.iter().map(offering).collect::<Result<Vec<_>, _>>()?;
                Self::of(registry.update_offerings(&offerings))
            }
            Intent::Heartbeat => Self::of(registry.heartbeat()),
            Intent::SetMaxConcurrentJobs { cap } => Self::of(registry.set_max_concurrent_jobs(*cap)),
            Intent::AddStake { amount } => Self::taking(registry.add_stake(*amount), *amount),
            Intent::Deactivate => Self::of(registry.deactivate()),
            Intent::WithdrawStake => Self::of(registry.withdraw_stake()),
        })
    }

    fn sending(send: SendFunds, contracts: &ContractAddresses) -> Result<Self, SettlementError> {
        let SendFunds { token, to, amount } = send;
        if to.is_zero() {
            return Err(invalid("money sent to the zero address is lost"));
        }
        Ok(match token {
            Token::Xdai => Self { value: amount, ..Self::of(Call { to, data: Vec::new() }) },
            Token::Xbzz => {
                let amount = Xbzz::from_plur(amount);
                Self { spends: amount, ..Self::of(contracts.token().transfer(to, amount)) }
            }
        })
    }
}

fn registration(
    encryption_key: EncryptionKey,
    overlay: Overlay,
    metadata_uri: &str,
    stake: Xbzz,
) -> Result<Registration, SettlementError> {
    if metadata_uri.len() > MAX_METADATA_BYTES {
        return Err(invalid(format!("metadata_uri has more than {MAX_METADATA_BYTES} bytes")));
    }
    Ok(Registration { encryption_key, overlay, metadata_uri: metadata_uri.to_owned(), stake })
}

fn offering(offer: &t4t_types::Offering) -> Result<Offering, SettlementError> {
    let context = u64::try_from(offer.max_context_tokens);
    Ok(Offering {
        model: offer.model.clone(),
        prices: offer.prices,
        max_context_tokens: context.map_err(|_| invalid("max_context_tokens is above 2^64"))?,
        max_latency_seconds: offer.max_latency_seconds,
    })
}

/// Whether the contracts see to it that doing this twice is the same as doing it once. If not, it gets a new nonce only
/// when no reorganisation can bring the old version back.
pub(crate) const fn is_harmless_twice(intent: &Intent) -> bool {
    !matches!(
        intent,
        Intent::Asked(TransactionIntent::PostJob { .. } | TransactionIntent::AddStake { .. })
            | Intent::Own(OwnIntent::Send(_))
    )
}
