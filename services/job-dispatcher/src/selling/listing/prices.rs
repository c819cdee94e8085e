//! What the registry shows of this provider's prices: clients plan by it, whatever `endpoints.json` says meanwhile.

use t4t_api::registry_watcher::ListedOffering;
use t4t_panics::{Lock, LockGuard};
use t4t_types::{ModelId, TokenPrices};

/// For how long a price that the registry shows no more may be what a job was planned by: gateways read it a block or
/// two late, and post a job some seconds after they planned it.
const PLANNED_BY_MS: u64 = 120_000;

/// The prices that the registry shows, and those that it showed until a moment ago.
#[derive(Debug, Default)]
pub(super) struct ShownPrices(Lock<Option<Vec<Shown>>>);

#[derive(Debug)]
struct Shown {
    model: ModelId,
    prices: TokenPrices,
    /// When it was first seen to be gone, in milliseconds since 1970; `None` while it is there.
    gone_at_ms: Option<u64>,
}

impl Shown {
    fn may_be_planned_by(&self, now_ms: u64) -> bool {
        self.gone_at_ms.is_none_or(|gone_at_ms| now_ms.saturating_sub(gone_at_ms) < PLANNED_BY_MS)
    }
}

impl ShownPrices {
    fn shown(&self) -> LockGuard<'_, Option<Vec<Shown>>> {
        self.0.lock()
    }

    /// Whether the registry was read since the start.
    pub(super) fn are_known(&self) -> bool {
        self.shown().is_some()
    }

    /// Notes what the registry shows now.
    pub(super) fn saw(&self, offerings: &[ListedOffering], now_ms: u64) {
        let mut known = self.shown();
        let shown = known.get_or_insert_default();
        for one in shown.iter_mut() {
            let is_there =
                offerings.iter().any(|offer| offer.model == one.model && offer.prices == one.prices);
            one.gone_at_ms = if is_there { None } else { one.gone_at_ms.or(Some(now_ms)) };
        }
        shown.retain(|one| one.may_be_planned_by(now_ms));
        for offer in offerings {
            if !shown.iter().any(|one| offer.model == one.model && offer.prices == one.prices) {
                let (model, prices) = (offer.model.clone(), offer.prices);
                shown.push(Shown { model, prices, gone_at_ms: None });
            }
        }
    }

    /// What a job that is found now is billed by: nothing above a price that its client may have planned by.
    pub(super) fn billed(&self, model: &ModelId, live: TokenPrices, now_ms: u64) -> TokenPrices {
        let known = self.shown();
        let shown = known.iter().flatten().filter(|one| one.model == *model);
        shown.filter(|one| one.may_be_planned_by(now_ms)).fold(live, |lowest, one| TokenPrices {
            input: lowest.input.min(one.prices.input),
            output: lowest.output.min(one.prices.output),
        })
    }
}

#[cfg(test)]
mod tests {
    use t4t_types::Xbzz;

    use super::*;

    fn prices(input: u128, output: u128) -> TokenPrices {
        TokenPrices { input: Xbzz::from_plur(input), output: Xbzz::from_plur(output) }
    }

    fn offers(prices: TokenPrices) -> [ListedOffering; 1] {
        [ListedOffering { model: "m".parse().unwrap(), prices, max_context_tokens: 0 }]
    }

    #[test]
    fn a_raised_price_is_billed_once_the_registry_has_shown_it_for_a_while() {
        let (shown, model) = (ShownPrices::default(), "m".parse().unwrap());
        let (old, new) = (prices(3, 9), prices(5, 20));
        let billed = |now_ms| shown.billed(&model, new, now_ms);
        assert!(!shown.are_known());
        shown.saw(&offers(old), 0);
        assert!(shown.are_known());
        assert_eq!(billed(600_000), old, "raised here, and not published for ten minutes");
        shown.saw(&offers(new), 600_000);
        assert_eq!(billed(600_001), old, "planned just before");
        shown.saw(&offers(new), 650_000);
        assert_eq!(billed(600_000 + PLANNED_BY_MS), new);
        shown.saw(&offers(new), 600_000 + PLANNED_BY_MS);
        assert_eq!(shown.shown().as_ref().unwrap().len(), 1, "the old one is forgotten");
    }

    #[test]
    fn a_lowered_price_is_billed_at_once_and_other_models_are_billed_theirs() {
        let (shown, model) = (ShownPrices::default(), "m".parse().unwrap());
        shown.saw(&offers(prices(5, 20)), 0);
        assert_eq!(shown.billed(&model, prices(3, 30), 1), prices(3, 20), "each for itself");
        assert_eq!(shown.billed(&"other".parse().unwrap(), prices(9, 90), 1), prices(9, 90));
        shown.saw(&[], 1000);
        assert_eq!(shown.billed(&model, prices(6, 30), 1001), prices(5, 20), "not on offer for a moment");
        shown.saw(&offers(prices(5, 20)), 2000);
        assert_eq!(shown.billed(&model, prices(6, 30), 2000 + 2 * PLANNED_BY_MS), prices(5, 20));
    }
}
