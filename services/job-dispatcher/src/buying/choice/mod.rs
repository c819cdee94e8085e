//! Choosing a provider for an attempt: what the directory lists, less what may not be asked, within the bounds; then one
//! that has a slot, and money that is kept for it.

mod bounds;
mod select;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use t4t_api::job_dispatcher::{BuyingError, BuyingProgress};
use t4t_api::registry_watcher::Candidate;
use t4t_clock::SharedClock;
use t4t_crypto::random_bytes;
use t4t_types::{Address, ModelId, Xbzz};

pub use self::bounds::Bounds;
use self::bounds::Known;
pub(super) use self::bounds::Offer;
pub use self::select::Strategy;
use self::select::{Choice, Chosen};
use super::attempt::AttemptId;
use super::capacity::{Capacity, Reservation};
use super::listing::Listing;
use super::log::PurchaseLog;
use super::pricing::Pricing;
use super::spend::{Hold, OverLimit, Spend};
use super::trust::{Standing, Trust};
use super::wanted::Wanted;

/// For this part of the wait, a provider is taken for full because of others' open jobs, and a stranger is not asked
/// while a known one is busy. Anybody can post jobs that are not served, for gas; a provider that is full indeed lets a
/// job wait, and refuses it if no slot becomes free.
const PATIENT_PART: u32 = 2;

/// Of a day's limit, one provider may have this part at a time.
const CREDIT_PARTS: u128 = 4;

/// How often it is listed anew meanwhile, in milliseconds: what the chain shows changes with its blocks, what this gateway
/// has in flight at once.
const LIST_AGAIN_MS: u64 = 500;

/// How often a busy market is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// An offer that was chosen, with a slot and money for it.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) offer: Offer,
    pub(super) slot: Reservation,
    pub(super) hold: Hold,
}

/// What may be bought now.
struct Market {
    offers: Vec<Offer>,
    /// When the next provider that rests may be asked again.
    rested_in_ms: Option<u64>,
}

/// What earlier tries of a request say to choice.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// The newest attempt's number: each has one of its own, also over restarts.
    pub(super) last: u32,
    /// Who was asked.
    pub(super) providers: HashSet<Address>,
    /// What is too dear now, and what to tell the app if nothing else is left.
    pub(super) dear: Option<(Xbzz, BuyingError)>,
}

impl Tried {
    /// Whether an offer was found to be too dear.
    fn is_too_dear(&self, offer: &Offer) -> bool {
        self.dear.as_ref().is_some_and(|(needs, _)| offer.needs >= *needs)
    }
}

/// Chooses among the providers of a model.
pub(super) struct Chooser {
    listing: Listing,
    pricing: Arc<dyn Pricing>,
    trust: Trust,
    capacity: Capacity,
    spend: Spend,
    clock: SharedClock,
    config: ChoiceConfig,
}

/// What the operator says of choice.
#[derive(Clone, Debug)]
pub(super) struct ChoiceConfig {
    pub(super) strategy: Strategy,
    pub(super) bounds: Bounds,
    /// How often whoever waits is told.
    pub(super) poll: Duration,
}

impl Chooser {
    pub(super) fn new(
        config: ChoiceConfig,
        (listing, pricing): (Listing, Arc<dyn Pricing>),
        (trust, capacity, spend): (Trust, Capacity, Spend),
        clock: SharedClock,
    ) -> Self {
        Self { listing, pricing, trust, capacity, spend, clock, config }
    }

