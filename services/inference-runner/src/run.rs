//! One request: from backend to backend until one begins, then chunk by chunk to the end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Response;
use t4t_api::inference_runner::{RunInference, RunnerError};
use t4t_clock::SharedClock;
use t4t_inference::{End, Piece};
use t4t_types::keccak256;
use tokio::sync::mpsc;

use crate::asking::{ask, says_no_chat};
use crate::assembly::Defaults;
use crate::backend::{AWAY, Backend};
use crate::catalogue::Route;
use crate::config::RunnerLimits;
use crate::directory::Directory;
use crate::feed::Feed;
use crate::naming::is_same_model;
use crate::patience::{OutOfPatience, Patience};
use crate::request::{AnswerForm, ChatRequest, of_fault};
use crate::transcript::{Step, Terms, Transcript};

/// How long a backend may take to close a stream whose answer is whole, or to send the usage.
const AFTER_END: Duration = Duration::from_secs(2);

/// Bytes on the wire for each byte that an answer may have: a token of four bytes comes in a chunk of about 250.
const WIRE_BYTES_PER_BYTE: usize = 64;

/// The least context that Ollama serves with, in tokens: what fits it surely is not cut.
const LEAST_CONTEXT: u64 = 2048;

/// A piece of the answer, or the error that ended it.
pub(crate) type Item = Result<Piece, RunnerError>;

/// A request that has a slot.
#[derive(Debug)]
pub(crate) struct Run {
    /// The request.
    pub(crate) call: RunInference,
    /// Where to send it, the best first; at least one.
    pub(crate) candidates: Vec<Arc<Route>>,
    /// Learns how they did.
    pub(crate) directory: Arc<Directory>,
    /// How long and how much to bear.
    pub(crate) limits: RunnerLimits,
    /// Its time.
    pub(crate) clock: SharedClock,
    /// Where the pieces go.
    pub(crate) items: mpsc::Sender<Item>,
}

impl Run {
    /// Runs the request within its time limit and returns what the stream ends with.
    pub(crate) async fn finish(&self) -> Item {
        let cap = self.call.max_completion_tokens;
        let request = ChatRequest::parse(&self.call.request, cap)?;
        let mut time_limit =
            Patience::new(self.clock.clone(), Duration::from_millis(self.call.time_limit_ms));
        let mut last = RunnerError::UnknownModel { model: self.call.model.clone() };
        for route in &self.candidates {
            let _in_flight = route.backend.begin();
            let mut attempt = Attempt::new(self, route, &request);
            let outcome = time_limit.wait_for(attempt.run()).await;
            let is_out_of_time = outcome.is_err();
            // What there is when time ends was worked for, and is of use.
            let outcome = outcome.unwrap_or_else(|_| attempt.cut_short());
            let has_begun = attempt.has_begun;
            self.judge(route, &outcome, is_out_of_time && has_begun);
            match outcome {
                Ok(finished) => return Ok(Piece::End(finished)),
                Err(error) if has_begun || is_out_of_time || !is_for_the_next(&error) => return Err(error),
                Err(error) => last = better_known(last, error),
            }
        }
        Err(last)
    }

    /// Notes how a backend did. A request that was slow but on its way when its time ended says nothing about it, and
    /// neither does one that it can't take now.
    fn judge(&self, route: &Route, outcome: &Result<End, RunnerError>, is_slow: bool) {
        match outcome {
            Ok(_) => self.directory.succeeded(route),
            Err(RunnerError::Refused { refusal }) if refusal.blames_request() => {
                if says_no_chat(&refusal.message) {
                    self.directory.doubt(route);
                }
            }
            Err(error) if is_backends_fault(error) && !is_slow => {
                tracing::warn!(job = %self.call.job, endpoint = route.backend.name(), model = %route.model.id, %error, "a backend failed");
                self.directory.failed(route);
            }
            Err(_) => {}
        }
    }
}

/// Whether it says that the backend does not work: what it can't take now is said with a status of its own.
fn is_backends_fault(error: &RunnerError) -> bool {
    match error {
        RunnerError::Backend { .. } | RunnerError::TimedOut => true,
        RunnerError::Refused { refusal } => {
            !refusal.blames_request() && refusal.code.as_deref() == Some(AWAY)
        }
        _ => false,
    }
}

/// Whether another backend may do better.
fn is_for_the_next(error: &RunnerError) -> bool {
    match error {
        RunnerError::Backend { .. } | RunnerError::TimedOut => true,
        // A model that one backend does not know may be another's.
        RunnerError::Refused { refusal } => !refusal.blames_request() || refusal.status == Some(404),
        _ => false,
    }
}

/// Of two failures the one that tells the app more: a "try again" before a "failed".
fn better_known(last: RunnerError, error: RunnerError) -> RunnerError {
    if matches!(last, RunnerError::Refused { .. }) && !matches!(error, RunnerError::Refused { .. }) {
        last
    } else {
        error
    }
}

impl From<OutOfPatience> for RunnerError {
    fn from(_: OutOfPatience) -> Self {
        Self::TimedOut
    }
}

/// A request at one backend.
struct Attempt<'a> {
    run: &'a Run,
    route: &'a Route,
    request: &'a ChatRequest,
    transcript: Transcript,
    has_begun: bool,
}

impl<'a> Attempt<'a> {
    fn new(run: &'a Run, route: &'a Route, request: &'a ChatRequest) -> Self {
        let terms = Terms {
            cap: request.longest(),
            max_bytes: run.limits.max_answer_bytes,
            choices: request.choices(),
        };
        Self { run, route, request, transcript: Transcript::new(terms), has_begun: false }
    }

