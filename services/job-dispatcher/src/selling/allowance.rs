//! What strangers' notices may cost: anybody can sign one, and each makes this provider write, look and answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use t4t_types::{Address, JobId};

/// Notices taken from one wallet in a minute: more than a busy gateway sends one provider.
const NOTICES_A_SENDER: u32 = 1200;

/// Notices taken in a minute from all wallets together: little enough that strangers can't fill the disk.
const NOTICES_A_MINUTE: u32 = 12_000;

/// The same client is told about the same job at most this often: gateways repeat a notice every five seconds.
const ANSWER_EVERY_MS: u64 = 2_000;

/// Jobs of which it is remembered when their client was told.
const ANSWERED_JOBS: usize = 4096;

/// Looks at the chain that notices may ask for while no job comes: beyond it, one a minute.
const LOOKS_IN_VAIN: u32 = 30;

const LOOK_EVERY_MS: u64 = 5_000;
const LOOK_IN_VAIN_EVERY_MS: u64 = 60_000;

/// Notices taken in the current minute.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    minute: u64,
    all: u32,
    by_sender: HashMap<Address, u32>,
}

impl Allowance {
    /// Whether another notice is taken.
    pub(super) fn take(&mut self, sender: Address, now_ms: u64) -> bool {
        let minute = now_ms / 60_000;
        if minute != self.minute {
            *self = Self { minute, ..Self::default() };
        }
        if self.all >= NOTICES_A_MINUTE {
            return false;
        }
        let own = self.by_sender.entry(sender).or_default();
        *own += 1;
        let is_allowed = *own <= NOTICES_A_SENDER;
        self.all += u32::from(is_allowed);
        is_allowed
    }
}

/// When clients were last told about their jobs, and when the chain was last looked at for one.
#[derive(Debug, Default)]
pub(super) struct Courtesy(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    answered_ms: HashMap<JobId, u64>,
    swept_ms: u64,
    looked_ms: u64,
    looks_in_vain: u32,
}

impl Courtesy {
    /// Whether a notice about a job is answered now.
    pub(super) fn may_answer(&self, job: JobId, now_ms: u64) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms.saturating_sub(last.swept_ms) >= ANSWER_EVERY_MS {
            last.swept_ms = now_ms;
            last.answered_ms.retain(|_, told_ms| now_ms.saturating_sub(*told_ms) < ANSWER_EVERY_MS);
        }
        let told_ms = last.answered_ms.get(&job).copied();
        if told_ms.is_some_and(|told_ms| now_ms.saturating_sub(told_ms) < ANSWER_EVERY_MS)
            || last.answered_ms.len() >= ANSWERED_JOBS
        {
            return false;
        }
        last.answered_ms.insert(job, now_ms);
        true
    }

    /// Whether the chain is looked at closely because of a notice.
    pub(super) fn may_look(&self, now_ms: u64) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let every = if last.looks_in_vain < LOOKS_IN_VAIN { LOOK_EVERY_MS } else { LOOK_IN_VAIN_EVERY_MS };
        if now_ms.saturating_sub(last.looked_ms) < every {
            return false;
        }
        last.looked_ms = now_ms;
        last.looks_in_vain = last.looks_in_vain.saturating_add(1);
        true
    }

    /// A job came: notices are worth a look again.
    pub(super) fn job_came(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).looks_in_vain = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_has_1200_notices_taken_a_minute_and_all_together_12000() {
        let sender = |number: u32| {
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            Address::new(bytes)
        };
        let mut allowance = Allowance::default();
        let now_ms = 60_000_000;
        let taken = (0..5000).filter(|_| allowance.take(sender(0), now_ms)).count();
        assert_eq!(taken, 1200, "of one wallet");
        let others = (0..50_000).filter(|number| allowance.take(sender(1 + number % 30), now_ms)).count();
        assert_eq!(others, 12_000 - 1200, "of all others, whatever was refused of the first");
        assert!(allowance.by_sender.len() <= 12_000, "memory is bounded");
        assert!(!allowance.take(sender(99), now_ms + 59_999), "until the minute is over");
        assert!(allowance.take(sender(0), now_ms + 60_000), "and free again");
    }

    #[test]
    fn one_job_is_answered_now_and_then_however_often_its_client_asks() {
        let courtesy = Courtesy::default();
        let job = |number: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            JobId::new(bytes)
        };
        let answers = (0..10_000).filter(|now_ms| courtesy.may_answer(job(0), 100_000 + now_ms)).count();
        assert_eq!(answers, 5, "in ten seconds");
        let answers = (1..10_000).filter(|number| courtesy.may_answer(job(*number), 200_000)).count();
        assert!(answers <= ANSWERED_JOBS, "memory is bounded: {answers}");
        assert!(courtesy.may_answer(job(1), 300_000), "and free again");
    }

    #[test]
    fn notices_without_jobs_stop_being_worth_a_look() {
        let courtesy = Courtesy::default();
        let looks = |from_ms: u64| {
            (from_ms..from_ms + 600_000).step_by(100).filter(|now| courtesy.may_look(*now)).count()
        };
        let before = looks(1_000_000);
        assert!(before < 45, "{before} looks in ten minutes");
        courtesy.job_came();
        assert!(courtesy.may_look(2_000_000));
        assert!(courtesy.may_look(2_005_000));
    }
}
