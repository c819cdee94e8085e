//! One request: from backend to backend until one begins, then chunk by chunk to the end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use t4t_api::inference_runner::{FinishedRun, RunEvent, RunInference, RunnerError};
use t4t_clock::SharedClock;
use tokio::sync::mpsc;

use crate::assembly::Defaults;
use crate::backend::{Backend, Refusal};
use crate::catalogue::Route;
use crate::config::RunnerLimits;
use crate::directory::Directory;
use crate::patience::{OutOfPatience, Patience};
use crate::request::{self, AnswerForm, ChatRequest};
use crate::sse::SseReader;
use crate::transcript::{Step, Terms, Transcript};

/// How long a backend may take to close a stream whose answer is whole, or to send the usage.
const AFTER_END: Duration = Duration::from_secs(2);

/// Bytes on the wire for each byte that an answer may have: a token of four bytes comes in a chunk of about 250.
const WIRE_BYTES_PER_BYTE: usize = 64;

/// A piece of the answer, or the error that ended it.
pub(crate) type Item = Result<RunEvent, RunnerError>;

/// A request that has a slot.
#[derive(Debug)]
pub(crate) struct Run {
    /// The request.
    pub(crate) call: RunInference,
    /// Where to send it, the best first; at least one.
    pub(crate) candidates: Vec<Arc<Route>>,
    /// The backends in the file's order.
    pub(crate) backends: Arc<Vec<Backend>>,
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
            let mut attempt = Attempt::new(self, route, &request);
            let outcome = time_limit.wait_for(attempt.run()).await;
            let is_out_of_time = outcome.is_err();
            let outcome = outcome.unwrap_or(Err(RunnerError::TimedOut));
            let has_begun = attempt.has_begun;
            self.judge(route, &outcome, is_out_of_time && has_begun);
            match outcome {
                Ok(finished) => return Ok(RunEvent::Finished(finished)),
                Err(error) if has_begun || is_out_of_time || !is_backends_fault(&error) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Notes how a backend did. A request that was slow but on its way when its time ended says nothing about it.
    fn judge(&self, route: &Route, outcome: &Result<FinishedRun, RunnerError>, is_slow: bool) {
        match outcome {
            Ok(_) => self.directory.succeeded(route),
            Err(RunnerError::BadRequest { message, .. }) if message.contains("does not support chat") => {
                self.directory.doubt(route);
            }
            Err(error) if is_backends_fault(error) && !is_slow => {
                tracing::warn!(job = %self.call.job, model = %route.offered, %error, "a backend failed");
                self.directory.failed(route);
            }
            Err(_) => {}
        }
    }
}

fn is_backends_fault(error: &RunnerError) -> bool {
    matches!(error, RunnerError::Backend { .. } | RunnerError::TimedOut)
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
    has_begun: bool,
}

impl<'a> Attempt<'a> {
    fn new(run: &'a Run, route: &'a Route, request: &'a ChatRequest) -> Self {
        Self { run, route, request, has_begun: false }
    }

    async fn run(&mut self) -> Result<FinishedRun, RunnerError> {
        let backend = self.run.backends.get(self.route.endpoint);
        let backend =
            backend.ok_or_else(|| RunnerError::UnknownModel { model: self.route.offered.clone() })?;
        if self.request.names_media() && !backend.fetches_media() {
            let message = "this provider fetches no media: send pictures and sounds as data: URLs";
            return Err(request::refused(message.into()));
        }
        let mut patience = Patience::new(self.run.clock.clone(), self.run.limits.first_token);
        let response = self.ask(backend, &mut patience).await?;
        let terms = Terms {
            cap: self.run.call.max_completion_tokens,
            max_bytes: self.run.limits.max_answer_bytes,
            choices: self.request.choices(),
        };
        let mut transcript = Transcript::new(terms);
        if is_stream(&response) {
            self.read_stream(backend, response, &mut patience, &mut transcript).await?;
        } else {
            self.read_whole(backend, response, &mut patience, &mut transcript).await?;
        }
        transcript.finish(self.request.prompt(), self.defaults())
    }

