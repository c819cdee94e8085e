//! Subscriptions: a WebSocket that stays up by itself.
//!
//! A node never reads what a subscriber sends: it answers no ping and acknowledges no close. Its own pings, one a
//! minute, are the only sign of life, and dropping the TCP connection the only way to leave.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use t4t_clock::{SharedClock, timeout};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tracing::{debug, warn};
use url::Url;

use super::Bee;
use crate::SwarmError;

/// Longest frame taken; a message has at most 4000 bytes.
const FRAME_BYTES: usize = 64 << 10;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Whether messages can arrive. Nodes keep none for later: what comes while it is down is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Not there, or not there any more; dialling goes on.
    Down,
    /// Subscribed.
    Up,
}

/// A running subscription; dropping it closes the connection.
#[derive(Debug)]
pub struct Subscription {
    messages: mpsc::Receiver<Bytes>,
    state: watch::Receiver<LinkState>,
    lost: Arc<AtomicU64>,
    clock: SharedClock,
    task: Option<JoinHandle<()>>,
}

impl Bee {
    /// Listens on a topic, named as in the API's path. Must be called inside a Tokio runtime.
    ///
    /// Messages may be repeated and come in any order. Empty frames, which nodes send without reason, are dropped.
    pub fn subscribe(&self, path_topic: &str) -> Subscription {
        self.listen(&["pss", "subscribe", path_topic])
    }

    /// Listens for updates of the single-owner chunk at `address`.
    pub fn subscribe_chunk(&self, address: &t4t_types::SwarmRef) -> Subscription {
        self.listen(&["gsoc", "subscribe", &address.to_string()])
    }

    fn listen(&self, path: &[&str]) -> Subscription {
        let (sender, messages) = mpsc::channel(self.shared.config.subscription_buffer.max(1));
        let (up, state) = watch::channel(LinkState::Down);
        let lost = Arc::new(AtomicU64::new(0));
        let link =
            Link { bee: self.clone(), url: self.socket_url(path), sender, up, lost: Arc::clone(&lost) };
        let (clock, task) = (Arc::clone(&self.shared.clock), Some(tokio::spawn(link.run())));
        Subscription { messages, state, lost, clock, task }
    }

    fn socket_url(&self, path: &[&str]) -> Url {
        let mut url = self.shared.config.api_url.clone();
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).expect("http and ws are both special schemes");
        url.path_segments_mut().expect("checked when the client was made").pop_if_empty().extend(path);
        url
    }
}

impl Subscription {
    /// A subscription whose messages come from elsewhere than a node.
    pub fn of(
        messages: mpsc::Receiver<Bytes>,
        state: watch::Receiver<LinkState>,
        clock: SharedClock,
    ) -> Self {
        Self { messages, state, lost: Arc::default(), clock, task: None }
    }

    /// The next message; waits as long as it takes. `None` only after a panic.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.messages.recv().await
    }

    /// Whether messages can arrive now.
    pub fn is_connected(&self) -> bool {
        *self.state.borrow() == LinkState::Up
    }

    /// Follows whether messages can arrive.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Waits until messages can arrive, but for at most `limit`.
    pub async fn wait_connected(&self, limit: Duration) -> Result<(), SwarmError> {
        let mut state = self.state.clone();
        let up = state.wait_for(|state| *state == LinkState::Up);
        match timeout(&*self.clock, limit, up).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(SwarmError::TimedOut(limit)),
        }
    }

    /// How many messages were dropped because nobody took them in time.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Stream for Subscription {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.messages.poll_recv(context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct Link {
    bee: Bee,
    url: Url,
    sender: mpsc::Sender<Bytes>,
    up: watch::Sender<LinkState>,
    lost: Arc<AtomicU64>,
}

impl Link {
    /// Dials, listens, and dials again. Ends only with the subscription.
    async fn run(self) {
        let shared = Arc::clone(&self.bee.shared);
        let (config, clock) = (&shared.config, &*shared.clock);
        let mut pause = config.redial_first;
        loop {
            let dialled = clock.unix_millis();
            match timeout(clock, config.connect_timeout + config.query_timeout, Box::pin(self.dial())).await {
                Ok(Ok(socket)) => {
                    self.up.send_replace(LinkState::Up);
                    self.listen(socket).await;
                    self.up.send_replace(LinkState::Down);
                }
                Ok(Err(error)) => debug!(%error, "no subscription"),
                Err(t4t_clock::Elapsed) => debug!("no subscription: the node does not answer"),
            }
            let stood = Duration::from_millis(clock.unix_millis().saturating_sub(dialled));
            if stood >= config.redial_reset {
                pause = config.redial_first;
            }
            clock.sleep(pause).await;
            pause = (pause * 2).min(config.redial_longest);
        }
    }

    async fn dial(&self) -> Result<Socket, tungstenite::Error> {
        let limits =
            WebSocketConfig::default().max_message_size(Some(FRAME_BYTES)).max_frame_size(Some(FRAME_BYTES));
        let (socket, _) = connect_async_with_config(self.url.as_str(), Some(limits), true).await?;
        Ok(socket)
    }

    /// Hands messages on until the connection ends or falls silent.
    async fn listen(&self, mut socket: Socket) {
        let silence = self.bee.shared.config.silence_limit;
        loop {
            match timeout(&*self.bee.shared.clock, silence, socket.next()).await {
                Ok(Some(Ok(Frame::Binary(message)))) => self.hand_on(message),
                Ok(Some(Ok(Frame::Close(_))) | None) => return debug!("the node ended the subscription"),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => return debug!(%error, "the subscription broke"),
                Err(t4t_clock::Elapsed) => {
                    return warn!(?silence, "the subscription fell silent, dialling anew");
                }
            }
        }
    }

    fn hand_on(&self, message: Bytes) {
        if message.is_empty() {
            return;
        }
        // A reader that is too slow loses messages, as it would if the node gave up on it; memory stays bounded.
        if self.sender.try_send(message).is_err() && self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            warn!("messages are dropped: nobody takes them in time");
        }
    }
}
