//! Reads the registry: its list page by page, and providers one batch at a time.

use t4t_chain::contracts::{ProviderPage, ProviderRecord, Registry, RegistryEntry};
use t4t_chain::{BlockTag, ChainError, Rpc};
use t4t_types::Address;

/// Providers that are kept at most; whoever comes after has to wait until one leaves. Each has staked 100 xBZZ.
const MAX_PROVIDERS: usize = 100_000;

/// A reading of the registry's list, which goes on page by page.
#[derive(Debug)]
pub(crate) struct Listing {
    registry: Registry,
    page: u64,
    limit: u64,
    cursor: u64,
    found: Vec<ProviderRecord>,
}

impl Listing {
    /// A reading from the beginning, `page` providers at a time.
    pub(crate) fn new(registry: Registry, page: u64) -> Self {
        let page = page.max(1);
        Self { registry, page, limit: page, cursor: 0, found: Vec::new() }
    }

    /// How many providers were found so far.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// Reads on and returns whether the end was reached. An error changes nothing.
    pub(crate) async fn read_on(&mut self, rpc: &Rpc) -> Result<bool, ChainError> {
        match self.registry.list_providers(rpc, self.cursor, self.limit).await {
            Ok(page) => Ok(self.take(page)),
            // What providers wrote may be too much for a page: smaller ones leave out none but the one to blame.
            Err(error) if is_content(&error) && self.limit > 1 => {
                self.limit = (self.limit / 4).max(1);
                Ok(false)
            }
            Err(error) if is_content(&error) => self.skip(rpc, &error).await,
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, page: ProviderPage) -> bool {
        let is_end = page.providers.is_empty() || page.next_cursor <= self.cursor;
        self.cursor = page.next_cursor;
        self.limit = (self.limit * 2).min(self.page);
        self.found.extend(page.providers.into_iter().filter(ProviderRecord::is_registered));
        if self.found.len() >= MAX_PROVIDERS {
            tracing::warn!(kept = MAX_PROVIDERS, "the registry has more providers than are kept");
        }
        is_end || self.found.len() >= MAX_PROVIDERS
    }

    async fn skip(&mut self, rpc: &Rpc, error: &ChainError) -> Result<bool, ChainError> {
        let count = self.registry.provider_count(rpc).await?;
        tracing::warn!(place = self.cursor, %error, "a provider of the registry can't be read and is left out");
        self.cursor += 1;
        Ok(self.cursor >= count)
    }

    /// What was found.
    pub(crate) fn into_found(self) -> Vec<ProviderRecord> {
        self.found
    }
}

/// Whether the answer itself is to blame, so that asking for less may help.
fn is_content(error: &ChainError) -> bool {
    matches!(
        error,
        ChainError::TooLarge { .. }
            | ChainError::Malformed { .. }
            | ChainError::Reverted(_)
            | ChainError::Answer { .. }
    )
}

/// What was read of some wallets, each with its own result.
pub(crate) type Entries = Vec<(Address, Result<RegistryEntry, ChainError>)>;

/// Reads providers as of `at`. Where all of them are too much for one answer, fewer are asked for.
pub(crate) async fn entries(
    rpc: &Rpc,
    registry: Registry,
    owners: &[Address],
    at: BlockTag,
) -> Result<Entries, ChainError> {
    let mut found = Vec::with_capacity(owners.len());
    let mut groups = vec![owners];
    while let Some(group) = groups.pop() {
        match registry.entries(rpc, group, at).await {
            Ok(entries) => found.extend(group.iter().copied().zip(entries)),
            Err(error @ ChainError::TooLarge { .. }) => match group {
                [] => {}
                [owner] => found.push((*owner, Err(error))),
                many => {
                    let (first, second) = many.split_at(many.len() / 2);
                    // The last one is taken first.
                    groups.extend([second, first]);
                }
            },
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Whether the node could not say what a provider offers, so that it has to be asked again.
pub(crate) fn offers_lost(entry: &RegistryEntry) -> bool {
    matches!(&entry.offerings, Err(error) if is_node(error))
}

/// Whether the node is to blame, and not what the contract holds.
pub(crate) fn is_node(error: &ChainError) -> bool {
    !matches!(error, ChainError::TooLarge { .. } | ChainError::Malformed { .. } | ChainError::Reverted(_))
}
