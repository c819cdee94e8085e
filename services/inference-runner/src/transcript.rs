//! An answer as it comes: what is passed on, what is counted, and whether it is over.

use t4t_api::inference_runner::RunnerError;
use t4t_inference::{Chunk as Passed, End, Piece, Refusal};

use serde_json::value::RawValue;

use crate::assembly::{Assembly, Defaults, as_chunk, is_whole};
use crate::chunk::Chunk;
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
    pub(crate) fn take(&mut self, data: &str) -> Result<Step, RunnerError> {
        if data.trim().is_empty() {
            return Ok(Step::Skip);
        }
        match Chunk::read(data) {
            Ok(Chunk::Done) => {
                self.done = true;
                Ok(Step::End)
            }
            // Whatever comes after the end of a paid answer can't take it back.
            _ if self.cut => Ok(Step::End),
            Err(_) | Ok(Chunk::Failed(_)) if self.is_finished() => Ok(Step::End),
            Err(_) => Err(failed("it sent a chunk that is no JSON object")),
            Ok(Chunk::Failed(refusal)) => Err(self.failure(refusal)),
            Ok(Chunk::Piece { fields, .. }) if is_whole(&fields) => self.take_whole(fields),
            Ok(Chunk::Piece { raw, fields }) => {
                self.add(fields)?;
                Ok(Step::Pass(self.passed(raw)))
            }
        }
    }

    /// Takes an answer that came in one piece, as the one chunk that it would have been.
    fn take_whole(
        &mut self,
        fields: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Step, RunnerError> {
        let chunk = serde_json::value::to_raw_value(&as_chunk(&fields));
        let chunk = chunk.map_err(|_| failed("its answer can't be passed on"))?;
        self.meter.came_in_one_piece();
        self.add(fields)?;
        self.done = true;
        // What is cut at its end is not passed on before.
        if self.excess().is_some() {
            return Ok(Step::Skip);
        }
        Ok(Step::Pass(self.passed(chunk)))
    }

    fn passed(&self, chunk: Box<RawValue>) -> Piece {
        Piece::Chunk(Passed { json: chunk.into(), counted: self.meter.counted() })
    }

    fn add(&mut self, fields: serde_json::Map<String, serde_json::Value>) -> Result<(), RunnerError> {
        let deltas = self.assembly.add(fields).map_err(|nonsense| failed(&nonsense.to_string()))?;
        deltas.iter().for_each(|delta| self.meter.add(delta));
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
mod tests {
    use serde_json::{Value, json};
    use t4t_types::TokenUsage;

    use super::*;

    const PROMPT: PromptSize = PromptSize { bound: 700, estimate: 9 };

    fn transcript(cap: Option<u64>) -> Transcript {
        Transcript::new(Terms { cap, max_bytes: 10_000, choices: 1 })
    }

    fn defaults() -> Defaults {
        Defaults { id: "own".into(), created: 7, model: "m".into() }
    }

    fn delta(text: &str) -> String {
        json!({"choices": [{"index": 0, "delta": {"content": text}}]}).to_string()
    }

    const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

    fn finished(transcript: Transcript) -> (Value, TokenUsage) {
        let run = transcript.finish(&PROMPT, defaults()).unwrap();
        (serde_json::from_str(run.whole.unwrap().as_str()).unwrap(), run.usage)
    }

    #[test]
    fn an_answer_that_ends_without_its_reason_but_with_the_mark_is_whole() {
        let mut transcript = transcript(None);
        transcript.take(&delta("hello")).unwrap();
        assert!(matches!(transcript.take("[DONE]"), Ok(Step::End)));
        let (response, usage) = finished(transcript);
        assert_eq!(response["choices"][0]["finish_reason"], "stop");
        assert_eq!(usage, TokenUsage { prompt: 9, completion: 1 });
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error_and_says_where() {
        let mut transcript = transcript(None);
        transcript.take(&delta("hello")).unwrap();
        let error = transcript.finish(&PROMPT, defaults()).unwrap_err();
        assert!(error.to_string().contains("broke off after 1 tokens"), "{error}");
    }

    #[test]
    fn garbage_after_the_end_does_not_lose_the_answer_and_before_it_does() {
        let mut transcript = transcript(None);
        transcript.take(&delta("hello")).unwrap();
        transcript.take(STOP).unwrap();
        assert!(matches!(transcript.take("{\"usa"), Ok(Step::End)));
        assert_eq!(finished(transcript).0["choices"][0]["message"]["content"], "hello");
        assert!(self::transcript(None).take("{\"usa").is_err());
    }

    #[test]
    fn a_usage_with_numbers_json_does_not_have_costs_the_own_count() {
        let mut transcript = transcript(None);
        transcript.take(&delta("hello")).unwrap();
        transcript.take(STOP).unwrap();
        transcript.take(r#"{"choices":[],"usage":{"prompt_tokens":NaN,"completion_tokens":NaN}}"#).unwrap();
        assert_eq!(finished(transcript).1, TokenUsage { prompt: 9, completion: 1 });
    }

    #[test]
    fn an_answer_without_end_is_cut_at_its_cap_and_at_its_longest() {
        for (cap, text) in [(Some(5), "x"), (None, "xxxxxxxxxxxxxxxxxxxx")] {
            let mut transcript = transcript(cap);
            let deltas = std::iter::repeat_with(|| delta(text)).take(10_000);
            let taken =
                deltas.take_while(|delta| transcript.take(delta).is_ok() && !transcript.is_cut()).count();
            assert!(taken < 600, "{taken}");
            let (response, usage) = finished(transcript);
            assert_eq!(response["choices"][0]["finish_reason"], "length");
            assert!(usage.completion <= cap.unwrap_or(501));
        }
    }

    #[test]
    fn fields_without_end_are_neither_kept_nor_sold() {
        let mut transcript = transcript(None);
        let filler = "x".repeat(1000);
        let fields = (0..1000).map(|number| {
            let name = format!("x{number}");
            match number % 3 {
                0 => json!({"choices": [{"delta": {"content": ""}}], name: filler}),
                1 => json!({"choices": [{name: filler, "delta": {}}]}),
                _ => json!({"choices": [{"delta": {"tool_calls": [], name: {"a": filler}}}]}),
            }
        });
        let taken =
            fields.take_while(|event| transcript.take(&event.to_string()).is_ok() && !transcript.is_cut());
        assert!(taken.count() < 12);
        assert!(transcript.finish(&PROMPT, defaults()).is_err());
    }

    #[test]
    fn an_error_in_the_stream_is_the_requests_only_before_the_first_chunk() {
        let error = r#"{"error":{"message":"context is full","code":400}}"#;
        let refused = transcript(None).take(error).unwrap_err();
        assert!(
            matches!(refused, RunnerError::Refused { refusal } if (refusal.status, refusal.message.as_str()) == (Some(400), "context is full"))
        );
        let mut begun = transcript(None);
        begun.take(&delta("hello")).unwrap();
        assert!(
            matches!(begun.take(error), Err(RunnerError::Backend { reason }) if reason.contains("context is full"))
        );
    }

    #[test]
    fn nothing_is_no_answer() {
        let mut transcript = transcript(None);
        transcript.take("[DONE]").unwrap();
        assert!(transcript.finish(&PROMPT, defaults()).is_err());
        assert!(self::transcript(None).take("<html>").is_err());
        assert!(self::transcript(None).finish(&PROMPT, defaults()).is_err());
    }

    #[test]
    fn an_answer_is_read_as_what_it_is_and_not_as_what_was_asked() {
        let whole = json!({"choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]});
        let mut transcript = transcript(None);
        let Ok(Step::Pass(Piece::Chunk(chunk))) = transcript.take(&whole.to_string()) else { panic!() };
        assert!(chunk.json.as_str().contains("\"delta\""));
        assert_eq!(finished(transcript).0["choices"][0]["message"]["content"], "hello");
    }

    #[test]
    fn what_a_choice_says_of_its_failure_ends_it() {
        let mut begun = transcript(None);
        begun.take(&delta("hello")).unwrap();
        assert!(begun.take(r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#).is_err());
    }

    #[test]
    fn the_largest_usage_counts() {
        let mut transcript = transcript(None);
        for usage in [
            json!({"prompt_tokens": 5, "completion_tokens": 1}),
            json!({"prompt_tokens": 5, "completion_tokens": 2}),
            json!({"prompt_tokens": 0, "completion_tokens": 0}),
            json!(null),
        ] {
            transcript
                .take(&json!({"choices": [{"delta": {"content": "hello "}}], "usage": usage}).to_string())
                .unwrap();
        }
        transcript.take(STOP).unwrap();
        assert_eq!(finished(transcript).1, TokenUsage { prompt: 5, completion: 2 });
    }
}
