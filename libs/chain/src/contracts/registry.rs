//! The registry's calls: providers, their offers, their stake.

use ethers_core::abi::Token as AbiToken;
use serde::{Deserialize, Serialize};
use t4t_types::{Address, EncryptionKey, Overlay, TokenPrices, UnixSeconds, Xbzz};

use crate::abi::{Garbled, Interface, Reader, address_token, bytes32_token, uint_token};
use crate::error::ChainError;
use crate::read::Call;
use crate::rpc::Rpc;

/// Offers of one provider that are read; what comes after is left out.
const MAX_OFFERINGS: usize = 1000;

/// Providers of one page that are read.
const MAX_PAGE: usize = 1000;

/// The registry of providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Where it is.
    pub address: Address,
}

/// What a provider says of itself when it registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The key that requests are sealed to.
    pub encryption_key: EncryptionKey,
    /// Its node in Swarm.
    pub overlay: Overlay,
    /// Where its description lies; may be empty.
    pub metadata_uri: String,
    /// What it stakes.
    pub stake: Xbzz,
}

/// A provider as the chain has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRecord {
    /// Its wallet; zero if it never registered.
    pub owner: Address,
    /// The key that requests are sealed to; the contract takes any bytes.
    pub encryption_key: EncryptionKey,
    /// Its node in Swarm.
    pub overlay: Overlay,
    /// Where its description lies: any text, cut after 1,024 bytes.
    pub metadata_uri: String,
    /// What it has at stake.
    pub stake: Xbzz,
    /// Its last sign of life.
    pub last_heartbeat: UnixSeconds,
    /// Jobs that it had.
    pub total_jobs: u32,
    /// Jobs that it was paid for.
    pub successful_jobs: u32,
    /// Whether it has not left.
    pub active: bool,
    /// Jobs that it works on at once; zero means it does not say.
    pub max_concurrent_jobs: u32,
}

/// A model that a provider offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offering {
    /// The model as the provider wrote it: may be no valid model id, and is cut after 1,024 bytes.
    pub model: String,
    /// What it costs.
    pub prices: TokenPrices,
    /// Tokens that prompt and answer may have together; zero means it does not say. Stops at the largest count.
    pub max_context_tokens: u64,
    /// Seconds within which it means to answer.
    pub max_latency_seconds: u64,
}

/// A part of the list of providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderPage {
    /// Providers, those that have left included.
    pub providers: Vec<ProviderRecord>,
    /// Where the next page begins; the same as the cursor asked with, or past the end, at the end.
    pub next_cursor: u64,
}

/// How much more a provider can take on. Our registry only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backing {
    /// Whether jobs can be posted to it.
    pub live: bool,
    /// Stake that no open job has a hold on; a job needs three times its highest payment.
    pub free: Xbzz,
}

impl Registry {
    /// Seconds after a sign of life for which a provider counts as live.
    pub const HEARTBEAT_TTL: u64 = 600;
    /// Seconds between leaving and taking the stake back.
    pub const UNBONDING_PERIOD: u64 = 2 * 24 * 60 * 60;

    fn call(&self, function: &str, arguments: &[AbiToken]) -> Call {
        Call { to: self.address, data: Interface::Registry.encode(function, arguments) }
    }

    fn extension(&self, function: &str, arguments: &[AbiToken]) -> Call {
        Call { to: self.address, data: Interface::Extensions.encode(function, arguments) }
    }

    fn owner_call(&self, function: &str, owner: Address) -> Call {
        self.call(function, &[address_token(owner)])
    }

    /// Registers the sender; the registry takes the stake from its allowance.
    pub fn register(&self, registration: &Registration) -> Call {
        let arguments = [
            bytes32_token(registration.encryption_key.as_bytes()),
            bytes32_token(registration.overlay.as_bytes()),
            AbiToken::String(registration.metadata_uri.clone()),
            uint_token(registration.stake.plur()),
        ];
        self.call("register", &arguments)
    }

    /// Replaces the sender's whole list of offers.
    pub fn update_offerings(&self, offerings: &[Offering]) -> Call {
        let tuples = offerings.iter().map(Offering::to_token).collect();
        self.call("updateOfferings", &[AbiToken::Array(tuples)])
    }

