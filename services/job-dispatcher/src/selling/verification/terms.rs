//! Whether a job is worth taking: pure, from what the chain says.

use t4t_types::{Address, JobStatus, JobTerms, ModelId, UnixSeconds, Xbzz};

/// What the operator demands of a job's terms.
#[derive(Clone, Debug)]
pub(crate) struct JobLimits {
    /// Payments below this are refused, unless a short answer to a short prompt costs no more here: the gas of a claim
    /// costs more.
    pub(crate) min_payment: Xbzz,
    /// Jobs that leave less time than this, in chain seconds, are refused.
    pub(crate) min_delivery_seconds: u64,
    /// Jobs with deadlines farther off than this, in chain seconds, are refused: they would bind the stake.
    pub(crate) max_delivery_seconds: u64,
}

/// What to do with a job found on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Serve it.
    Serve(ModelId),
    /// Close it with a claim of nothing, before it costs stake.
    Refuse(String),
    /// It is not ours, or it is over.
    Ignore,
}

/// Judges a job by its terms on the chain, which are all that counts.
pub(super) fn judge(
    terms: &JobTerms,
    provider: Address,
    chain_now: UnixSeconds,
    limits: &JobLimits,
    (least_payment, most_payment): (Xbzz, Xbzz),
    offers: impl Fn(&ModelId) -> bool,
) -> Verdict {
    let refuse = |reason: &str| Verdict::Refuse(reason.to_owned());
    // Past its deadline a job can't be claimed any more, not even for nothing.
    if terms.provider != provider || !terms.status.is_open() || chain_now > terms.delivery_deadline {
        return Verdict::Ignore;
    }
    if terms.status == JobStatus::Acked {
        // Acknowledged, and no row says by whom: an earlier database is lost. Without it nothing can be delivered twice.
        return refuse("acknowledged by an earlier run that left no record");
    }
    if terms.max_payment < least_payment {
        return refuse("the payment is below the smallest that is served");
    }
    if terms.max_payment > most_payment {
        return refuse("the payment is above what any answer costs, and so is the stake that it binds");
    }
    let Ok(model) = terms.model.parse::<ModelId>() else { return refuse("the model's name is not one") };
    if !offers(&model) {
        return refuse("no backend serves the model");
    }
    if chain_now >= terms.ack_deadline {
        return refuse("found too late to acknowledge it");
    }
    let left = terms.delivery_deadline.since(chain_now);
    if left < limits.min_delivery_seconds {
        return refuse("the deadline is too near");
    }
    if left > limits.max_delivery_seconds {
        return refuse("the deadline is too far off");
    }
    Verdict::Serve(model)
}

/// Blocks after which a job's deadline may honestly have passed: a minute's. A deadline is later than the acknowledgement's
/// window of 30 s.
const RECENT_BLOCKS: u64 = 12;

/// Whether these can't be the terms of a job of which the chain told, `blocks_ago`, that it was posted to `provider`.
/// The event and the terms may come from different endpoints, and one of them may lie.
pub(super) fn contradicts(
    terms: &JobTerms,
    provider: Address,
    chain_now: UnixSeconds,
    blocks_ago: u64,
) -> bool {
    let is_past = chain_now > terms.delivery_deadline;
    terms.status.is_open() && (terms.provider != provider || (is_past && blocks_ago <= RECENT_BLOCKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Address = Address::new([1; 20]);

    fn good() -> JobTerms {
        JobTerms {
            client: Address::new([2; 20]),
            provider: US,
            model: "m".into(),
            max_payment: Xbzz::from_plur(2_000_000_000_000),
            posted_at: UnixSeconds::new(1000),
            ack_deadline: UnixSeconds::new(1030),
            delivery_deadline: UnixSeconds::new(1900),
            status: JobStatus::Pending,
            ..JobTerms::default()
        }
    }

    fn verdict(terms: &JobTerms) -> Verdict {
        let offers = |model: &ModelId| model.as_str() == "m";
        let limits = JobLimits {
            min_payment: Xbzz::from_plur(1_000_000_000_000),
            min_delivery_seconds: 40,
            max_delivery_seconds: 3600,
        };
        judge(terms, US, UnixSeconds::new(1002), &limits, (limits.min_payment, Xbzz::from_whole(5)), offers)
    }

    fn with(change: impl FnOnce(&mut JobTerms)) -> Verdict {
        let mut terms = good();
        change(&mut terms);
        verdict(&terms)
    }

    #[test]
    fn good_terms_are_served() {
        assert_eq!(verdict(&good()), Verdict::Serve("m".parse().unwrap()));
    }

    #[test]
    fn somebody_elses_and_settled_jobs_are_left_alone() {
        assert_eq!(with(|terms| terms.provider = Address::ZERO), Verdict::Ignore);
        for status in [JobStatus::None, JobStatus::Claimed, JobStatus::Cancelled, JobStatus::TimedOut] {
            assert_eq!(with(|terms| terms.status = status), Verdict::Ignore);
        }
    }

    /// What the judge ignores of an open job that has just been posted to us is a lie, not a reason to look away.
    #[test]
    fn an_open_job_of_ours_is_never_ignored_on_the_word_of_one_endpoint() {
        let lies = [
            JobTerms { provider: Address::ZERO, ..good() },
            JobTerms { delivery_deadline: UnixSeconds::new(1001), ..good() },
            JobTerms { delivery_deadline: UnixSeconds::new(0), ..good() },
            JobTerms { provider: Address::ZERO, status: JobStatus::Acked, ..good() },
        ];
        for lie in lies {
            assert_eq!(verdict(&lie), Verdict::Ignore);
            assert!(contradicts(&lie, US, UnixSeconds::new(1002), 1), "{lie:?}");
        }
        assert!(!contradicts(&good(), US, UnixSeconds::new(1002), 1));
        let (old, over) = (UnixSeconds::new(5000), JobTerms { status: JobStatus::Claimed, ..good() });
        assert!(
            !contradicts(&good(), US, old, RECENT_BLOCKS + 1),
            "posted long ago, and nobody took it back"
        );
        assert!(!contradicts(&over, Address::ZERO, old, 1), "settled");
    }

    #[test]
    fn whatever_could_cost_stake_is_refused() {
        let refused = [
            with(|terms| terms.max_payment = Xbzz::ZERO),
            with(|terms| terms.max_payment = Xbzz::from_plur(1)),
            with(|terms| terms.max_payment = Xbzz::from_whole(6)),
            with(|terms| terms.model = "other".into()),
            with(|terms| terms.model = String::new()),
            with(|terms| terms.model = "m\n".into()),
            with(|terms| terms.delivery_deadline = UnixSeconds::new(1031)),
            with(|terms| terms.delivery_deadline = UnixSeconds::new(1002)),
            with(|terms| terms.delivery_deadline = UnixSeconds::new(u64::MAX)),
            with(|terms| terms.ack_deadline = UnixSeconds::new(1002)),
            with(|terms| terms.status = JobStatus::Acked),
        ];
        for verdict in refused {
            assert!(matches!(verdict, Verdict::Refuse(_)), "{verdict:?}");
        }
    }
}
