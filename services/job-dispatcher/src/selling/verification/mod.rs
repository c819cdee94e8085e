//! What is judged before a job is taken: its terms on the chain, its request, and how often strangers may ask.
//!
//! It knows what is on offer (listing). Whoever asks acts on the verdict.

mod rates;
mod request;
mod terms;
mod verifier;

pub(crate) use rates::{LookRate, NoticeRate, ReplyRate};
pub(crate) use request::{Request, RequestError, UNDERPAID, check_request};
pub(crate) use terms::{JobLimits, Verdict};
pub(crate) use verifier::{Told, Unverified, Verifier};
