//! The dispatcher by itself: both sides on virtual time, with scripted counterparts for all that they ask.
#![cfg(test)]

mod buying;
// Both need what builds without debug assertions leave out: kill points, and a pretended disk.
#[cfg(debug_assertions)]
mod crashes;
#[cfg(debug_assertions)]
mod disk;
mod market;
mod paying;
mod reorganisations;
#[allow(dead_code, reason = "benches use what the tests do not")]
mod rig;
mod selling;
mod serving;
mod walls;
