//! The dispatcher by itself: both sides on virtual time, with scripted counterparts for all that they ask.
#![cfg(test)]

mod buying;
mod rig;
mod walls;
