//! Keeps the registry's entry in line with what is offered, and says that this provider serves.
//!
//! A heartbeat says "I serve": it is withheld while this provider can't.

use std::sync::Arc;

use t4t_api::registry_watcher::ProviderListing;
use t4t_api::settlement::RegistryIntent;
use t4t_clock::SharedClock;
use t4t_types::{Offering, TokenPrices, keccak256};

use super::intake::NotReady;
use super::offer::Offer;
use super::own_entry::OwnEntry;
use super::pace::Pace;
use super::registration::{Registration, STAKE_MARGIN};
use super::transactions::Transactions;
use crate::selling::problem::Problem;

/// Changes the entry where it differs.
pub(super) struct Publisher {
    pub(super) offer: Arc<Offer>,
    pub(super) own_entry: Arc<OwnEntry>,
    pub(super) registration: Registration,
    pub(super) transactions: Transactions,
    /// How often the entry may be changed.
    pub(super) pace: Pace,
    pub(super) clock: SharedClock,
    pub(super) heartbeat_seconds: u64,
}

impl Publisher {
    /// Brings the entry in line.
    pub(super) async fn publish(&self) -> Result<(), NotReady> {
        let Some(listing) = self.own_entry.read().await.map_err(NotReady::unknown)? else {
            return self.registration.register_if_missing().await;
        };
        self.check(&listing)?;
        let offerings = self.offer.offerings();
        if !matches_listing(&offerings, &listing) && self.pace.take(self.clock.unix_millis()) {
            self.transactions.submit("offerings", RegistryIntent::UpdateOfferings { offerings }).await?;
        }
        self.publish_slots(listing.max_concurrent_jobs).await?;
        let chain_now = self.own_entry.head().await.map_err(NotReady::unknown)?.now();
        if chain_now.since(listing.last_heartbeat) >= self.heartbeat_seconds {
            self.transactions.submit("heartbeat", RegistryIntent::Heartbeat).await?;
        }
        Ok(())
    }

    /// Whether jobs can be posted by an entry such as this one.
    fn check(&self, listing: &ProviderListing) -> Result<(), NotReady> {
        if !listing.active {
            let next_step =
                "withdraw the stake once it is free (`t4t stake`); it is registered again after that";
            return Err(NotReady::certain("this provider has left the market", next_step));
        }
        if listing.sealing_key != self.registration.sealing_key() {
            let reason = "the registry holds another encryption key than pss.key";
            let next_step =
                "restore that file, or leave (`t4t stake leave`) and register again with the new one";
            return Err(NotReady::certain(reason, next_step));
        }
        stake_problem(listing).map_or(Ok(()), |problem| Err(NotReady::Certain(problem)))
    }

    /// Publishes how many jobs are worked on at a time, where that has changed for good.
    async fn publish_slots(&self, published: u32) -> Result<(), NotReady> {
        let (slots, now_ms) = (self.offer.slots(), self.clock.unix_millis());
        // Without a slot there is nothing to say: 0 would mean that there is no limit.
        if slots == 0 || !self.pace.is_steady(slots, published, now_ms) || !self.pace.take(now_ms) {
            return Ok(());
        }
        self.transactions.submit("cap", RegistryIntent::SetMaxConcurrentJobs { cap: slots }).await
    }

    /// Leaves the market.
    pub(super) async fn leave(&self) -> Result<(), String> {
        self.registration.leave().await
    }
}

/// What is to be said of a stake with which nobody can post a job.
fn stake_problem(listing: &ProviderListing) -> Option<Problem> {
    let missing = listing.min_stake.saturating_sub(listing.stake);
    if missing.is_zero() {
        return None;
    }
    let (stake, least) = (listing.stake, listing.min_stake);
    let with_margin = missing.saturating_add(STAKE_MARGIN);
    let reason =
        format!("the stake is {stake} xBZZ, below the registry's minimum of {least}: no jobs can be posted");
    let next_step = format!(
        "stop the provider, run `t4t stake add {missing}` (better {with_margin}, so that the next burned payment does not do \
         it again), and start it"
    );
    Some(Problem::new(reason, next_step))
}

fn matches_listing(wanted: &[Offering], listing: &ProviderListing) -> bool {
    let digest = |parts: Vec<String>| keccak256(parts.join("\n"));
    let describe = |model: &str, prices: TokenPrices, context: u128| {
        format!("{model} {} {} {context}", prices.input.plur(), prices.output.plur())
    };
    let wanted =
        wanted.iter().map(|offer| describe(&offer.model, offer.prices, offer.max_context_tokens)).collect();
    let listed = listing.offerings.iter();
    let listed = listed
        .map(|offer| describe(offer.model.as_str(), offer.prices, offer.max_context_tokens.into()))
        .collect();
    digest(wanted) == digest(listed)
}

#[cfg(test)]
mod tests {
    use t4t_types::{Address, UnixSeconds, Xbzz};

    use super::*;

    fn listing(stake: Xbzz) -> ProviderListing {
        ProviderListing {
            provider: Address::new([1; 20]),
            sealing_key: [1; 32].into(),
            overlay: [1; 32].into(),
            metadata_uri: String::new(),
            stake,
            min_stake: Xbzz::from_whole(100),
            active: true,
            live: false,
            last_heartbeat: UnixSeconds::new(1),
            total_jobs: 0,
            successful_jobs: 0,
            open_jobs: 0,
            max_concurrent_jobs: 0,
            offerings: Vec::new(),
        }
    }

    #[test]
    fn a_stake_below_the_minimum_by_one_plur_is_said_with_its_remedy() {
        assert!(stake_problem(&listing(Xbzz::from_whole(100))).is_none());
        let short = Xbzz::from_whole(100).saturating_sub(Xbzz::from_plur(1));
        let problem = format!("{:?}", stake_problem(&listing(short)).unwrap());
        assert!(
            problem.contains("99.9999999999999999") && problem.contains("`t4t stake add 0.0000000000000001`")
        );
    }
}
