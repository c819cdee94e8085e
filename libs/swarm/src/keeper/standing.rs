//! What the batch in use can still pay for, so that nothing is begun that it can't.

use std::sync::PoisonError;

use bytes::Bytes;
use tracing::debug;

use super::{MUTABLE_DEPTH, SECONDS_A_DAY, StampKeeper};
use crate::{StampState, SwarmError, SwarmTrouble, Upload};

/// What to do where no postage batch can pay.
pub(crate) const NO_BATCH: &str =
    "give the Bee node's own wallet what `t4t doctor` names, or set POSTAGE_BATCH_ID to another batch";

/// With less time than this a batch counts as spent: what is uploaded now has to be there for as long as a job and its
/// app may take.
const LAST_SECONDS: i64 = 3600;

/// From this usage ratio on a batch that nobody dilutes is worth a word.
const FILLING: f64 = 0.9;

/// Questions to the node that may fail before it counts as gone.
const PATIENCE: u32 = 2;

/// The node is asked at most this often by those who find something amiss.
const CHECKED_EVERY_MS: u64 = 500;

/// Content of the upload that finds out whether a batch that was refused pays again: always the same, so that it takes
/// one place of the batch, once.
const PROBE: &[u8] = b"t4t: does this batch pay?";

/// What the batch in use can still pay for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Whatever comes.
    Good,
    /// Whatever comes now, but not for long.
    Ending(String),
    /// Nothing, or not for long enough.
    Spent(String),
}

/// What is known of the batch in use.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Why it pays for nothing.
    spent: Option<String>,
    /// Whether that was the node's answer to something that was to be paid.
    refused: bool,
    /// Questions in a row that the node did not answer.
    unanswered: u32,
    /// Why the node does not answer.
    silent: Option<SwarmTrouble>,
    /// Why it passes nothing on.
    pub(super) stuck: Option<SwarmTrouble>,
}

impl StampKeeper {
    pub(super) fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing can be sent or stored now, as far as known, and what to do about it; `None` if all is well.
    pub fn trouble(&self) -> Option<SwarmTrouble> {
        if self.batch().is_none() {
            let none = || SwarmTrouble::new("there is no usable postage batch", NO_BATCH);
            return Some(self.missing().unwrap_or_else(none));
        }
        let known = self.known();
        let spent = known.spent.as_ref().map(|reason| SwarmTrouble::new(reason, self.remedy()));
        known.silent.clone().or(spent).or_else(|| known.stuck.clone())
    }

