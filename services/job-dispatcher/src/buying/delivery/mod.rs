//! What a provider delivered: fetched, opened, and checked to be an answer that an app can be given.

mod answer;
mod decline;
mod shape;

pub(super) use answer::{Answer, AnswerError, fetch};
