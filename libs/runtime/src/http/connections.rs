//! The connections of a server: how many there may be, and when one has had its time.
//!
//! The server itself bounds the head of a connection's first request and the pause between two. What it does not bound
//! is bounded here: heads of later requests, bodies that come by the byte, answers that are taken by the byte, and the
//! number of connections without turning anyone away who asks for something. A connection that is closed for one of
//! these reasons is closed as if its client had gone.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use socket2::{SockRef, Socket, TcpKeepalive};
use t4t_clock::{Clock, SystemClock};

/// How often it is looked for connections that have had their time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Of so many connections one is closed when a further one comes; several at once, so that a flood does not search all
/// connections for each of its own.
const CLOSED_AT_ONCE: usize = 32;

/// Requests that a client may send at once without waiting for an answer. The server reads all that come before it
/// answers the second, and each takes some kilobytes.
const MOST_IN_A_ROW: u32 = 32;

/// Bytes that are handed over at once while heads come: some sixteen requests at most, and an ordinary one in one or two.
const HEADS_AT_ONCE: usize = 1024;

/// Bytes that are handed over at once while a body comes: what comes behind it may be requests.
const BODY_AT_ONCE: usize = 4096;

/// A body that takes longer than this to come is missed less than a connection that waits for its next request.
const LONG_BODY: Duration = Duration::from_secs(5);

/// Open files that are kept for everything but connections: database, chain, Swarm, logs.
const FILES_KEPT: usize = 256;

/// Files that a connection takes: its own, and the one by which it is closed from here.
const FILES_EACH: usize = 2;

/// What connections are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The most connections; one more closes those that have been without a request for longest.
    pub count: usize,
    /// How long a connection may be without a whole request's head, from its start or the end of an answer on.
    pub idle: Duration,
    /// How long a request's body may take to come.
    pub body_time: Duration,
    /// How long a client may in all keep an answer waiting, not counting [`Self::slowest_reader`].
    pub write_stall: Duration,
    /// The fewest bytes a second that a client may take of an answer, on average.
    pub slowest_reader: u64,
    /// After how much silence the system asks whether the client is still there.
    pub probe_after: Duration,
}

impl ConnectionLimits {
    /// The same with no more connections than the process may have files for.
    #[must_use]
    pub fn within(self, open_files: usize) -> Self {
        let room = open_files.saturating_sub(FILES_KEPT) / FILES_EACH;
        // The server takes a few more than are kept, for as long as it takes to close others.
        Self { count: self.count.min(room.saturating_sub(2 * CLOSED_AT_ONCE)).max(CLOSED_AT_ONCE), ..self }
    }

    /// The most connections that the server itself may take before it stops taking any: those to be closed are still
    /// counted for a moment.
    pub const fn taken(&self) -> usize {
        self.count + 2 * CLOSED_AT_ONCE
    }
}

/// The connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    limits: ConnectionLimits,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Weak<Connection>>>,
    /// How many of the open ones were closed from here, which their server is about to notice.
    closing: AtomicUsize,
}

/// One connection.
pub(super) struct Connection {
    number: u64,
    /// The same socket as the server's.
    socket: Socket,
    state: Mutex<State>,
    /// Wakes the server once more may be handed over to it.
    reader: Mutex<Option<Waker>>,
    all: Weak<Connections>,
}

/// How much a connection's server is to be handed over at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appetite {
    /// At most so many bytes.
    Bytes(usize),
    /// Nothing until it is woken.
    Nothing,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No request came yet.
    Fresh,
    /// All requests are answered.
    Idle,
    /// A request's body is coming.
    Receives,
    /// A request is worked on, or its answer goes out.
    Works,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// Since when the answer waits for the client to take what was written.
    waits_since: Option<Instant>,
    /// For how long it waited before.
    waited: Duration,
    /// Bytes of the answer that were written.
    written: u64,
    /// Whether it was closed from here.
    is_closing: bool,
    /// Whether a request said that it is the last one.
    is_last: bool,
    /// Requests begun since its server last did anything else.
    in_a_row: u32,
}

