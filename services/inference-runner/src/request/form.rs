//! In what form a backend is asked.

/// How the backend is asked to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// In what form.
    pub(crate) answer: AnswerForm,
    /// With which limit.
    pub(crate) limit: LimitForm,
    /// How often the limit was halved, for a backend that has no room for it.
    pub(crate) halved: u32,
    /// Whether it may be asked for what costs its operator more than tokens.
    pub(crate) may_spend: bool,
}

/// In what form the backend is asked to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerForm {
    /// A stream with the usage at its end.
    StreamWithUsage,
    /// A stream, for a backend that does not know `stream_options`.
    Stream,
    /// One piece, for a backend that can't stream.
    Whole,
}

/// Under which name the backend is told the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitForm {
    /// `max_tokens`, and whatever else the request has.
    Usual,
    /// `max_completion_tokens` alone, for a backend that refuses the older name.
    Newer,
    /// Not at all, for a backend that counts the prompt otherwise and knows itself how much room there is. Only where
    /// the payment covers the whole context.
    Untold,
}
