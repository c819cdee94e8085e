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

/// How often a client is told about a job in answer to its notices: a gateway repeats one six times. Each message is mined,
/// stamped and paid for, and falls where the asker says.
const ANSWERS_A_JOB: u32 = 8;

/// How long after a job was found notices about it are answered; the chain tells the same.
const ANSWERED_FOR_MS: u64 = 30 * 60_000;

/// Jobs of which it is remembered when their client was told.
const ANSWERED_JOBS: usize = 4096;

/// How often old jobs are forgotten.
const SWEEP_EVERY_MS: u64 = 60_000;

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
    told: HashMap<JobId, Told>,
    swept_ms: u64,
    looked_ms: u64,
    looks_in_vain: u32,
}

/// When and how often a client was told about a job.
#[derive(Clone, Copy, Debug)]
struct Told {
    found_ms: u64,
    last_ms: u64,
    times: u32,
}

impl Courtesy {
    /// Whether a notice about a job that was found at `found_ms` is answered now.
    pub(super) fn may_answer(&self, job: JobId, found_ms: u64, now_ms: u64) -> bool {
        let is_old = |found_ms: u64| now_ms.saturating_sub(found_ms) >= ANSWERED_FOR_MS;
        if is_old(found_ms) {
            return false;
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms.saturating_sub(last.swept_ms) >= SWEEP_EVERY_MS {
            last.swept_ms = now_ms;
            last.told.retain(|_, told| !is_old(told.found_ms));
        }
        let has_room = last.told.len() < ANSWERED_JOBS;
        match last.told.get_mut(&job) {
            Some(told) => {
                if told.times >= ANSWERS_A_JOB || now_ms.saturating_sub(told.last_ms) < ANSWER_EVERY_MS {
                    return false;
                }
                told.times += 1;
                told.last_ms = now_ms;
            }
            None if !has_room => return false,
            None => {
                last.told.insert(job, Told { found_ms, last_ms: now_ms, times: 1 });
            }
        }
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

    fn job(number: u32) -> JobId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        JobId::new(bytes)
    }

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
    fn one_job_is_answered_a_few_times_however_often_its_client_asks() {
        let courtesy = Courtesy::default();
        let answers =
            (0..10_000).filter(|now_ms| courtesy.may_answer(job(0), 100_000, 100_000 + now_ms)).count();
        assert_eq!(answers, 5, "in ten seconds");
        let asked_ms = (110_000..3 * ANSWERED_FOR_MS).step_by(1000);
        let answers = asked_ms.filter(|now_ms| courtesy.may_answer(job(0), 100_000, *now_ms)).count();
        assert_eq!(answers, 3, "for ever after");
    }

    #[test]
    fn what_is_remembered_of_jobs_is_bounded_and_forgotten() {
        let courtesy = Courtesy::default();
        let told = |number, now_ms| courtesy.may_answer(job(number), now_ms, now_ms);
        assert_eq!((0..10_000).filter(|number| told(*number, 200_000)).count(), ANSWERED_JOBS);
        assert!(told(10_000, 200_000 + ANSWERED_FOR_MS));
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
