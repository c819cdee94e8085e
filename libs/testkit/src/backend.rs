//! An OpenAI-compatible backend that answers as a script says: well, or in every way in which backends go wrong.
//!
//! A good answer repeats the words of the last message, one token each, and reports true usage. It speaks HTTP by hand,
//! because half of what it does is not HTTP.

mod answer;
mod echo;
mod http;
mod script;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

/// How the backend answers a chat request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// As asked: a stream with usage, or one piece.
    Good,
    /// Takes the request and says nothing, not even a status.
    HangBeforeHeaders,
    /// Sends so many tokens and then nothing more.
    HangAfter(usize),
    /// Refuses with a status and a body.
    Refuse(u16, String),
    /// Resets the connection after so many bytes, the head among them.
    ResetAfter(usize),
    /// Closes the connection between two bytes of one character.
    CutInsideCharacter,
    /// Reports this in place of the usage; `None` reports none.
    Usage(Option<String>),
    /// Reports so many times the tokens there were.
    UsageTimes(u64),
    /// Says that another model answered.
    WrongModel,
    /// Sends so many bytes without one line's end; in one piece, so long a text.
    Bulk(usize),
    /// Sends so many bytes in events whose fields nobody knows, each with a name of its own.
    BulkOfFields(usize),
    /// Sends tokens without end, whatever the limit; in one piece, a text without end.
    Endless,
    /// Answers 200 with what is not JSON.
    NotJson,
    /// Sends comments without end.
    OnlyComments,
    /// Answers in one piece, whatever was asked.
    Whole,
    /// Ends without a reason, but with the end mark.
    NoFinishReason,
    /// Gives the reason, then neither usage nor end mark, and leaves the connection open.
    NeverCloses,
    /// Ends in the middle as if all was well.
    EndsEarly,
    /// Writes `NaN` for the logarithms of probabilities and in the usage.
    NotANumber,
    /// Calls two tools, in fragments that leave out what may be missing.
    ToolCalls,
    /// Refuses `stream_options`.
    NoStreamOptions,
    /// Refuses to stream.
    NoStreaming,
    /// Answers 200 with an error in the stream.
    ErrorInStream,
}

/// How the backend answers when asked for its models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// With these entries.
    Models(Vec<Value>),
    /// With this status.
    Refuse(u16),
    /// Not at all.
    Hang,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The head's lines.
    pub head: String,
    /// The body.
    pub body: Value,
    sent: Arc<AtomicU64>,
}

impl Recorded {
    /// Tokens that left in its answer so far.
    pub fn sent_tokens(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Script {
    behaviour: Behaviour,
    listing: Listing,
    token_delay: Duration,
    is_whole: bool,
    key: Option<String>,
    last: Option<Recorded>,
}

#[derive(Debug)]
struct Shared {
    script: Mutex<Script>,
    calls: AtomicU64,
    open: AtomicU64,
    peak: AtomicU64,
    cancelled: AtomicU64,
    /// Whether answers are held back.
    held: watch::Sender<bool>,
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A backend on a port of its own; it ends when dropped.
#[derive(Debug)]
pub struct ScriptedBackend {
    shared: Arc<Shared>,
    url: Url,
    accepting: JoinHandle<()>,
}

impl ScriptedBackend {
    /// Starts a backend with the model `echo`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(behaviour: Behaviour) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?).parse()?;
        let script = Script {
            behaviour,
            listing: Listing::Models(vec![json!({"id": "echo", "object": "model", "max_model_len": 4096})]),
            token_delay: Duration::ZERO,
            is_whole: false,
            key: None,
            last: None,
        };
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            calls: AtomicU64::new(0),
            open: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            held: watch::channel(false).0,
        });
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(t4t_faults::accept(listener, move |socket| {
            http::serve(socket, Arc::clone(&serving))
        }));
        Ok(Self { shared, url, accepting })
    }

    /// Where it is.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Answers the next requests like this.
    pub fn set(&self, behaviour: Behaviour) {
        self.shared.script().behaviour = behaviour;
    }

    /// Lists models like this from now on.
    pub fn set_listing(&self, listing: Listing) {
        self.shared.script().listing = listing;
    }

    /// Lists these models from now on.
    pub fn set_models(&self, ids: &[&str]) {
        self.set_listing(Listing::Models(
            ids.iter().map(|id| json!({"id": id, "object": "model"})).collect(),
        ));
    }

    /// Waits so long before each token.
    pub fn set_token_delay(&self, delay: Duration) {
        self.shared.script().token_delay = delay;
    }

    /// Answers in one piece from now on, whatever is asked; or as asked again.
    pub fn set_whole(&self, is_whole: bool) {
        self.shared.script().is_whole = is_whole;
    }

    /// Holds the answers back that have not begun, until [`Self::release`].
    pub fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    /// Lets all answers go.
    pub fn release(&self) {
        self.shared.held.send_replace(false);
    }

    /// Refuses whoever does not send this key.
    pub fn require_key(&self, key: &str) {
        self.shared.script().key = Some(key.to_owned());
    }

    /// Chat requests that came so far.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// Chat requests that are being answered now.
    pub fn open_calls(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// The most chat requests that were being answered at a time.
    pub fn peak_calls(&self) -> u64 {
        self.shared.peak.load(Ordering::SeqCst)
    }

    /// Chat requests whose caller went away before the end.
    pub fn cancelled(&self) -> u64 {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// The last chat request.
    pub fn last_request(&self) -> Option<Recorded> {
        self.shared.script().last.clone()
    }
}

impl Drop for ScriptedBackend {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
