//! One name for one piece of work, on every line of every log: a request id for people, and a trace context after W3C.
//!
//! Made at the edge or where a job begins, and taken along with every call: in headers between processes, with the
//! message between mailboxes. What a header says is checked before it is believed.

use std::fmt::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tracing::Span;

/// The header that carries the request id.
pub const REQUEST_ID: &str = "x-request-id";

/// The header that carries the trace context.
pub const TRACE_PARENT: &str = "traceparent";

/// The longest request id that is taken over.
const MAX_ID_BYTES: usize = 128;

/// The only version of the trace context that is read and written.
const VERSION: &str = "00";

/// Nobody here decides which traces are kept, so a new one asks for it.
const SAMPLED: u8 = 1;

tokio::task_local! {
    static CURRENT: Trace;
}

/// What names a piece of work. Clones name the same one.
#[derive(Clone, PartialEq, Eq)]
pub struct Trace {
    request_id: Arc<str>,
    trace_id: [u8; 16],
    /// This process's part of the work.
    span_id: [u8; 8],
    flags: u8,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

impl Default for Trace {
    /// A piece of work that nobody named.
    fn default() -> Self {
        Self::taken_over(None, None)
    }
}

impl Trace {
    /// Begins a piece of work under a name, or under a new one where the name is none that can stand in a log.
    pub fn begin(name: &str) -> Self {
        Self::taken_over(Some(name.as_bytes()), None)
    }

    /// Goes on with a caller's piece of work: its request id and its trace, each only if it is what it must be.
    pub fn taken_over(request_id: Option<&[u8]>, parent: Option<&[u8]>) -> Self {
        let (trace_id, flags) = parent.and_then(read_parent).unwrap_or_else(|| (random(), SAMPLED));
        Self {
            request_id: request_id.and_then(plain).map_or_else(|| new_id(&trace_id), Arc::from),
            trace_id,
            span_id: random(),
            flags,
        }
    }

    /// That of the work which the caller is doing, if it has one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// What people look for in the logs.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The value of [`TRACE_PARENT`] that the next process gets.
    pub fn parent(&self) -> String {
        format!("{VERSION}-{}-{}-{:02x}", hex(&self.trace_id), hex(&self.span_id), self.flags)
    }

    /// Does some work under this name: each line that it logs carries the name, and so does each call that it makes.
    pub fn scope<W>(self, work: W) -> Traced<W> {
        // At the level of errors, so that no filter takes the name off the lines that it leaves.
        let span = tracing::error_span!("request", id = %self.request_id);
        Name { trace: Some(self), span }.of(work)
    }
}

/// Takes the current name along into a task of its own: `tokio::spawn(carried(work))`.
pub fn carried<W>(work: W) -> Traced<W> {
    Name::current().of(work)
}

/// The current name, to be given to work that is done elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    trace: Option<Trace>,
    span: Span,
}

impl Name {
    pub(crate) fn current() -> Self {
        Self { trace: Trace::current(), span: Span::current() }
    }

    pub(crate) fn of<W>(self, work: W) -> Traced<W> {
        Traced { name: self, work: Box::pin(work) }
    }
}

/// Work under a name: a future, or a stream of pieces.
pub struct Traced<W> {
    name: Name,
    work: Pin<Box<W>>,
}

impl<W> Traced<W> {
    fn poll_with<T>(&mut self, poll: impl FnOnce(Pin<&mut W>) -> T) -> T {
        let _entered = self.name.span.enter();
        let work = self.work.as_mut();
        match &self.name.trace {
            Some(trace) => CURRENT.sync_scope(trace.clone(), || poll(work)),
            None => poll(work),
        }
    }
}

impl<W> fmt::Debug for Traced<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traced").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<W: Future> Future for Traced<W> {
    type Output = W::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<W::Output> {
        self.get_mut().poll_with(|work| work.poll(context))
    }
}

impl<W: Stream> Stream for Traced<W> {
    type Item = W::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<W::Item>> {
        self.get_mut().poll_with(|work| work.poll_next(context))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.work.size_hint()
    }
}

/// An id that can stand in a log and in a header, whoever made it.
fn plain(id: &[u8]) -> Option<&str> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    let is_sane = (1..=MAX_ID_BYTES).contains(&id.len()) && id.iter().all(is_plain);
    is_sane.then(|| std::str::from_utf8(id).ok()).flatten()
}

/// The trace id and the flags of a caller's context, if it is one.
fn read_parent(parent: &[u8]) -> Option<([u8; 16], u8)> {
    let parent = std::str::from_utf8(parent).ok()?;
    let mut parts = parent.split('-');
    let mut part = || parts.next();
    let (version, trace_id, span_id, flags) = (part()?, part()?, part()?, part()?);
    if part().is_some() || version != VERSION {
        return None;
    }
    let (trace_id, span_id, [flags]) = (bytes::<16>(trace_id)?, bytes::<8>(span_id)?, bytes::<1>(flags)?);
    let is_named = trace_id != [0; 16] && span_id != [0; 8];
    is_named.then_some((trace_id, flags))
}

/// Bytes from so many lower-case hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 2 * N || !text.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text can't fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

fn new_id(trace_id: &[u8; 16]) -> Arc<str> {
    format!("req_{}", hex(trace_id)).into()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // A name that is not unique only makes a log harder to read; one of zeros is none.
    if getrandom::fill(&mut bytes).is_err() {
        bytes[N - 1] = 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_a_caller_names_is_taken_over_and_passed_on_with_a_part_of_its_own() {
        let trace = Trace::taken_over(Some(b"app-1.2:3_4"), Some(PARENT.as_bytes()));
        assert_eq!(trace.request_id(), "app-1.2:3_4");
        let next = trace.parent();
        assert_eq!((&next[..36], &next[52..]), (&PARENT[..36], "-01"));
        assert_ne!(next[36..52], PARENT[36..52]);
        assert_eq!(read_parent(next.as_bytes()), Some((trace.trace_id, 1)));
    }

    #[test]
    fn an_id_that_can_not_stand_in_a_log_is_replaced() {
        let too_long = "a".repeat(129);
        for wrong in ["", "a b", "a\nb", "id\u{1b}[31m", "ü", "{}", too_long.as_str()] {
            let trace = Trace::taken_over(Some(wrong.as_bytes()), Some(PARENT.as_bytes()));
            assert_eq!(trace.request_id(), "req_4bf92f3577b34da6a3ce929d0e0e4736", "{wrong:?}");
        }
        let longest = "a".repeat(128);
        assert_eq!(Trace::begin(&longest).request_id(), longest);
    }

    #[test]
    fn a_trace_context_that_is_none_begins_a_new_trace() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-0f067aa0ba902b7-01",
        ] {
            let trace = Trace::taken_over(None, Some(wrong.as_bytes()));
            assert_ne!(hex(&trace.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736", "{wrong}");
            assert!(read_parent(trace.parent().as_bytes()).is_some(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_task_of_its_own_has_the_name_only_where_it_is_taken_along() {
        let named = async || Trace::current().map(|trace| trace.request_id().to_owned());
        let (with, without) = Trace::begin("one")
            .scope(async move { (tokio::spawn(carried(named())).await, tokio::spawn(named()).await) })
            .await;
        assert_eq!(with.unwrap().as_deref(), Some("one"));
        assert_eq!(without.unwrap(), None);
        assert_eq!(Trace::current(), None);
    }
}
