//! Whether the node passes on what it is given: one without a way to the network takes everything, says after 30 s that all
//! is well, and nobody can read it.

use std::time::Duration;

use bytes::Bytes;
use t4t_clock::timeout;
use tracing::{info, warn};

use super::StampKeeper;
use crate::error::NO_WAY_OUT;
use crate::{SwarmError, SwarmTrouble, Upload};

/// A node that is well pushes a few chunks in some hundred milliseconds; one that finds no way tries for 30 s.
const SLOW_MS: u64 = 25_000;

/// What an upload may take beyond that for its size, in bytes a millisecond.
const BYTES_A_MILLISECOND: u64 = 100;

/// An upload that nobody waits for any more says the same once it took this long.
const GIVEN_UP_MS: u64 = 10_000;

/// How long the probe may take.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// What the probe stores: always the same, so that it takes one place of the batch, once.
const PROBE: &[u8] = b"t4t: does this node pass chunks on?";

/// An upload or a message under way. One that is dropped before its end was given up.
#[derive(Debug)]
pub(super) struct Pushing<'a> {
    keeper: &'a StampKeeper,
    began_ms: u64,
    bytes: usize,
    is_direct: bool,
    is_over: bool,
}

impl Pushing<'_> {
    /// Takes note of how it went.
    pub(super) fn end<T>(mut self, end: &Result<T, SwarmError>) {
        self.is_over = true;
        let allowed_ms = SLOW_MS.saturating_add(self.bytes as u64 / BYTES_A_MILLISECOND);
        match end {
            Ok(_) if self.is_direct && self.passed_ms() >= allowed_ms => self.keeper.stuck(&self),
            Err(SwarmError::NotPassedOn { .. }) => self.keeper.stuck(&self),
            // An answer in good time to what had to reach the network.
            Ok(_) if self.is_direct => self.keeper.set_stuck(None),
            _ => {}
        }
    }

    fn passed_ms(&self) -> u64 {
        self.keeper.bee.clock().unix_millis().saturating_sub(self.began_ms)
    }
}

impl Drop for Pushing<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.is_direct && self.passed_ms() >= GIVEN_UP_MS {
            self.keeper.stuck(self);
        }
    }
}

impl StampKeeper {
    pub(super) fn begin_push(&self, bytes: usize, upload: Upload) -> Pushing<'_> {
        let (began_ms, is_direct) = (self.bee.clock().unix_millis(), upload == Upload::Direct);
        Pushing { keeper: self, began_ms, bytes, is_direct, is_over: false }
    }

    fn stuck(&self, pushing: &Pushing<'_>) {
        let (bytes, seconds) = (pushing.bytes, pushing.passed_ms() / 1000);
        let reason = format!(
            "the Bee node {} took {seconds} s over {bytes} bytes: it does not pass chunks on to the network",
            self.bee.config().api_url.origin().ascii_serialization()
        );
        self.set_stuck(Some(SwarmTrouble::new(reason, NO_WAY_OUT)));
    }

    fn set_stuck(&self, trouble: Option<SwarmTrouble>) {
        let mut known = self.known();
        match (&known.stuck, &trouble) {
            (None, Some(trouble)) => warn!(%trouble, "nothing is begun until a probe gets through"),
            (Some(_), None) => info!("the Bee node passes chunks on again"),
            _ => {}
        }
        known.stuck = trouble;
    }

    /// Why the node passes nothing on, as far as known.
    pub fn stuck_trouble(&self) -> Option<SwarmTrouble> {
        self.known().stuck.clone()
    }

    /// Finds out whether the node passes chunks on, with one that takes one place of the batch. Takes 10 s at most.
    ///
    /// # Errors
    /// It can't be found out now: no batch, or no answer.
    pub async fn probe_outbound(&self) -> Result<Option<SwarmTrouble>, SwarmError> {
        let Some(batch) = self.batch() else { return Err(SwarmError::NoStamp) };
        let pushing = self.begin_push(PROBE.len(), Upload::Direct);
        let probing = Box::pin(self.bee.upload(&batch, Bytes::from_static(PROBE), Upload::Direct));
        match timeout(&**self.bee.clock(), PROBE_LIMIT, probing).await {
            Ok(end) => {
                pushing.end(&end);
                end?;
            }
            Err(t4t_clock::Elapsed) => drop(pushing),
        }
        Ok(self.stuck_trouble())
    }
}
