//! What stands in the way of serving a job safely.

use std::sync::Arc;

use t4t_api::settlement::Account;
use t4t_store::Store;

use super::intake::NotReady;
use super::offer::Offer;
use super::own_entry::OwnEntry;
use super::starting::Starting;
use super::transactions::Transactions;
use crate::carriage::Courier;
use crate::selling::problem::{Problem, SEE_DOCTOR, SharedProblem};

/// A head of the chain older than this says that this provider is cut off: it could miss an acknowledgement.
const STALE_HEAD_MS: u64 = 60_000;

/// Wei that must be there to take work on, however little gas costs now: a few hundred refusals at 72,000 gas and 1
/// gwei.
const MIN_GAS_WEI: u128 = 20_000_000_000_000_000;

/// Gas that must be there for each job that may have to be closed; what settlement sets aside for a claim.
const CLOSING_GAS: u128 = 250_000;

/// Jobs beyond those at work that may have to be refused before anybody looks.
const SPARE_REFUSALS: usize = 20;

/// Asks everything that a job needs whether it is there.
pub(super) struct Checks {
    pub(super) offer: Arc<Offer>,
    pub(super) starting: Starting,
    pub(super) courier: Arc<dyn Courier>,
    pub(super) store: Store,
    /// What those who are paid for jobs have noticed.
    pub(super) problems: Vec<SharedProblem>,
    pub(super) own_entry: Arc<OwnEntry>,
    pub(super) transactions: Transactions,
}

impl Checks {
    /// The first problem that is found; `None` if there is none.
    pub(super) async fn problem(&self) -> Result<Option<Problem>, NotReady> {
        // Models that are away stay in the shop window; a shop in which all are is closed.
        if self.offer.models().iter().all(|model| model.away) {
            // Closed now, it would refuse what comes between the first runner's word and the next look.
            if self.starting.is_now() && self.offer.has_runners_apart() {
                return Err(NotReady::Unknown("no runner has registered since the start".into()));
            }
            return Ok(Some(Problem::new("no backend answers", "start one, or correct endpoints.json")));
        }
        if let Some(trouble) = self.courier.own_trouble().await {
            return Ok(Some(Problem::new(trouble.reason, trouble.next_step)));
        }
        if let Err(error) = self.store.may_take_work().await {
            return Ok(Some(Problem::new(error.to_string(), SEE_DOCTOR)));
        }
        if let Some(problem) = self.problems.iter().find_map(SharedProblem::get) {
            return Ok(Some(problem));
        }
        let head = self.own_entry.head().await.map_err(NotReady::unknown)?;
        if head.age_ms > STALE_HEAD_MS {
            let reason = format!("the chain has told nothing for {} s", head.age_ms / 1000);
            return Ok(Some(Problem::new(reason, "check GNOSIS_RPC_URL, or name more endpoints")));
        }
        let account = self.transactions.account().await?;
        let needs = self.gas_to_close(&account).await?;
        Ok((account.xdai_wei < needs).then(|| {
            let reason = format!("the wallet {} has too little xDAI to close its jobs", account.address);
            Problem::new(reason, format!("send it at least {} xDAI", in_xdai(needs.saturating_mul(2))))
        }))
    }

    /// Wei that closing every job that is or may soon be open takes at most.
    async fn gas_to_close(&self, account: &Account) -> Result<u128, NotReady> {
        let open = self.store.selling_list_open().await.map_err(NotReady::unknown)?.len();
        let slots = usize::try_from(self.offer.slots()).unwrap_or(usize::MAX);
        let jobs = open.saturating_add(slots).saturating_add(SPARE_REFUSALS) as u128;
        Ok(account.max_fee_wei.saturating_mul(CLOSING_GAS).saturating_mul(jobs).max(MIN_GAS_WEI))
    }
}

/// Wei as people say them, to four digits after the point, rounded up.
fn in_xdai(wei: u128) -> String {
    let parts = wei.div_ceil(100_000_000_000_000);
    format!("{}.{:04}", parts / 10_000, parts % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wei_are_said_as_people_say_them_and_never_too_few() {
        assert_eq!(in_xdai(20_000_000_000_000_000), "0.0200");
        assert_eq!(in_xdai(1), "0.0001");
    }
}
