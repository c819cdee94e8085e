//! The request's body as a backend is sent it: what must change is changed, all else stays letter for letter.

use t4t_inference::OVERRULING_FIELDS;
use t4t_json::{Edit, JsonText, quoted};

use super::form::AnswerForm;

/// What makes a backend work for what is not sold, or refuse to stream.
const NOT_SOLD: [&str; 1] = ["prompt_logprobs"];

/// More fields than any API has.
pub(super) const MAX_FIELDS: usize = 512;

/// Changes what must be changed for every backend.
pub(super) fn prepare(body: &mut Edit, choices: u64) {
    OVERRULING_FIELDS.iter().chain(&NOT_SOLD).for_each(|name| body.remove(name));
    if body.get("n").is_some() {
        body.set("n", choices.to_string());
    }
    show_reasoning(body);
}

/// Names the model as the backend does, and asks for this form.
pub(super) fn ask_for(body: &mut Edit, model: &str, form: AnswerForm) {
    body.set("model", quoted(model));
    body.set("stream", if form == AnswerForm::Whole { "false" } else { "true" });
    if form != AnswerForm::StreamWithUsage {
        body.remove("stream_options");
        return;
    }
    let mut options = body
        .get("stream_options")
        .and_then(object)
        .unwrap_or_else(|| object("{}").expect("an empty object is an object"));
    options.set("include_usage", "true");
    body.set("stream_options", options.finish().as_str());
}

/// Takes out what hides the model's reasoning: it is work that is paid for, and what is not shown can't be counted.
fn show_reasoning(body: &mut Edit) {
    body.remove("include_reasoning");
    // What can't be read may hide it as well.
    let is_shown = |format: &str| {
        serde_json::from_str::<String>(format).is_ok_and(|it| !it.to_lowercase().contains("hidden"))
    };
    if !body.get("reasoning_format").is_none_or(is_shown) {
        body.remove("reasoning_format");
    }
    let Some(given) = body.get("reasoning").filter(|given| given.starts_with(['{', '['])) else { return };
    let Some(mut options) = object(given) else {
        body.remove("reasoning");
        return;
    };
    if options.get("exclude").is_some() {
        options.remove("exclude");
        body.set("reasoning", options.finish().as_str());
    }
}

/// A value of a body as an object to be changed, if it is one.
fn object(json: &str) -> Option<Edit> {
    let text = JsonText::read_before(json.to_owned().into()).ok()?;
    Edit::read(text).ok().filter(|options| options.names().count() <= MAX_FIELDS)
}