impl Connections {
    /// Holds a server's connections to these limits; must be called within a Tokio runtime.
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        let (next, open, closing) = (AtomicU64::new(0), Mutex::default(), AtomicUsize::new(0));
        let connections = Arc::new(Self { limits, next, open, closing });
        tokio::spawn(look(Arc::downgrade(&connections)));
        connections
    }

    /// Takes a connection in; others are closed for it where there are too many.
    pub(super) fn take(self: &Arc<Self>, socket: &SockRef<'_>) -> io::Result<Arc<Connection>> {
        let probe = self.limits.probe_after;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(probe).with_interval(probe))?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(self.limits.write_stall))?;
        let connection = Arc::new(Connection {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            socket: socket.try_clone()?,
            state: Mutex::new(State::new(Phase::Fresh)),
            reader: Mutex::default(),
            all: Arc::downgrade(self),
        });
        let others = {
            let mut open = self.open();
            let is_full =
                open.len().saturating_sub(self.closing.load(Ordering::Relaxed)) >= self.limits.count;
            let others: Vec<_> = if is_full { open.values().cloned().collect() } else { Vec::new() };
            open.insert(connection.number, Arc::downgrade(&connection));
            others
        };
        // Not under the lock: whoever holds a connection last takes it out of the table.
        give_up_some(&others.iter().filter_map(Weak::upgrade).collect::<Vec<_>>());
        Ok(connection)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Weak<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_overdue(&self) {
        let open: Vec<Weak<Connection>> = self.open().values().cloned().collect();
        let now = Instant::now();
        for connection in open.iter().filter_map(Weak::upgrade) {
            if let Some(why) = connection.state().overdue(now, &self.limits) {
                tracing::debug!(connection = connection.number, why, "closing a connection");
                connection.close();
            }
        }
    }
}

/// Closes those connections that are missed least.
fn give_up_some(connections: &[Arc<Connection>]) {
    let now = Instant::now();
    let worth = |connection: &Arc<Connection>| Some((connection.state().worth(now)?, Arc::clone(connection)));
    let mut by_worth: Vec<_> = connections.iter().filter_map(worth).collect();
    if by_worth.len() > CLOSED_AT_ONCE {
        by_worth.select_nth_unstable_by_key(CLOSED_AT_ONCE, |(worth, _)| *worth);
    }
    for (_, connection) in by_worth.iter().take(CLOSED_AT_ONCE) {
        connection.close();
    }
}

/// Looks for overdue connections until the server is gone.
async fn look(connections: Weak<Connections>) {
    loop {
        SystemClock.sleep(LOOK_EVERY).await;
        let Some(connections) = connections.upgrade() else { return };
        connections.close_overdue();
    }
}

impl Connection {
    /// A request's head came. `false` means that it is not to be worked on: an earlier one said that it was the last, or
    /// too many came at once, or the connection was closed.
    pub(super) fn begins(self: &Arc<Self>, has_body: bool, is_last: bool) -> bool {
        let phase = if has_body { Phase::Receives } else { Phase::Works };
        let before = *self.state();
        let State { is_closing, is_last: was_last, .. } = before;
        let (is_last, in_a_row) = (is_last || was_last, before.in_a_row.saturating_add(1));
        *self.state() = State { is_closing, is_last, in_a_row, ..State::new(phase) };
        if in_a_row == 1 {
            // Runs on this thread once the server has done with what it read, and not before.
            let connection = Arc::downgrade(self);
            actix_web::rt::spawn(async move {
                if let Some(connection) = connection.upgrade() {
                    connection.state().in_a_row = 0;
                }
            });
        }
        if in_a_row > MOST_IN_A_ROW {
            tracing::debug!(connection = self.number, "too many requests at once, closing a connection");
            self.close();
            return false;
        }
        !was_last && !is_closing
    }

    /// How much may be handed over now; `reader` is woken when that becomes more than nothing.
    pub(super) fn appetite(&self, reader: &Waker) -> Appetite {
        let state = self.state();
        match state.phase {
            Phase::Fresh | Phase::Idle => Appetite::Bytes(HEADS_AT_ONCE),
            Phase::Receives => Appetite::Bytes(BODY_AT_ONCE),
            Phase::Works => {
                // Under the lock of the state: an end that comes now finds it.
                *self.reader() = Some(reader.clone());
                Appetite::Nothing
            }
        }
    }

    fn reader(&self) -> MutexGuard<'_, Option<Waker>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request's body is there, or nobody wants it.
    pub(super) fn received(&self) {
        let mut state = self.state();
        if state.phase == Phase::Receives {
            (state.phase, state.since) = (Phase::Works, Instant::now());
        }
    }

    /// A piece of the answer was handed out to be written.
    pub(super) fn writes(&self, bytes: usize) {
        let mut state = self.state();
        state.written = state.written.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        state.waits_since = Some(Instant::now());
    }

    /// The client took enough that the next piece is wanted.
    pub(super) fn wants_more(&self) {
        let mut state = self.state();
        if let Some(since) = state.waits_since.take() {
            state.waited = state.waited.saturating_add(since.elapsed());
        }
    }

