//! The bounds that requests and answers are held to.

/// Largest request or answer of an app or backend that is carried, in bytes. The reference's gateway takes 10 MB.
pub const MAX_CONTENT_BYTES: usize = 16 * 1024 * 1024;

/// Most values in a request's JSON. Each takes a reader hundreds of bytes, however few it has itself; long chats with
/// many tools have some thousands.
pub const MAX_REQUEST_VALUES: usize = 50_000;

/// Most values in an answer's JSON, which log probabilities can make long.
pub const MAX_RESPONSE_VALUES: usize = 1_000_000;

/// The longest `usage` of an answer that is read, in bytes.
pub const MAX_USAGE_BYTES: usize = 4096;

/// Answers per request; OpenAI's own limit.
pub const MAX_CHOICES: u64 = 128;

/// Texts at which an answer may be told to stop; OpenAI takes four.
pub(crate) const MAX_STOPS: usize = 16;

/// The longest of them, in bytes. A backend holds back as much of the answer, to see whether the text comes.
pub(crate) const MAX_STOP_BYTES: usize = 1024;
