//! What a provider takes for an answer, and what that says of it.

use t4t_protocol::job::BuyingStep;
use t4t_runtime::KillPoint;
use t4t_store::buying::BuyingJob;
use t4t_types::{SwarmRef, Xbzz};

use super::super::Delivered;
use super::ledger::Ledger;
use crate::buying::trust::Trust;

/// Judges claims.
#[derive(Clone)]
pub(super) struct Claims {
    pub(super) ledger: Ledger,
    pub(super) trust: Trust,
}

impl Claims {
    pub(super) async fn acked(&self, row: &BuyingJob) {
        self.ledger.record(row, BuyingStep::Acked).await;
        KillPoint::BuyingAcked.pass();
    }

    /// A claim of nothing is a refusal, whatever lies at its hash; any other is a delivery as well.
    pub(super) async fn claimed(&self, row: &BuyingJob, response_hash: SwarmRef, paid: Xbzz) {
        // No claim takes more than there was: whoever says so would use up the day's limit with it.
        let paid = paid.min(row.max_payment);
        self.trust.charged((row.request_id, row.attempt), paid).await;
        let known = (!response_hash.is_zero()).then_some(response_hash);
        // Also where an answer was announced before: what lies there is still read.
        let is_refusal = paid.is_zero() && row.max_payment > Xbzz::ZERO;
        if let Some(announced) = row.response_hash
            && known != Some(announced)
        {
            let detail = format!("announced {announced}, claimed {response_hash}");
            self.ledger.chronicle.note(row, "claimed another answer", detail);
        }
        // What is on the chain counts, whatever was announced.
        let step = if is_refusal {
            BuyingStep::Refused { reason_at: known }
        } else {
            BuyingStep::Claimed { response_hash: known, paid }
        };
        self.ledger.record(row, step).await;
    }

    /// Notes an answer, and what was claimed for it if that is known; returns its row as it is now.
    pub(super) async fn judge(&self, delivered: &Delivered) -> Option<BuyingJob> {
        let Delivered { id, provider, answer } = delivered;
        if answer.is_empty {
            self.trust.answered_nothing(*provider, *id, answer.worth);
        } else {
            self.trust.answered(*provider, *id, answer.worth);
        }
        // Read after it was noted: a claim that came before was told to nobody.
        let newest = self.ledger.as_it_is_now(*id).await;
        if let Some(paid) = newest.as_ref().and_then(|row| row.paid) {
            self.trust.charged(*id, paid).await;
            self.ledger.settled(*provider, *id);
        }
        newest
    }
}