    /// The answer is given, but for what the client has yet to take.
    pub(super) fn ends(&self) {
        let mut state = self.state();
        (state.phase, state.since, state.waits_since) = (Phase::Idle, Instant::now(), None);
        drop(state);
        if let Some(reader) = self.reader().take() {
            reader.wake();
        }
    }

    /// How long a request's body may take to come.
    pub(super) fn body_time(&self) -> Duration {
        self.all.upgrade().map_or(Duration::ZERO, |all| all.limits.body_time)
    }

    fn close(&self) {
        let was_closing = std::mem::replace(&mut self.state().is_closing, true);
        if let (false, Some(all)) = (was_closing, self.all.upgrade()) {
            all.closing.fetch_add(1, Ordering::Relaxed);
        }
        // It may be closed already.
        let _closed = self.socket.shutdown(Shutdown::Both);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(all) = self.all.upgrade() {
            all.open().remove(&self.number);
            if self.state().is_closing {
                all.closing.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl State {
    fn new(phase: Phase) -> Self {
        let (since, waited) = (Instant::now(), Duration::ZERO);
        Self {
            phase,
            since,
            waits_since: None,
            waited,
            written: 0,
            is_closing: false,
            is_last: false,
            in_a_row: 0,
        }
    }

    /// How much the connection would be missed, the least first; `None` for one that is not given up for another.
    fn worth(&self, now: Instant) -> Option<(u8, Instant)> {
        let is_slow = now.saturating_duration_since(self.since) > LONG_BODY;
        let class = match self.phase {
            _ if self.is_closing => return None,
            Phase::Fresh => 0,
            Phase::Receives if is_slow => 1,
            Phase::Idle => 2,
            Phase::Receives => 3,
            Phase::Works => return None,
        };
        Some((class, self.since))
    }

    /// Why the connection has had its time, if it has.
    fn overdue(&self, now: Instant, limits: &ConnectionLimits) -> Option<&'static str> {
        let earned = Duration::from_secs(self.written / limits.slowest_reader.max(1));
        match self.phase {
            // The end of an answer may still be on its way to a slow reader.
            Phase::Fresh | Phase::Idle => {
                let is_over = now.saturating_duration_since(self.since) > limits.idle.saturating_add(earned);
                is_over.then_some("no request came")
            }
            // Whoever reads the body or works on the request bounds that.
            Phase::Receives | Phase::Works => {
                let waits = self.waited.saturating_add(now.saturating_duration_since(self.waits_since?));
                (waits > limits.write_stall.saturating_add(earned))
                    .then_some("the answer was taken too slowly")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits {
        count: 1000,
        idle: Duration::from_secs(80),
        body_time: Duration::from_secs(120),
        write_stall: Duration::from_secs(60),
        slowest_reader: 1024,
        probe_after: Duration::from_secs(30),
    };

    fn state(phase: Phase, now: Instant) -> State {
        State { since: now, ..State::new(phase) }
    }

    #[test]
    fn a_connection_without_a_request_has_its_time_and_no_more() {
        let now = Instant::now();
        for phase in [Phase::Fresh, Phase::Idle] {
            let state = state(phase, now);
            assert_eq!(state.overdue(now + LIMITS.idle, &LIMITS), None);
            assert!(state.overdue(now + LIMITS.idle * 2, &LIMITS).is_some());
        }
        assert_eq!(state(Phase::Works, now).overdue(now + LIMITS.idle * 100, &LIMITS), None);
    }

    #[test]
    fn a_reader_has_a_minute_and_a_second_for_each_kibibyte() {
        let now = Instant::now();
        let mut state = state(Phase::Works, now);
        (state.waits_since, state.written, state.waited) = (Some(now), 10 << 10, Duration::from_secs(30));
        assert_eq!(state.overdue(now + Duration::from_secs(40), &LIMITS), None);
        assert!(state.overdue(now + Duration::from_secs(41), &LIMITS).is_some());
    }

    #[test]
    fn who_asked_for_something_is_kept_and_who_only_waits_is_given_up() {
        let now = Instant::now();
        let later = now + LONG_BODY * 2;
        let worth = |phase, at| state(phase, now).worth(at);
        assert!(worth(Phase::Fresh, later) < worth(Phase::Receives, later));
        assert!(worth(Phase::Receives, later) < worth(Phase::Idle, later));
        assert!(worth(Phase::Idle, now) < worth(Phase::Receives, now));
        assert_eq!(worth(Phase::Works, later), None);
    }

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(LIMITS.within(usize::MAX).count, 1000);
        assert_eq!(LIMITS.within(1024).count, (1024 - 256) / 2 - 64);
        assert!((LIMITS.within(1024).taken() * 2 + 256) <= 1024);
        assert_eq!(LIMITS.within(0).count, CLOSED_AT_ONCE);
    }
}