    /// Chooses a provider that was not tried and takes one of its slots for the attempt; waits while all are busy.
    pub(super) async fn select(
        &self,
        wanted: &Wanted<'_>,
        tries: &mut Tried,
        log: &PurchaseLog,
        wait: Duration,
    ) -> Result<Selected, BuyingError> {
        let waiting_since = self.clock.unix_millis();
        let (mut told_at, mut over_limit) = (None, None);
        let mut listed = (waiting_since, self.listing.of(&wanted.call.model).await?);
        loop {
            let now_ms = self.clock.unix_millis();
            let waited = Duration::from_millis(now_ms.saturating_sub(waiting_since));
            let is_patient = wait.is_zero() || waited < wait / PATIENT_PART;
            if now_ms.saturating_sub(listed.0) >= LIST_AGAIN_MS {
                listed = (now_ms, self.listing.of(&wanted.call.model).await?);
            }
            let market = self.market(wanted, listed.1.clone(), &tries.providers, is_patient)?;
            let left = market.offers.iter().filter(|offer| {
                !tries.providers.contains(&offer.known.candidate.provider) && !tries.is_too_dear(offer)
            });
            let left: Vec<&Offer> = left.collect();
            // Only the first try finds out what strangers are worth: three that refuse would end the request.
            if let Some(chosen) = self.choose(&left, is_patient, tries.last == 0)? {
                let needs = chosen.offer.needs;
                match self.spend.hold(needs, chosen.explores) {
                    Ok(hold) => match self.reserve(chosen.offer, ((wanted.call.id, tries.last + 1), needs)) {
                        Some(slot) => return Ok(Selected { offer: chosen.offer.clone(), slot, hold }),
                        // Another request took the last slot just now.
                        None => continue,
                    },
                    Err(over @ OverLimit::Today { .. }) => {
                        tries.dear = Some((needs, self.day_limit(needs, over)));
                        continue;
                    }
                    Err(over @ OverLimit::InFlight) => over_limit = Some(self.day_limit(needs, over)),
                }
            }
            let busy = u32::try_from(left.len()).unwrap_or(u32::MAX);
            let left_ms = u64::try_from(wait.saturating_sub(waited).as_millis()).unwrap_or(u64::MAX);
            let may_wait = busy > 0 || market.rested_in_ms.is_some_and(|rested| rested <= left_ms);
            if !may_wait || waited >= wait || !log.is_wanted() {
                let dear = tries.dear.as_ref().filter(|_| busy == 0).map(|(_, error)| error.clone());
                return Err(dear.or(over_limit).unwrap_or_else(|| self.all_busy(wanted, &market)));
            }
            if told_at.is_none_or(|told_at| waited.saturating_sub(told_at) >= self.config.poll) {
                log.push(BuyingProgress::Waiting { busy });
                told_at = Some(waited);
            }
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }

    fn choose<'a>(
        &self,
        left: &[&'a Offer],
        is_patient: bool,
        is_first: bool,
    ) -> Result<Option<Chosen<'a>>, BuyingError> {
        let has_slot = |offer: &&&Offer| {
            let (candidate, credit) = (&offer.known.candidate, self.credit(offer));
            !self.capacity.fills(candidate, credit, offer.needs) && (offer.is_usual || !is_patient)
        };
        let (behind, good): (Vec<&Offer>, Vec<&Offer>) =
            left.iter().filter(has_slot).copied().partition(|offer| offer.known.is_behind);
        let knows_one = is_patient && left.iter().any(|offer| offer.is_known() && !offer.known.is_behind);
        let dice = random_bytes()
            .map(u64::from_be_bytes)
            .map_err(|error| BuyingError::Unavailable { reason: error.to_string() })?;
        let may_explore = |offer: &Offer| is_first && self.spend.may_explore(offer.needs);
        let strategy = &self.config.strategy;
        let chosen = Choice { strategy, free: &good, knows_one, may_explore, dice }.choose();
        // While a known one is waited for, nobody who failed lately takes its place.
        if chosen.is_some() || knows_one {
            return Ok(chosen);
        }
        Ok(Choice { strategy, free: &behind, knows_one: false, may_explore, dice }.choose())
    }

    fn reserve(&self, offer: &Offer, job: (AttemptId, Xbzz)) -> Option<Reservation> {
        self.capacity.reserve(&offer.known.candidate, self.credit(offer), job)
    }