    /// What a person does about a batch that pays for nothing.
    pub fn remedy(&self) -> &'static str {
        if self.config.manage && self.config.batch.is_none() {
            "send xBZZ to the Bee node's own wallet, or set POSTAGE_BATCH_ID to another batch"
        } else {
            "top it up or dilute it at the Bee node, or set POSTAGE_BATCH_ID to another batch"
        }
    }

    /// The same, but asks the node again where something was amiss, unless that was just done.
    pub async fn check(&self) -> Option<SwarmTrouble> {
        self.trouble()?;
        let mut checked_at_ms = self.checked_at_ms.lock().await;
        let now_ms = self.bee.clock().unix_millis();
        if self.batch().is_some() && now_ms.saturating_sub(*checked_at_ms) >= CHECKED_EVERY_MS {
            *checked_at_ms = now_ms;
            // What it finds is noted; where the node does not answer, what was amiss still is.
            let _standing = self.look().await;
        }
        self.trouble()
    }

    /// Asks the node how the batch in use stands. To be called every few seconds.
    ///
    /// # Errors
    /// The node can't be asked; after a second time in a row nothing counts as paid for.
    pub async fn look(&self) -> Result<Standing, SwarmError> {
        let Some(batch) = self.batch() else { return Err(SwarmError::NoStamp) };
        let asked = self.bee.stamp(&batch).await;
        let standing = match &asked {
            Ok(stamp) => self.judge(stamp),
            Err(SwarmError::NotFound(_) | SwarmError::StampUnusable { .. }) => {
                Standing::Spent(format!("the postage batch {batch} has ended, or the node does not show it"))
            }
            Err(_) => return asked.map(|_| Standing::Good).map_err(|error| self.unanswered(error)),
        };
        let standing = match standing {
            Standing::Spent(reason) => Standing::Spent(reason),
            other => self.probe_if_refused().await.map_or(other, Standing::Spent),
        };
        let mut known = self.known();
        (known.unanswered, known.silent) = (0, None);
        known.spent = match &standing {
            Standing::Spent(reason) => Some(reason.clone()),
            _ => None,
        };
        Ok(standing)
    }

    fn unanswered(&self, error: SwarmError) -> SwarmError {
        let mut known = self.known();
        known.unanswered = known.unanswered.saturating_add(1);
        if known.unanswered >= PATIENCE {
            let SwarmTrouble { reason, next_step } = SwarmTrouble::from(&error);
            known.silent =
                Some(SwarmTrouble::new(format!("the Bee node does not answer: {reason}"), next_step));
        }
        error
    }

    fn judge(&self, stamp: &StampState) -> Standing {
        let batch = stamp.batch_id;
        let is_full = stamp.usage_ratio() >= 1.0;
        let knows_end = stamp.ttl_seconds >= 0;
        match () {
            () if !stamp.usable || !stamp.exists => {
                Standing::Spent(format!("the postage batch {batch} is not usable"))
            }
            () if knows_end && stamp.ttl_seconds < LAST_SECONDS => Standing::Spent(format!(
                "the postage batch {batch} ends in {} minutes, sooner than a job's answer may be fetched",
                stamp.ttl_seconds / 60
            )),
            () if is_full && stamp.immutable && !self.may_dilute(stamp) => {
                Standing::Spent(format!("the postage batch {batch} is full"))
            }
            () if !stamp.immutable && stamp.depth >= MUTABLE_DEPTH && !self.lacks_days(stamp) => {
                Standing::Good
            }
            () if is_full && !self.may_dilute(stamp) => Standing::Ending(format!(
                "the postage batch {batch} is full and lets go of its oldest content"
            )),
            () if stamp.usage_ratio() >= FILLING && !self.may_dilute(stamp) => {
                Standing::Ending(format!("the postage batch {batch} is nearly full"))
            }
            () if self.lacks_days(stamp) => Standing::Ending(format!(
                "the postage batch {batch} ends in {} hours",
                stamp.ttl_seconds.saturating_mul(24) / SECONDS_A_DAY
            )),
            () => Standing::Good,
        }
    }

    /// Whether a full batch is diluted by itself.
    fn may_dilute(&self, stamp: &StampState) -> bool {
        self.config.manage && !self.config.dry_run && stamp.depth < self.deepest(stamp)
    }

    /// Takes note of what came of something that was to be paid.
    pub(super) fn note<T>(&self, paid: &Result<T, SwarmError>) {
        let refused = match paid {
            Ok(_) => return,
            Err(error @ (SwarmError::StampFull(_) | SwarmError::StampUnusable { .. })) => error.to_string(),
            Err(_) => return,
        };
        let mut known = self.known();
        (known.spent, known.refused) = (Some(refused), true);
    }

    /// After a refusal, finds out whether the batch pays again; why it does not, if it does not.
    async fn probe_if_refused(&self) -> Option<String> {
        if !self.known().refused {
            return None;
        }
        let batch = self.batch()?;
        match self.bee.upload(&batch, Bytes::from_static(PROBE), Upload::Deferred).await {
            Err(error @ (SwarmError::StampFull(_) | SwarmError::StampUnusable { .. })) => {
                debug!(%batch, %error, "the batch still does not pay");
                Some(error.to_string())
            }
            _ => {
                self.known().refused = false;
                None
            }
        }
    }
}