    /// Says that the sender is alive.
    pub fn heartbeat(&self) -> Call {
        self.call("heartbeat", &[])
    }

    /// Says how many jobs the sender works on at once; zero takes the statement back.
    pub fn set_max_concurrent_jobs(&self, cap: u32) -> Call {
        self.call("setMaxConcurrentJobs", &[uint_token(cap)])
    }

    /// Adds to the sender's stake; the registry takes it from its allowance.
    pub fn add_stake(&self, amount: Xbzz) -> Call {
        self.call("addStake", &[uint_token(amount.plur())])
    }

    /// Leaves the market. On a version-1 registry the wallet can never come back.
    pub fn deactivate(&self) -> Call {
        self.call("deactivate", &[])
    }

    /// Takes the stake back after the unbonding period, once no job is open.
    pub fn withdraw_stake(&self) -> Call {
        self.call("withdrawStake", &[])
    }

    /// Ties the escrow to the registry: once, by its deployer.
    pub fn set_escrow(&self, escrow: Address) -> Call {
        self.owner_call("setEscrow", escrow)
    }

    /// Changes the sender's sealing key and node. Our registry only.
    pub fn update_keys(&self, encryption_key: EncryptionKey, overlay: Overlay) -> Call {
        self.extension(
            "updateKeys",
            &[bytes32_token(encryption_key.as_bytes()), bytes32_token(overlay.as_bytes())],
        )
    }

    /// Changes the sender's description. Our registry only.
    pub fn update_metadata(&self, metadata_uri: &str) -> Call {
        self.extension("updateMetadata", &[AbiToken::String(metadata_uri.to_owned())])
    }

    /// A provider as the chain has it; all zeros if it never registered.
    pub async fn provider(&self, rpc: &Rpc, owner: Address) -> Result<ProviderRecord, ChainError> {
        let call = self.owner_call("getProvider", owner);
        super::view(rpc, call, "a provider", |mut answer| ProviderRecord::read(answer.frame()?)).await
    }

    /// The same for many providers, in few requests and in the order of the wallets.
    pub async fn providers(&self, rpc: &Rpc, owners: &[Address]) -> Result<Vec<ProviderRecord>, ChainError> {
        let calls: Vec<Call> = owners.iter().map(|owner| self.owner_call("getProvider", *owner)).collect();
        let read = |mut answer: Reader<'_>| ProviderRecord::read(answer.frame()?);
        super::views(rpc, &calls, "a provider", read).await?.into_iter().collect()
    }

