//! The built-in demo backend: an OpenAI-compatible server without a model.
//!
//! It says in each answer that it is a demo. One word is one token, so its usage is exact.

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use t4t_clock::{Clock, SystemClock};
use t4t_runtime::config::Bind;
use t4t_runtime::http::{RunningServer, ServeConfig, ServeError, serve};

/// The only model.
pub(crate) const MODEL: &str = "demo";

/// Characters of the request that are repeated.
const REPEATED: usize = 400;

const INTRODUCTION: &str = "This is the demo backend of t4t dev. No model runs here; the request, the payment and the \
                            way through Swarm were real. For real answers start Ollama, or pass --backend URL.";

/// Starts the demo on a free port of this machine.
///
/// # Errors
/// No port is free.
pub(crate) fn start() -> Result<RunningServer, ServeError> {
    let bind = Bind { address: ([127, 0, 0, 1], 0).into(), port_setting: "--backend" };
    serve(ServeConfig { name: "the demo backend", bind, guarded: true }, |routes| {
        routes.route("/v1/models", web::get().to(models)).route("/v1/chat/completions", web::post().to(chat));
    })
}

async fn models() -> HttpResponse {
    let model = json!({ "id": MODEL, "object": "model", "created": 0, "owned_by": "t4t dev" });
    HttpResponse::Ok().json(json!({ "object": "list", "data": [model] }))
}

async fn chat(request: web::Json<Value>) -> HttpResponse {
    let request = request.into_inner();
    let Some(messages) = request["messages"].as_array() else {
        return refused("messages must be an array");
    };
    let answer = Answer::to(&request, messages);
    if request["stream"] != json!(true) {
        return HttpResponse::Ok().json(answer.whole());
    }
    let with_usage = request["stream_options"]["include_usage"] == json!(true);
    let events = answer.chunks(with_usage).into_iter().map(|chunk| format!("data: {chunk}\n\n"));
    let events = events.chain(["data: [DONE]\n\n".to_owned()]);
    let body = stream::iter(events.map(|event| Ok::<_, std::convert::Infallible>(Bytes::from(event))));
    HttpResponse::Ok().insert_header(("content-type", "text/event-stream")).streaming(body)
}

fn refused(message: &str) -> HttpResponse {
    let error = json!({ "error": { "message": message, "type": "invalid_request_error" } });
    HttpResponse::BadRequest().insert_header(ContentType::json()).body(error.to_string())
}

struct Answer {
    id: String,
    created: u64,
    words: Vec<String>,
    prompt_tokens: usize,
    is_cut: bool,
}

impl Answer {
    fn to(request: &Value, messages: &[Value]) -> Self {
        let asked = messages.iter().rev().map(text).find(|text| !text.is_empty()).unwrap_or_default();
        let repeated: String = asked.chars().take(REPEATED).collect();
        let full = format!("{INTRODUCTION} You wrote: {repeated}");
        let words: Vec<String> = full.split_inclusive(' ').map(str::to_owned).collect();
        let limit = ["max_completion_tokens", "max_tokens"].iter().find_map(|name| request[*name].as_u64());
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let prompt: usize = messages.iter().map(|message| text(message).split_whitespace().count()).sum();
        let now = SystemClock.unix_millis();
        Self {
            id: format!("chatcmpl-demo-{now:x}"),
            created: now / 1000,
            is_cut: words.len() > limit,
            words: words.into_iter().take(limit).collect(),
            prompt_tokens: prompt.max(1),
        }
    }

    fn usage(&self) -> Value {
        let (prompt, completion) = (self.prompt_tokens, self.words.len());
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
    }

    fn finish_reason(&self) -> &'static str {
        if self.is_cut { "length" } else { "stop" }
    }

    fn whole(&self) -> Value {
        let message = json!({ "role": "assistant", "content": self.words.concat() });
        let choice = json!({ "index": 0, "message": message, "finish_reason": self.finish_reason() });
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": MODEL,
            "choices": [choice], "usage": self.usage(),
        })
    }

    fn chunks(&self, with_usage: bool) -> Vec<Value> {
        let chunk = |delta: Value, finish_reason: Value| {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish_reason });
            self.chunk(json!([choice]))
        };
        let mut chunks = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null)];
        chunks.extend(self.words.iter().map(|word| chunk(json!({ "content": word }), Value::Null)));
        chunks.push(chunk(json!({}), json!(self.finish_reason())));
        if with_usage {
            let mut last = self.chunk(json!([]));
            last["usage"] = self.usage();
            chunks.push(last);
        }
        chunks
    }

    fn chunk(&self, choices: Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": MODEL,
            "choices": choices,
        })
    }
}

/// The text of a message's content: the text itself, or its parts' texts.
fn text(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.as_str().or(part["text"].as_str()));
            texts.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(request: Value) -> Answer {
        Answer::to(&request, request["messages"].as_array().unwrap())
    }

    #[test]
    fn the_answer_says_that_it_is_a_demo_and_repeats_the_question() {
        let whole = answer(json!({ "messages": [{ "role": "user", "content": "two words" }] })).whole();
        let content = whole["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(content.contains("demo") && content.ends_with("You wrote: two words"), "{content}");
        assert_eq!(whole["usage"]["prompt_tokens"], 2);
        assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    }

    #[test]
    fn the_stream_has_one_chunk_a_token_and_ends_with_the_usage() {
        let answer = answer(json!({ "messages": [{ "content": [{ "text": "hi" }] }], "max_tokens": 5 }));
        let chunks = answer.chunks(true);
        let words = chunks.iter().filter(|chunk| chunk["choices"][0]["delta"]["content"].as_str() > Some(""));
        assert_eq!(words.count(), 5);
        assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "length");
        assert_eq!(chunks.last().unwrap()["usage"]["completion_tokens"], 5);
    }
}
