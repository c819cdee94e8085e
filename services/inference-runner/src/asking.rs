//! How a backend is asked: in the usual form, and in a simpler one where it refuses that.

use reqwest::Response;
use t4t_api::inference_runner::RunnerError;
use t4t_types::ModelId;

use crate::backend::{Backend, Failure};
use crate::request::{AnswerForm, ChatRequest, Form, LimitForm};

/// How often a limit is halved for a backend that has no room for it.
const MAX_HALVINGS: u32 = 5;

/// Asks for an answer, beginning in this form, and for less where the backend knows less; `context` is what it states to
/// hold. The caller limits the time.
pub(crate) async fn ask(
    backend: &Backend,
    model: &ModelId,
    request: &ChatRequest,
    context: Option<u64>,
    answer: AnswerForm,
) -> Result<Response, Failure> {
    let limit = request.limit(context).map_err(unwritten)?;
    let room = match limit {
        _ if request.is_own(limit) => Room::AsAsked,
        _ if request.covers(context) => Room::OfTheContext,
        _ => Room::LessThanPaid,
    };
    let may_spend = backend.endpoint().fetches_media;
    let mut form = Form { answer, limit: LimitForm::Usual, halved: 0, may_spend };
    loop {
        let body = request.body(model.as_str(), form, limit);
        let failure = match backend.complete(body).await {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        match simpler(form, &failure, room) {
            Some(next) => form = next,
            None => return Err(failure),
        }
    }
}

fn unwritten(error: RunnerError) -> Failure {
    match error {
        RunnerError::Refused { refusal } => Failure::Refused { refusal, body: String::new() },
        other => Failure::Broken(other.to_string()),
    }
}

/// What to do where a backend has no room for the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// The limit is the app's own word: it is told that it does not fit.
    AsAsked,
    /// The limit is what is paid for: a smaller one is tried, and never none.
    LessThanPaid,
    /// More is paid for than the context holds: the backend knows itself how much room there is.
    OfTheContext,
}

/// The next simpler form to ask in, if the refusal is about the form.
fn simpler(form: Form, failure: &Failure, room: Room) -> Option<Form> {
    let Failure::Refused { refusal, body } = failure else { return None };
    if !refusal.blames_request() {
        return None;
    }
    let text = body.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if form.limit == LimitForm::Usual
        && text.contains("max_tokens")
        && text.contains("use 'max_completion_tokens'")
    {
        return Some(Form { limit: LimitForm::Newer, ..form });
    }
    let is_about_length = says(&[
        "context_length",
        "context length",
        "context window",
        "max_tokens",
        "max_model_len",
        "maximum context",
    ]);
    // It counts the prompt otherwise than we do.
    match room {
        Room::LessThanPaid if is_about_length && form.halved < MAX_HALVINGS => {
            return Some(Form { halved: form.halved + 1, ..form });
        }
        Room::OfTheContext if is_about_length && form.limit != LimitForm::Untold => {
            return Some(Form { limit: LimitForm::Untold, ..form });
        }
        _ => {}
    }
    if !says(&["stream", "include_usage"]) {
        return None;
    }
    let answer = match form.answer {
        AnswerForm::StreamWithUsage => AnswerForm::Stream,
        AnswerForm::Stream => AnswerForm::Whole,
        AnswerForm::Whole => return None,
    };
    Some(Form { answer, ..form })
}

/// Whether a refusal says that the model can't chat, and not that something in the request does not suit it.
pub(crate) fn says_no_chat(message: &str) -> bool {
    // A field's name says nothing of what a model can do.
    let text = message.to_lowercase().replace("max_completion_tokens", "");
    let is_about_chat = ["chat", "completion", "generat"].iter().any(|word| text.contains(word));
    (text.contains("support") && is_about_chat)
        || text.contains("not a chat model")
        || text.contains("embedding model")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_of_chats_says_that_a_model_can_not_chat() {
        for said in [
            "\"nomic\" does not support chat",
            "The model does not support Chat Completions API",
            "This is not a chat model and thus not supported in the v1/chat/completions endpoint",
            "This server does not support completions. Start it without `--embeddings`",
        ] {
            assert!(says_no_chat(said), "{said}");
        }
        for said in [
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            "temperature is not supported",
            "maximum context length is 4096 tokens",
        ] {
            assert!(!says_no_chat(said), "{said}");
        }
    }
}
