//! JSON-RPC's messages: writing questions, matching answers to them.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::blame::is_endpoints;
use crate::error::{ChainError, shortened};

/// One question: method and parameters.
pub(crate) type Question = (&'static str, Value);

/// One answer: the result as it came, or the node's refusal.
pub(crate) type Answer = Result<Box<RawValue>, ChainError>;

/// A body that answers nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// The node does not take several questions at once, or not so many.
    BatchRefused,
    /// The node limits the rate of requests, and says so in JSON.
    RateLimited,
    /// The endpoint says that it does not do its work now.
    Error {
        /// JSON-RPC error code.
        code: i64,
        /// Its text, cut to 1,000 characters.
        message: String,
    },
    /// Anything else.
    Garbage(String),
}

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'static str,
    params: &'a Value,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    id: Value,
    // A result of null is an answer, a missing result is not.
    #[serde(default, deserialize_with = "present")]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Option<Value>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// The HTTP body of some questions, whose ids count up from `first_id`. One question is not wrapped in a list,
/// because some endpoints take no lists at all.
pub(crate) fn body(first_id: u64, questions: &[Question]) -> Result<Vec<u8>, serde_json::Error> {
    let request = |index: usize| Request {
        jsonrpc: "2.0",
        id: first_id.wrapping_add(index as u64),
        method: questions[index].0,
        params: &questions[index].1,
    };
    match questions {
        [_] => serde_json::to_vec(&request(0)),
        _ => serde_json::to_vec(&(0..questions.len()).map(request).collect::<Vec<_>>()),
    }
}

/// Reads the answers to questions whose ids count up from `first_id`, in the order of the questions.
pub(crate) fn answers(body: &[u8], first_id: u64, questions: &[Question]) -> Result<Vec<Answer>, Unusable> {
    let garbage = |cause: serde_json::Error| Unusable::Garbage(format!("{cause} in {:?}", excerpt(body)));
    if body.trim_ascii_start().first() == Some(&b'[') {
        return ordered(serde_json::from_slice(body).map_err(garbage)?, first_id, questions);
    }
    let response: Response = serde_json::from_slice(body).map_err(garbage)?;
    if response.error.as_ref().is_some_and(ErrorObject::is_rate_limit) {
        return Err(Unusable::RateLimited);
    }
    if questions.len() > 1 {
        let error = response.error.filter(|error| error.is_endpoints(""));
        return Err(error.map_or(Unusable::BatchRefused, ErrorObject::into_unusable));
    }
    ordered(vec![response], first_id, questions)
}

fn ordered(responses: Vec<Response>, first_id: u64, questions: &[Question]) -> Result<Vec<Answer>, Unusable> {
    let count = questions.len();
    let mut found: Vec<Option<Answer>> = (0..count).map(|_| None).collect();
    for response in responses {
        if response.error.as_ref().is_some_and(ErrorObject::is_rate_limit) {
            return Err(Unusable::RateLimited);
        }
        // A lone refusal of what could not be parsed carries a null id.
        let id = if response.id.is_null() && count == 1 { Some(first_id) } else { response.id.as_u64() };
        let index = id.and_then(|id| usize::try_from(id.wrapping_sub(first_id)).ok());
        let slot = index.and_then(|index| found.get_mut(index).zip(questions.get(index)));
        let (slot, (method, _)) =
            slot.ok_or_else(|| Unusable::Garbage("the answer carries an id that was not asked".into()))?;
        *slot = Some(response.into_answer(method)?);
    }
    let missing = || Unusable::Garbage("some questions were left without an answer".into());
    found.into_iter().collect::<Option<_>>().ok_or_else(missing)
}

impl Response {
    fn into_answer(self, method: &str) -> Result<Answer, Unusable> {
        match (self.error, self.result) {
            (Some(error), _) if error.is_endpoints(method) => Err(error.into_unusable()),
            (Some(error), _) => Ok(Err(error.into())),
            (None, Some(result)) => Ok(Ok(result)),
            (None, None) => Err(Unusable::Garbage("neither result nor error".into())),
        }
    }
}

impl ErrorObject {
    fn is_endpoints(&self, method: &str) -> bool {
        is_endpoints(method, self.code, &self.message, self.data.as_ref())
    }

    fn into_unusable(self) -> Unusable {
        Unusable::Error { code: self.code, message: shortened(&self.message) }
    }

    /// Public endpoints say it in many ways; a wrong guess only costs another attempt.
    fn is_rate_limit(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        let said = ["rate limit", "too many requests", "request limit", "capacity exceeded", "compute units"];
        // -32005 is also what a log query with too many results gets, which is an answer.
        self.code == 429 || said.iter().any(|text| message.contains(text)) && !message.contains("block range")
    }
}

impl From<ErrorObject> for ChainError {
    fn from(error: ErrorObject) -> Self {
        const LONGEST_DATA: usize = 64 * 1024;
        let data = error.data.filter(|data| !data.is_null() && data.to_string().len() <= LONGEST_DATA);
        Self::Answer { code: error.code, message: shortened(&error.message), data }
    }
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned()
}
