//! The app's request on its way to the backend: another model name, streaming with usage, a limit on the answer, and
//! everything else as the app wrote it, less what would overrule these.

mod body;
mod form;
mod limits;

use bytes::Bytes;
use t4t_api::inference_runner::RunnerError;
use t4t_inference::{InferenceRequest, Refusal, RequestFault, SPENDING_FIELDS};
use t4t_json::Edit;

use crate::metering::PromptSize;

use body::MAX_FIELDS;

pub(crate) use form::{AnswerForm, Form, LimitForm};

/// A chat request, ready to be sent to any backend.
#[derive(Debug)]
pub(crate) struct ChatRequest {
    body: Edit,
    asked: InferenceRequest,
    /// Completion tokens that each choice may have, by what is paid.
    cap: Option<u64>,
    prompt: PromptSize,
    /// Tokens of the prompt with its tools, roughly.
    needs: u64,
}

impl ChatRequest {
    /// Reads the app's request, whose answer is paid for up to `cap` completion tokens over all choices.
    ///
    /// # Errors
    /// [`RunnerError::Refused`] for what no backend could serve as it was paid.
    pub(crate) fn parse(request: &InferenceRequest, cap: Option<u64>) -> Result<Self, RunnerError> {
        let asked = request.clone();
        let mut body = request.edit();
        if body.names().count() > MAX_FIELDS {
            return Err(refused(format!("the request has more than {MAX_FIELDS} fields")));
        }
        let prompt = PromptSize::from(request);
        let tools = ["tools", "functions"].iter().filter_map(|name| body.get(name));
        let needs = prompt.estimate + tools.map(|tools| tools.len() as u64 / 4).sum::<u64>();
        // Each choice may be as long as the limit, and the payment covers all of them together.
        let cap = cap.map(|cap| cap / asked.choices());
        if cap == Some(0) {
            return Err(refused("the payment covers no answer; raise max_tokens or lower n".into()));
        }
        body::prepare(&mut body, asked.choices());
        Ok(Self { body, asked, cap, prompt, needs })
    }

    /// How many answers were asked for.
    pub(crate) fn choices(&self) -> u64 {
        self.asked.choices()
    }

    /// The first thing that a backend would have to fetch, if there is one.
    pub(crate) fn foreign_media(&self) -> Option<&RequestFault> {
        self.asked.foreign_media()
    }

    /// How large the prompt can be.
    pub(crate) fn prompt(&self) -> &PromptSize {
        &self.prompt
    }

    /// About how many tokens of context the prompt takes.
    pub(crate) fn needs(&self) -> u64 {
        self.needs
    }

    /// The request's own limit on each choice.
    fn own_limit(&self) -> Option<u64> {
        self.asked.max_tokens().or_else(|| limits::other_limit(&self.body))
    }

    /// The most completion tokens that the whole answer may have, by what was asked and what is paid.
    pub(crate) fn longest(&self) -> Option<u64> {
        [self.own_limit(), self.cap]
            .into_iter()
            .flatten()
            .min()
            .map(|limit| limit.saturating_mul(self.choices()))
    }

    /// The limit to tell a backend with this context.
    ///
    /// # Errors
    /// The prompt alone fills the context: Ollama would cut it without a word.
    pub(crate) fn limit(&self, context: Option<u64>) -> Result<Option<u64>, RunnerError> {
        let room = match context {
            None => None,
            Some(context) if self.needs >= context => return Err(self.too_long(context)),
            Some(context) => Some(context - self.needs),
        };
        Ok([self.own_limit(), self.cap, room].into_iter().flatten().min())
    }

    /// Whether this limit is the app's own word.
    pub(crate) fn is_own(&self, limit: Option<u64>) -> bool {
        limit == self.own_limit()
    }

    /// Whether what is paid for covers whatever a backend with this context can answer.
    pub(crate) fn covers(&self, context: Option<u64>) -> bool {
        self.cap.is_none_or(|cap| context.is_some_and(|context| context <= cap))
    }

    fn too_long(&self, context: u64) -> RunnerError {
        let message = format!(
            "this model's context is {context} tokens, and the messages take about {}: shorten them",
            self.needs
        );
        let refusal = Refusal {
            param: Some("messages".into()),
            code: Some("context_length_exceeded".into()),
            ..Refusal::of_request(message)
        };
        RunnerError::Refused { refusal }
    }

    /// The body for a backend that calls the model `model`.
    pub(crate) fn body(&self, model: &str, form: Form, limit: Option<u64>) -> Bytes {
        let mut body = self.body.clone();
        if !form.may_spend {
            SPENDING_FIELDS.iter().for_each(|name| body.remove(name));
        }
        let limit = limit.map(|limit| limit.checked_shr(form.halved).unwrap_or(0).max(1));
        body::ask_for(&mut body, model, form.answer);
        limits::limit_answer(&mut body, form.limit, limit);
        body.finish().bytes().clone()
    }
}

/// What is said of a request that no backend is asked with.
pub(crate) fn refused(message: String) -> RunnerError {
    RunnerError::Refused { refusal: Refusal::of_request(message) }
}

/// The same, of one of its fields.
pub(crate) fn of_fault(fault: RequestFault) -> RunnerError {
    RunnerError::Refused { refusal: fault.into_refusal() }
}

#[cfg(test)]
mod tests;
