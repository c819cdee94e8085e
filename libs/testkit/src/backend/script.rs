//! What each behaviour answers.

use serde_json::Value;

use super::Behaviour;
use super::answer::{Answer, Ending};
use super::echo::{Echo, event};

/// The answer to a chat request; in one piece, whatever is asked, if `is_whole`.
pub(super) fn to(request: &Value, behaviour: &Behaviour, is_whole: bool) -> Answer {
    let mut echo = Echo::new(request);
    echo.is_stream &= !is_whole;
    match behaviour {
        Behaviour::Good => echo.good(),
        Behaviour::Whole => {
            echo.is_stream = false;
            echo.good()
        }
        Behaviour::HangBeforeHeaders => {
            Answer { head: None, pieces: Box::new(std::iter::empty()), ending: Ending::Hang }
        }
        Behaviour::HangAfter(tokens) => echo.hang_after(*tokens),
        Behaviour::Refuse(status, body) => match serde_json::from_str(body) {
            Ok(json) => Answer::json(*status, &json),
            Err(_) => Answer::text(*status, body),
        },
        Behaviour::ResetAfter(bytes) => echo.good().ending(Ending::ResetAfter(*bytes)),
        Behaviour::CutInsideCharacter => echo.cut_inside_character(),
        Behaviour::Usage(usage) => echo.answer(usage.as_deref()),
        Behaviour::UsageTimes(times) => echo.answer(Some(&echo.usage(*times).to_string())),
        Behaviour::WrongModel => {
            echo.model = "another-model".into();
            echo.good()
        }
        Behaviour::Bulk(bytes) => echo.bulk(*bytes),
        Behaviour::BulkOfFields(bytes) => echo.bulk_of_fields(*bytes),
        Behaviour::Endless => echo.endless(),
        Behaviour::NotJson => echo.not_json(),
        Behaviour::OnlyComments => Answer::stream(std::iter::repeat(b": keepalive\n\n".to_vec())),
        Behaviour::NoFinishReason => {
            let pieces: Vec<_> = echo.tokens().chain([event("[DONE]")]).collect();
            Answer::stream(pieces)
        }
        Behaviour::NeverCloses => {
            let pieces: Vec<_> = echo.tokens().chain([echo.finish()]).collect();
            Answer::stream(pieces).ending(Ending::Hang)
        }
        Behaviour::EndsEarly => Answer::stream(echo.tokens().collect::<Vec<_>>()),
        Behaviour::NotANumber => echo.not_a_number(),
        Behaviour::ToolCalls => echo.tool_calls(),
        Behaviour::NoStreamOptions if !request["stream_options"].is_null() => {
            Echo::refuse("Extra inputs are not permitted: stream_options")
        }
        Behaviour::NoStreaming if echo.is_stream => Echo::refuse("this server can't stream"),
        Behaviour::NoStreamOptions | Behaviour::NoStreaming => echo.good(),
        Behaviour::ErrorInStream => {
            let error = event(r#"{"error":{"message":"the context is full","type":"x","code":400}}"#);
            Answer::stream([error])
        }
    }
}
