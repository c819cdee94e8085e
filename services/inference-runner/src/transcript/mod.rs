//! An answer as it comes: what is passed on, what is counted, and whether it is over.

use bytestring::ByteString;
use t4t_api::inference_runner::RunnerError;
use t4t_inference::{Assembly, ChatChunk, Chunk, Defaults, End, Piece, Refusal, as_chunk};
use t4t_json::JsonText;

use crate::event::{Event, Read};
use crate::finishing;
use crate::metering::{Meter, PromptSize};

/// Why a choice that was cut has ended.
const CUT: &str = "length";

/// What an answer is measured against.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// Completion tokens that are paid for.
    pub(crate) cap: Option<u64>,
    /// The longest answer in bytes.
    pub(crate) max_bytes: usize,
    /// Choices that were asked for.
    pub(crate) choices: u64,
}

/// What to do after an event.
#[derive(Debug)]
pub(crate) enum Step {
    /// Pass this on and read on.
    Pass(Piece),
    /// Read on.
    Skip,
    /// It is over.
    End,
}

/// The answer so far.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    terms: Terms,
    assembly: Assembly,
    meter: Meter,
    cut: bool,
    done: bool,
}

impl Transcript {
    /// An answer that has not begun.
    pub(crate) fn new(terms: Terms) -> Self {
        Self { terms, assembly: Assembly::default(), meter: Meter::default(), cut: false, done: false }
    }

    /// Takes an event of the stream.
    ///
    /// # Errors
    /// The backend says that it failed, or sends what is no answer.
    pub(crate) fn take(&mut self, data: ByteString) -> Result<Step, RunnerError> {
        if data.trim().is_empty() {
            return Ok(Step::Skip);
        }
        let event = Event::new(&data);
        match event.read() {
            Ok(Read::Done) => {
                self.done = true;
                Ok(Step::End)
            }
            // Whatever comes after the end of a paid answer can't take it back.
            _ if self.cut => Ok(Step::End),
            Err(_) | Ok(Read::Failed(_)) if self.is_finished() => Ok(Step::End),
            Err(_) => Err(failed("it sent a chunk that is no JSON object")),
            Ok(Read::Failed(refusal)) => Err(self.failure(refusal)),
            Ok(Read::Piece { json, chunk }) if chunk.is_whole() => self.take_whole(&json, chunk),
            Ok(Read::Piece { json, chunk }) => {
                self.add(chunk)?;
                Ok(Step::Pass(self.passed(json)))
            }
        }
    }

    /// Takes an answer that came in one piece, as the one chunk that it would have been.
    fn take_whole(&mut self, json: &JsonText, answer: ChatChunk<'_>) -> Result<Step, RunnerError> {
        self.meter.came_in_one_piece();
        self.add(answer)?;
        self.done = true;
        // What is cut at its end is not passed on before.
        if self.excess().is_some() {
            return Ok(Step::Skip);
        }
        let chunk = as_chunk(json.as_str()).ok().and_then(|chunk| JsonText::read_before(chunk.into()).ok());
        let chunk = chunk.ok_or_else(|| failed("its answer can't be passed on"))?;
        Ok(Step::Pass(self.passed(chunk)))
    }

    fn passed(&self, json: JsonText) -> Piece {
        Piece::Chunk(Chunk { json, counted: self.meter.counted() })
    }

    fn add(&mut self, chunk: ChatChunk<'_>) -> Result<(), RunnerError> {
        let meter = &mut self.meter;
        let added = self.assembly.add(chunk, |delta| meter.add(delta));
        added.map_err(|unusable| failed(&unusable.to_string()))?;
        let is_too_long = self.assembly.kept_bytes() > self.terms.max_bytes;
        self.cut = is_too_long || self.terms.cap.is_some_and(|cap| self.meter.is_past(cap));
        Ok(())
    }

    /// The cap and how many tokens the answer has, if those are clearly more.
    fn excess(&self) -> Option<(u64, u64)> {
        let cap = self.terms.cap?;
        Some((cap, self.meter.excess(self.assembly.usage(), cap)?))
    }

    /// What a backend's error means: its refusal as long as nothing was answered.
    fn failure(&self, refusal: Refusal) -> RunnerError {
        let refusal = refusal.bounded();
        if refusal.status.is_some() && self.assembly.is_empty() {
            return RunnerError::Refused { refusal };
        }
        failed(&format!("it ended its stream with an error: {}", refusal.message))
    }

    /// The model that the backend says it answers with.
    pub(crate) fn model(&self) -> Option<&str> {
        self.assembly.model()
    }

    /// Whether nothing more is needed than perhaps the usage.
    pub(crate) fn is_finished(&self) -> bool {
        self.done || self.cut || self.assembly.is_finished(self.terms.choices)
    }

    /// Whether it is longer than it may be, so that the backend is to be stopped.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Ends it here, if it has said something; whether it has.
    pub(crate) fn cut(&mut self) -> bool {
        self.cut |= self.assembly.says_something();
        self.cut
    }

    /// Completion tokens so far.
    pub(crate) fn counted(&self) -> u64 {
        self.meter.counted()
    }

    /// The whole answer and what it is billed.
    ///
    /// # Errors
    /// The backend ended before its answer did.
    pub(crate) fn finish(self, prompt: &PromptSize, defaults: Defaults) -> Result<End, RunnerError> {
        if !self.is_finished() && self.assembly.is_empty() {
            return Err(failed("what it sent is neither a stream nor JSON"));
        }
        if !self.is_finished() {
            return Err(failed(&format!("its answer broke off after {} tokens", self.counted())));
        }
        if self.assembly.is_empty() {
            return Err(failed("its answer is empty"));
        }
        if self.cut && self.counted() == 0 {
            return Err(failed("its answer says nothing and does not end"));
        }
        let excess = self.excess();
        let mut usage = self.meter.bill(self.assembly.usage(), prompt, self.terms.cap);
        let (mut response, reported) = self.assembly.into_response(self.cut.then_some(CUT), defaults);
        if let Some((cap, tokens)) = excess {
            finishing::cut_to(&mut response, cap, tokens);
        }
        // Of what is left out nothing is billed.
        usage.completion = usage.completion.min(finishing::most_tokens(&mut response));
        response.insert("usage".into(), finishing::usage(reported, usage));
        let response = finishing::written(response).map_err(failed)?;
        Ok(End { whole: Some(response.into()), usage })
    }
}

fn failed(reason: &str) -> RunnerError {
    RunnerError::Backend { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
