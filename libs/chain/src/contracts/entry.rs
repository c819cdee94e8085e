//! All that the registry has of a provider, read together and of one block.

use t4t_types::Address;

use crate::abi::{Garbled, Interface, Reader, address_token};
use crate::block::BlockTag;
use crate::contracts::registry::{Offering, ProviderRecord, Registry, read_offerings};
use crate::error::ChainError;
use crate::read::Call;
use crate::rpc::Rpc;

/// Views that make up an entry, in the order they are asked.
const VIEWS: [&str; 3] = ["getProvider", "getOfferings", "openJobs"];

/// All that the registry has of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistryEntry {
    /// The provider; all zeros if it is not registered.
    pub record: ProviderRecord,
    /// What it offers, or why that can't be read: what one provider wrote must not spoil the others.
    pub offerings: Result<Vec<Offering>, ChainError>,
    /// Its jobs that are not settled.
    pub open_jobs: u32,
}

impl Registry {
    /// Seconds after a sign of life for which a provider counts as live, as the contract has it.
    pub async fn heartbeat_ttl(&self, rpc: &Rpc) -> Result<u64, ChainError> {
        let data = Interface::Registry.encode("HEARTBEAT_TTL", &[]);
        let call = Call { to: self.address, data };
        super::view(rpc, call, "the time to live of a heartbeat", |mut answer| answer.u64()).await
    }

    /// Reads providers as they were at `at`, in few requests and in the order of the wallets; each has its own result.
    pub async fn entries(
        &self,
        rpc: &Rpc,
        owners: &[Address],
        at: BlockTag,
    ) -> Result<Vec<Result<RegistryEntry, ChainError>>, ChainError> {
        let calls: Vec<Call> = owners.iter().flat_map(|owner| self.entry_calls(*owner)).collect();
        let answers = rpc.eth_calls(&calls, at).await?;
        Ok(answers.chunks(VIEWS.len()).map(|answers| self.entry(answers)).collect())
    }

    fn entry_calls(&self, owner: Address) -> [Call; VIEWS.len()] {
        VIEWS.map(|view| Call {
            to: self.address,
            data: Interface::Registry.encode(view, &[address_token(owner)]),
        })
    }

    fn entry(&self, answers: &[Result<Vec<u8>, ChainError>]) -> Result<RegistryEntry, ChainError> {
        let [record, offerings, open_jobs] = answers else {
            return Err(ChainError::malformed("a provider", "an answer is missing"));
        };
        let read_record = |mut answer: Reader<'_>| ProviderRecord::read(answer.frame()?);
        Ok(RegistryEntry {
            record: self.part(record, "a provider", read_record)?,
            offerings: self.part(offerings, "offers", read_offerings),
            open_jobs: self.part(open_jobs, "open jobs", |mut answer| answer.u32())?,
        })
    }

    fn part<T>(
        &self,
        answer: &Result<Vec<u8>, ChainError>,
        what: &'static str,
        read: impl FnOnce(Reader<'_>) -> Result<T, Garbled>,
    ) -> Result<T, ChainError> {
        super::decoded(self.address, answer.as_ref().map_err(Clone::clone)?, what, read)
    }
}
