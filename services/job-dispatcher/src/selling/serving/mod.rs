//! Serving a job that is payable: fetch its request, open it, have a runner answer, hand the answer's pieces on.
//!
//! It knows no payment. A job is a [`JobRef`](t4t_types::JobRef) here, with a [`Task`] that says until when its answer is
//! of use and how many completion tokens are paid for. What becomes of the pieces is the [`PieceSink`]'s: version 1
//! collects them ([`Whole`]) and seals them; who is paid as they leave hands them on.

mod fetcher;
mod run;
mod seal;
mod sink;

pub(crate) use fetcher::{FetchError, Fetcher, Opened};
pub(crate) use run::{Serving, Task, away};
pub(crate) use seal::{declined, seal_answer};
pub(crate) use sink::{PieceSink, Whole};