    /// How much money of this gateway a provider may have at a time, in escrow or claimed unseen: a stranger what one
    /// request may cost, so that whoever takes payments for nothing takes no more. Whoever served well for long and then
    /// takes all takes a part of a day's money.
    fn credit(&self, offer: &Offer) -> Xbzz {
        let of_a_day = Xbzz::from_plur(self.spend.limit().plur() / CREDIT_PARTS);
        if offer.is_known() { of_a_day } else { self.config.bounds.escrow_ceiling.min(of_a_day) }
    }

    fn day_limit(&self, needs: Xbzz, over: OverLimit) -> BuyingError {
        let limit = self.spend.limit();
        match over {
            OverLimit::InFlight => BuyingError::Unavailable {
                reason: format!(
                    "what is in flight uses up the {limit} xBZZ that may be spent in a day (T4T_MAX_SPEND_PER_DAY)"
                ),
            },
            OverLimit::Today { spent, resets_in_s } => {
                BuyingError::DayLimit { limit, spent, needs, resets_in_s }
            }
        }
    }

    fn all_busy(&self, wanted: &Wanted<'_>, market: &Market) -> BuyingError {
        let rested_in_s = market.rested_in_ms.map(|rested| rested.div_ceil(1000));
        let retry_after_s = rested_in_s.unwrap_or(self.config.poll.as_secs()).max(1);
        BuyingError::AllBusy { model: wanted.call.model.clone(), retry_after_s }
    }

    /// What may be bought now. Without `is_patient`, others' open jobs don't count.
    fn market(
        &self,
        wanted: &Wanted<'_>,
        mut listed: Vec<Candidate>,
        tried: &HashSet<Address>,
        is_patient: bool,
    ) -> Result<Market, BuyingError> {
        let model = &wanted.call.model;
        if !is_patient {
            listed.iter_mut().for_each(|candidate| candidate.open_jobs = 0);
        }
        let (mut known, mut barred_ms, mut rested_in_ms) = (Vec::with_capacity(listed.len()), None, None);
        let sooner = |one: &mut Option<u64>, ms: u64| *one = Some(one.map_or(ms, |one| one.min(ms)));
        for candidate in listed {
            let is_behind = match self.trust.standing(candidate.provider) {
                Standing::Good => false,
                Standing::Behind => true,
                // Who was tried for this request is not waited for.
                Standing::Resting { .. } if tried.contains(&candidate.provider) => continue,
                Standing::Resting { for_ms } => {
                    sooner(&mut rested_in_ms, for_ms);
                    continue;
                }
                Standing::Barred { for_ms } => {
                    sooner(&mut barred_ms, for_ms);
                    continue;
                }
            };
            let answered = self.trust.answers(candidate.provider, candidate.prices.combined());
            known.push(Known { candidate, answered, is_behind });
        }
        if known.is_empty() {
            return match barred_ms.filter(|_| rested_in_ms.is_none()) {
                Some(for_ms) => Err(all_barred(model, for_ms)),
                None => Ok(Market { offers: Vec::new(), rested_in_ms }),
            };
        }
        let bounds = &self.config.bounds;
        let offers = bounds.offers(&*self.pricing, wanted.demand, known);
        if offers.is_err() && rested_in_ms.is_some() {
            // Whoever rests may be within the bounds.
            return Ok(Market { offers: Vec::new(), rested_in_ms });
        }
        Ok(Market {
            offers: offers
                .map_err(|why| why.into_error(model, bounds.price_ceiling, bounds.escrow_ceiling))?,
            rested_in_ms,
        })
    }
}

fn all_barred(model: &ModelId, for_ms: u64) -> BuyingError {
    let minutes = for_ms.div_ceil(60_000);
    let reason = format!(
        "every provider of {model} took a payment and gave no answer; the first is asked again in {minutes} min"
    );
    BuyingError::Unavailable { reason }
}
