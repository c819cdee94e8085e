use serde_json::{Value, json};
use t4t_types::TokenUsage;

use super::*;

const PROMPT: PromptSize = PromptSize { bound: 700, estimate: 9 };

impl Transcript {
    fn read(&mut self, data: &str) -> Result<Step, RunnerError> {
        self.take(data.into())
    }
}

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
    transcript.read(&delta("hello")).unwrap();
    assert!(matches!(transcript.read("[DONE]"), Ok(Step::End)));
    let (response, usage) = finished(transcript);
    assert_eq!(response["choices"][0]["finish_reason"], "stop");
    assert_eq!(usage, TokenUsage { prompt: 9, completion: 1 });
}

#[test]
fn an_answer_that_breaks_off_is_an_error_and_says_where() {
    let mut transcript = transcript(None);
    transcript.read(&delta("hello")).unwrap();
    let error = transcript.finish(&PROMPT, defaults()).unwrap_err();
    assert!(error.to_string().contains("broke off after 1 tokens"), "{error}");
}

#[test]
fn garbage_after_the_end_does_not_lose_the_answer_and_before_it_does() {
    let mut transcript = transcript(None);
    transcript.read(&delta("hello")).unwrap();
    transcript.read(STOP).unwrap();
    assert!(matches!(transcript.read("{\"usa"), Ok(Step::End)));
    assert_eq!(finished(transcript).0["choices"][0]["message"]["content"], "hello");
    assert!(self::transcript(None).read("{\"usa").is_err());
}

#[test]
fn a_usage_with_numbers_json_does_not_have_costs_the_own_count() {
    let mut transcript = transcript(None);
    transcript.read(&delta("hello")).unwrap();
    transcript.read(STOP).unwrap();
    transcript.read(r#"{"choices":[],"usage":{"prompt_tokens":NaN,"completion_tokens":NaN}}"#).unwrap();
    assert_eq!(finished(transcript).1, TokenUsage { prompt: 9, completion: 1 });
}

#[test]
fn an_answer_without_end_is_cut_at_its_cap_and_at_its_longest() {
    for (cap, text) in [(Some(5), "x"), (None, "xxxxxxxxxxxxxxxxxxxx")] {
        let mut transcript = transcript(cap);
        let deltas = std::iter::repeat_with(|| delta(text)).take(10_000);
        let taken = deltas.take_while(|delta| transcript.read(delta).is_ok() && !transcript.is_cut()).count();
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
        fields.take_while(|event| transcript.read(&event.to_string()).is_ok() && !transcript.is_cut());
    assert!(taken.count() < 12);
    assert!(transcript.finish(&PROMPT, defaults()).is_err());
}

#[test]
fn an_error_in_the_stream_is_the_requests_only_before_the_first_chunk() {
    let error = r#"{"error":{"message":"context is full","code":400}}"#;
    let refused = transcript(None).read(error).unwrap_err();
    assert!(
        matches!(refused, RunnerError::Refused { refusal } if (refusal.status, refusal.message.as_str()) == (Some(400), "context is full"))
    );
    let mut begun = transcript(None);
    begun.read(&delta("hello")).unwrap();
    assert!(
        matches!(begun.read(error), Err(RunnerError::Backend { reason }) if reason.contains("context is full"))
    );
}

#[test]
fn nothing_is_no_answer() {
    let mut transcript = transcript(None);
    transcript.read("[DONE]").unwrap();
    assert!(transcript.finish(&PROMPT, defaults()).is_err());
    assert!(self::transcript(None).read("<html>").is_err());
    assert!(self::transcript(None).finish(&PROMPT, defaults()).is_err());
}

#[test]
fn an_answer_is_read_as_what_it_is_and_not_as_what_was_asked() {
    let whole =
        json!({"choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]});
    let mut transcript = transcript(None);
    let Ok(Step::Pass(Piece::Chunk(chunk))) = transcript.read(&whole.to_string()) else { panic!() };
    assert!(chunk.json.as_str().contains("\"delta\""));
    assert_eq!(finished(transcript).0["choices"][0]["message"]["content"], "hello");
}

#[test]
fn what_a_choice_says_of_its_failure_ends_it() {
    let mut begun = transcript(None);
    begun.read(&delta("hello")).unwrap();
    assert!(begun.read(r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#).is_err());
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
            .read(&json!({"choices": [{"delta": {"content": "hello "}}], "usage": usage}).to_string())
            .unwrap();
    }
    transcript.read(STOP).unwrap();
    assert_eq!(finished(transcript).1, TokenUsage { prompt: 5, completion: 2 });
}