    async fn run(&mut self) -> Result<End, RunnerError> {
        let backend = &*self.route.backend;
        if let Some(fault) = self.request.foreign_media().filter(|_| !backend.endpoint().fetches_media) {
            return Err(of_fault(fault.clone()));
        }
        let mut patience = Patience::new(self.run.clock.clone(), self.run.limits.first_token);
        let context = self.context(&mut patience).await?;
        let asking = ask(backend, &self.route.model.id, self.request, context, AnswerForm::StreamWithUsage);
        let response = patience.wait_for(asking).await??;
        self.read(response, &mut patience).await?;
        self.finish()
    }

    /// The context that the prompt has to fit: what the backend states. Ollama, which would cut a longer prompt without
    /// a word, is made to say it before a long prompt is sent.
    async fn context(&self, patience: &mut Patience) -> Result<Option<u64>, RunnerError> {
        let model = &self.route.model;
        let is_unsure = model.max_context_tokens.is_none() && model.cuts_silently;
        if is_unsure && self.request.needs() > LEAST_CONTEXT {
            let loaded = patience.wait_for(self.route.backend.loaded_context(&model.id)).await?;
            return Ok(loaded.or(model.trained_context_tokens));
        }
        Ok(model.max_context_tokens.or(model.trained_context_tokens))
    }

    /// Reads the answer, whatever form it has.
    async fn read(&mut self, response: Response, patience: &mut Patience) -> Result<(), RunnerError> {
        let backend = &*self.route.backend;
        let mut pieces = response.bytes_stream();
        let mut feed = Feed::new(self.run.limits.max_answer_bytes);
        let mut left = self.run.limits.max_answer_bytes.saturating_mul(WIRE_BYTES_PER_BYTE);
        loop {
            let piece = match patience.wait_for(pieces.next()).await {
                Ok(Some(Ok(piece))) => piece,
                Ok(None) => {
                    let rest: Vec<String> = feed.finish().into_iter().collect();
                    self.pass_on(rest, patience).await?;
                    return Ok(());
                }
                // A connection that is left open or broken after the end takes nothing away.
                Ok(Some(Err(_))) | Err(_) if self.transcript.is_finished() => return Ok(()),
                Ok(Some(Err(error))) => return Err(backend.broken(&error).into()),
                Err(out_of_patience) => return Err(out_of_patience.into()),
            };
            left = left.saturating_sub(piece.len());
            if left == 0 {
                return if self.transcript.cut() {
                    Ok(())
                } else {
                    Err(refused(backend, &"it sends without end"))
                };
            }
            let texts = feed.feed(&piece).map_err(|error| refused(backend, &error))?;
            if self.pass_on(texts, patience).await? {
                return Ok(());
            }
        }
    }

    /// Takes the events and passes them on; whether the answer is over.
    async fn pass_on(&mut self, events: Vec<String>, patience: &mut Patience) -> Result<bool, RunnerError> {
        let counted = self.transcript.counted();
        for event in events {
            let step = self.transcript.take(&event)?;
            self.check_model()?;
            match step {
                Step::End => return Ok(true),
                Step::Skip => continue,
                Step::Pass(event) => self.send(event).await?,
            }
            if self.transcript.is_cut() {
                return Ok(true);
            }
        }
        if self.transcript.is_finished() {
            patience.renew(AFTER_END);
        } else if self.transcript.counted() > counted {
            patience.renew(self.run.limits.idle);
        }
        Ok(false)
    }

    /// Refuses the answer of a model that is clearly another one: it was not paid for.
    fn check_model(&self) -> Result<(), RunnerError> {
        let Some(answered) = self.transcript.model() else { return Ok(()) };
        let model = &self.route.model;
        let is_alias = self.route.answers_as.as_deref().is_some_and(|alias| is_same_model(alias, answered));
        if is_alias || is_same_model(model.id.as_str(), answered) {
            return Ok(());
        }
        let shown: String = answered.chars().filter(|letter| !letter.is_control()).take(100).collect();
        let reason = format!(
            "it was asked for the model {} and answers with {shown}; if that is the same, set \"answersAs\" in endpoints.json",
            model.id
        );
        Err(refused(&self.route.backend, &reason))
    }

    /// What there is of the answer when the request's time ends.
    fn cut_short(&mut self) -> Result<End, RunnerError> {
        if !self.transcript.is_finished() && !self.transcript.cut() {
            return Err(RunnerError::TimedOut);
        }
        self.finish()
    }

    fn finish(&mut self) -> Result<End, RunnerError> {
        let defaults = self.defaults();
        std::mem::take(&mut self.transcript).finish(self.request.prompt(), defaults)
    }

    async fn send(&mut self, piece: Piece) -> Result<(), RunnerError> {
        self.has_begun = true;
        // Nobody is left who could read the error.
        let gone = |_| RunnerError::Backend { reason: "the caller is gone".into() };
        self.run.items.send(Ok(piece)).await.map_err(gone)
    }

    fn defaults(&self) -> Defaults {
        let name = keccak256(self.run.call.job.as_str());
        let id: String = name.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Defaults {
            id: format!("chatcmpl-{id}"),
            created: self.run.clock.now().get(),
            model: self.run.call.model.to_string(),
        }
    }
}

fn refused(backend: &Backend, reason: &dyn std::fmt::Display) -> RunnerError {
    RunnerError::Backend { reason: format!("endpoint {}: {reason}", backend.name()) }
}