    /// Asks for a stream with usage, and for less where the backend knows less.
    async fn ask(&self, backend: &Backend, patience: &mut Patience) -> Result<Response, RunnerError> {
        let mut form = AnswerForm::StreamWithUsage;
        loop {
            let body = self.request.body(self.route.id.as_str(), form)?;
            let refusal = match patience.wait_for(backend.complete(body)).await? {
                Ok(response) => return Ok(response),
                Err(refusal) => refusal,
            };
            form = simpler(form, &refusal).ok_or(refusal)?;
        }
    }

    async fn read_stream(
        &mut self,
        backend: &Backend,
        response: Response,
        patience: &mut Patience,
        transcript: &mut Transcript,
    ) -> Result<(), RunnerError> {
        let mut pieces = response.bytes_stream();
        let mut reader = SseReader::new();
        let mut left = self.run.limits.max_answer_bytes.saturating_mul(WIRE_BYTES_PER_BYTE);
        loop {
            let piece = match patience.wait_for(pieces.next()).await {
                Ok(Some(Ok(piece))) => piece,
                Ok(None) => {
                    let rest: Vec<String> = reader.finish().into_iter().collect();
                    self.pass_on(rest, patience, transcript).await?;
                    return Ok(());
                }
                // A connection that is left open or broken after the end takes nothing away.
                Ok(Some(Err(_))) | Err(_) if transcript.is_finished() => return Ok(()),
                Ok(Some(Err(error))) => return Err(backend.broken(&error).into()),
                Err(out_of_patience) => return Err(out_of_patience.into()),
            };
            left = left.saturating_sub(piece.len());
            if left == 0 {
                return if transcript.cut() {
                    Ok(())
                } else {
                    Err(refused(backend, &"it sends without end"))
                };
            }
            let events = reader.feed(&piece).map_err(|error| refused(backend, &error))?;
            if self.pass_on(events, patience, transcript).await? {
                return Ok(());
            }
        }
    }

    /// Takes the events and passes them on; whether the answer is over.
    async fn pass_on(
        &mut self,
        events: Vec<String>,
        patience: &mut Patience,
        transcript: &mut Transcript,
    ) -> Result<bool, RunnerError> {
        let counted = transcript.counted();
        for event in events {
            match transcript.take(&event)? {
                Step::End => return Ok(true),
                Step::Skip => continue,
                Step::Pass(event) => self.send(event).await?,
            }
            if transcript.is_cut() {
                return Ok(true);
            }
        }
        if transcript.is_finished() {
            patience.renew(AFTER_END);
        } else if transcript.counted() > counted {
            patience.renew(self.run.limits.idle);
        }
        Ok(false)
    }

    async fn read_whole(
        &mut self,
        backend: &Backend,
        response: Response,
        patience: &mut Patience,
        transcript: &mut Transcript,
    ) -> Result<(), RunnerError> {
        let body = backend.body(response, self.run.limits.max_answer_bytes);
        let body = patience.wait_for(body).await??;
        let event = transcript.take_whole(&String::from_utf8_lossy(&body))?;
        self.send(event).await
    }

    async fn send(&mut self, event: RunEvent) -> Result<(), RunnerError> {
        self.has_begun = true;
        // Nobody is left who could read the error.
        let gone = |_| RunnerError::Backend { reason: "the caller is gone".into() };
        self.run.items.send(Ok(event)).await.map_err(gone)
    }

    fn defaults(&self) -> Defaults {
        let job = self.run.call.job.as_bytes();
        let id: String = job.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Defaults {
            id: format!("chatcmpl-{id}"),
            created: self.run.clock.now().get(),
            model: self.run.call.model.to_string(),
        }
    }
}

fn is_stream(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_none_or(|content_type| !content_type.trim_start().starts_with("application/json"))
}

/// The next simpler form to ask in, if the refusal is about the form.
fn simpler(form: AnswerForm, refusal: &Refusal) -> Option<AnswerForm> {
    let Refusal::Request { message, body, .. } = refusal else { return None };
    let is_about_streams = |text: &str| text.contains("stream") || text.contains("include_usage");
    if !is_about_streams(message) && !body.as_deref().is_some_and(is_about_streams) {
        return None;
    }
    match form {
        AnswerForm::StreamWithUsage => Some(AnswerForm::Stream),
        AnswerForm::Stream => Some(AnswerForm::Whole),
        AnswerForm::Whole => None,
    }
}

fn refused(backend: &Backend, reason: &dyn std::fmt::Display) -> RunnerError {
    RunnerError::Backend { reason: format!("endpoint {}: {reason}", backend.name()) }
}
