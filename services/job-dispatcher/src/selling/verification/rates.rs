//! Rate limits of strangers' notices: anybody can sign one, and each makes this provider write, look and answer.

use std::collections::HashMap;

use t4t_panics::Lock;
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
pub(crate) struct NoticeRate(Lock<Minute>);

#[derive(Debug, Default)]
struct Minute {
    minute: u64,
    all: u32,
    by_sender: HashMap<Address, u32>,
}

impl NoticeRate {
    /// Whether another notice is taken.
    pub(crate) fn take(&self, sender: Address, now_ms: u64) -> bool {
        let mut taken = self.0.lock();
        let minute = now_ms / 60_000;
        if minute != taken.minute {
            *taken = Minute { minute, ..Minute::default() };
        }
        if taken.all >= NOTICES_A_MINUTE {
            return false;
        }
        let own = taken.by_sender.entry(sender).or_default();
        *own += 1;
        let is_allowed = *own <= NOTICES_A_SENDER;
        taken.all += u32::from(is_allowed);
        is_allowed
    }
}

/// When and how often clients were told about their jobs in answer to their notices.
#[derive(Debug, Default)]
pub(crate) struct ReplyRate(Lock<Replies>);

#[derive(Debug, Default)]
struct Replies {
    told: HashMap<JobId, Told>,
    swept_ms: u64,
}

/// When and how often a client was told about a job.
#[derive(Clone, Copy, Debug)]
struct Told {
    found_ms: u64,
    last_ms: u64,
    times: u32,
}

impl ReplyRate {
    /// Whether a notice about a job that was found at `found_ms` is answered now.
    pub(crate) fn take(&self, job: JobId, found_ms: u64, now_ms: u64) -> bool {
        let is_old = |found_ms: u64| now_ms.saturating_sub(found_ms) >= ANSWERED_FOR_MS;
        if is_old(found_ms) {
            return false;
        }
        let mut replies = self.0.lock();
        if now_ms.saturating_sub(replies.swept_ms) >= SWEEP_EVERY_MS {
            replies.swept_ms = now_ms;
            replies.told.retain(|_, told| !is_old(told.found_ms));
        }
        let has_room = replies.told.len() < ANSWERED_JOBS;
        match replies.told.get_mut(&job) {
            Some(told) => {
                if told.times >= ANSWERS_A_JOB || now_ms.saturating_sub(told.last_ms) < ANSWER_EVERY_MS {
                    return false;
                }
                told.times += 1;
                told.last_ms = now_ms;
            }
            None if !has_room => return false,
            None => {
                replies.told.insert(job, Told { found_ms, last_ms: now_ms, times: 1 });
            }
        }
        true
    }
}

/// When the chain was last looked at closely because of a notice.
#[derive(Debug, Default)]
pub(crate) struct LookRate(Lock<Looks>);

#[derive(Debug, Default)]
struct Looks {
    last_ms: u64,
    in_vain: u32,
}

impl LookRate {
    /// Whether the chain is looked at closely because of a notice.
    pub(crate) fn take(&self, now_ms: u64) -> bool {
        let mut looks = self.0.lock();
        let every = if looks.in_vain < LOOKS_IN_VAIN { LOOK_EVERY_MS } else { LOOK_IN_VAIN_EVERY_MS };
        if now_ms.saturating_sub(looks.last_ms) < every {
            return false;
        }
        looks.last_ms = now_ms;
        looks.in_vain = looks.in_vain.saturating_add(1);
        true
    }

    /// A job came: notices are worth a look again.
    pub(crate) fn job_came(&self) {
        self.0.lock().in_vain = 0;
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
        let rate = NoticeRate::default();
        let now_ms = 60_000_000;
        let taken = (0..5000).filter(|_| rate.take(sender(0), now_ms)).count();
        assert_eq!(taken, 1200, "of one wallet");
        let others = (0..50_000).filter(|number| rate.take(sender(1 + number % 30), now_ms)).count();
        assert_eq!(others, 12_000 - 1200, "of all others, whatever was refused of the first");
        assert!(rate.0.lock().by_sender.len() <= 12_000, "memory is bounded");
        assert!(!rate.take(sender(99), now_ms + 59_999), "until the minute is over");
        assert!(rate.take(sender(0), now_ms + 60_000), "and free again");
    }

    #[test]
    fn one_job_is_answered_a_few_times_however_often_its_client_asks() {
        let rate = ReplyRate::default();
        let answers = (0..10_000).filter(|now_ms| rate.take(job(0), 100_000, 100_000 + now_ms)).count();
        assert_eq!(answers, 5, "in ten seconds");
        let asked_ms = (110_000..3 * ANSWERED_FOR_MS).step_by(1000);
        let answers = asked_ms.filter(|now_ms| rate.take(job(0), 100_000, *now_ms)).count();
        assert_eq!(answers, 3, "for ever after");
    }

    #[test]
    fn what_is_remembered_of_jobs_is_bounded_and_forgotten() {
        let rate = ReplyRate::default();
        let told = |number, now_ms| rate.take(job(number), now_ms, now_ms);
        assert_eq!((0..10_000).filter(|number| told(*number, 200_000)).count(), ANSWERED_JOBS);
        assert!(told(10_000, 200_000 + ANSWERED_FOR_MS));
    }

    #[test]
    fn notices_without_jobs_stop_being_worth_a_look() {
        let rate = LookRate::default();
        let looks =
            |from_ms: u64| (from_ms..from_ms + 600_000).step_by(100).filter(|now| rate.take(*now)).count();
        let before = looks(1_000_000);
        assert!(before < 45, "{before} looks in ten minutes");
        rate.job_came();
        assert!(rate.take(2_000_000));
        assert!(rate.take(2_005_000));
    }
}