    /// At most `limit` providers of the list, from the place `cursor` on.
    pub async fn list_providers(
        &self,
        rpc: &Rpc,
        cursor: u64,
        limit: u64,
    ) -> Result<ProviderPage, ChainError> {
        let call = self.call("listProviders", &[uint_token(cursor), uint_token(limit)]);
        let read = |mut answer: Reader<'_>| {
            Ok(ProviderPage {
                providers: answer.tuples(MAX_PAGE, ProviderRecord::read)?,
                next_cursor: answer.u64()?,
            })
        };
        super::view(rpc, call, "the list of providers", read).await
    }

    /// Providers that ever registered (version 1), or that are registered (ours).
    pub async fn provider_count(&self, rpc: &Rpc) -> Result<u64, ChainError> {
        let call = self.call("providerCount", &[]);
        super::view(rpc, call, "the number of providers", |mut answer| answer.u64()).await
    }

    /// What a provider offers; at most its first 1,000 offers.
    pub async fn offerings(&self, rpc: &Rpc, owner: Address) -> Result<Vec<Offering>, ChainError> {
        super::view(rpc, self.owner_call("getOfferings", owner), "offers", read_offerings).await
    }

    /// The same for many providers, in few requests; one whose offers can't be read does not spoil the others.
    pub async fn offerings_of(
        &self,
        rpc: &Rpc,
        owners: &[Address],
    ) -> Result<Vec<Result<Vec<Offering>, ChainError>>, ChainError> {
        let calls: Vec<Call> = owners.iter().map(|owner| self.owner_call("getOfferings", *owner)).collect();
        super::views(rpc, &calls, "offers", read_offerings).await
    }

    /// Jobs of a provider that are not settled.
    pub async fn open_jobs(&self, rpc: &Rpc, owner: Address) -> Result<u32, ChainError> {
        super::view(rpc, self.owner_call("openJobs", owner), "open jobs", |mut answer| answer.u32()).await
    }

    /// The same for many providers, in few requests.
    pub async fn open_jobs_of(&self, rpc: &Rpc, owners: &[Address]) -> Result<Vec<u32>, ChainError> {
        let calls: Vec<Call> = owners.iter().map(|owner| self.owner_call("openJobs", *owner)).collect();
        super::views(rpc, &calls, "open jobs", |mut answer| answer.u32()).await?.into_iter().collect()
    }

    /// Whether jobs can be posted to a provider now.
    pub async fn is_live(&self, rpc: &Rpc, owner: Address) -> Result<bool, ChainError> {
        super::view(rpc, self.owner_call("isLive", owner), "liveness", |mut answer| answer.bool()).await
    }

    /// What a provider must stake at least.
    pub async fn min_stake(&self, rpc: &Rpc) -> Result<Xbzz, ChainError> {
        let call = self.call("MIN_STAKE", &[]);
        super::view(rpc, call, "the minimum stake", |mut answer| answer.u128().map(Xbzz::from_plur)).await
    }

    /// From when on a provider that has left may take its stake back; zero while it is active.
    pub async fn unbonding_at(&self, rpc: &Rpc, owner: Address) -> Result<UnixSeconds, ChainError> {
        let call = self.owner_call("unbondingAt", owner);
        super::view(rpc, call, "the unbonding time", |mut answer| answer.u64().map(UnixSeconds::new)).await
    }

    /// How much more a provider can take on, or `None` if this is a version-1 registry.
    pub async fn backing(&self, rpc: &Rpc, owner: Address) -> Result<Option<Backing>, ChainError> {
        let call = self.extension("backing", &[address_token(owner)]);
        let read = |mut answer: Reader<'_>| {
            Ok(Backing { live: answer.bool()?, free: Xbzz::from_plur(answer.u128()?) })
        };
        super::if_present(super::view(rpc, call, "a provider's backing", read).await)
    }

    /// The escrow that is tied to the registry; zero before that.
    pub async fn escrow(&self, rpc: &Rpc) -> Result<Address, ChainError> {
        super::view(rpc, self.call("escrow", &[]), "the escrow's address", |mut answer| answer.address())
            .await
    }

    /// The token that is staked.
    pub async fn xbzz(&self, rpc: &Rpc) -> Result<Address, ChainError> {
        super::view(rpc, self.call("xbzz", &[]), "the token's address", |mut answer| answer.address()).await
    }
}

pub(super) fn read_offerings(mut answer: Reader<'_>) -> Result<Vec<Offering>, Garbled> {
    answer.tuples(MAX_OFFERINGS, Offering::read)
}

impl ProviderRecord {
    /// Whether the wallet ever registered.
    pub fn is_registered(&self) -> bool {
        !self.owner.is_zero()
    }

    pub(super) fn read(mut tuple: Reader<'_>) -> Result<Self, Garbled> {
        Ok(Self {
            owner: tuple.address()?,
            encryption_key: tuple.word()?.into(),
            overlay: tuple.word()?.into(),
            metadata_uri: tuple.text()?,
            stake: Xbzz::from_plur(tuple.u128()?),
            last_heartbeat: UnixSeconds::new(tuple.u64()?),
            total_jobs: tuple.u32()?,
            successful_jobs: tuple.u32()?,
            active: tuple.bool()?,
            max_concurrent_jobs: tuple.u32()?,
        })
    }
}

impl Offering {
    fn to_token(&self) -> AbiToken {
        AbiToken::Tuple(vec![
            AbiToken::String(self.model.clone()),
            uint_token(self.prices.input.plur()),
            uint_token(self.prices.output.plur()),
            uint_token(self.max_context_tokens),
            uint_token(self.max_latency_seconds),
        ])
    }

    fn read(mut tuple: Reader<'_>) -> Result<Self, Garbled> {
        Ok(Self {
            model: tuple.text()?,
            prices: TokenPrices {
                input: Xbzz::from_plur(tuple.u128()?),
                output: Xbzz::from_plur(tuple.u128()?),
            },
            max_context_tokens: u64::try_from(tuple.u128()?).unwrap_or(u64::MAX),
            max_latency_seconds: tuple.u64()?,
        })
    }
}
