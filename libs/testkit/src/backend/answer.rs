//! What each behaviour answers.

use serde_json::{Value, json};

use super::Behaviour;

/// A character of four bytes, to be cut.
const CRAB: &str = "🦀";

/// How an answer's connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// In order.
    Close,
    /// Without the body's end.
    Cut,
    /// Not before the caller goes away.
    Hang,
    /// By a reset after so many bytes.
    ResetAfter(usize),
}

/// An answer in pieces.
pub(super) struct Answer {
    /// Status line and headers; `None` sends nothing at all.
    pub(super) head: Option<String>,
    /// The body.
    pub(super) pieces: Box<dyn Iterator<Item = Vec<u8>> + Send>,
    /// The connection's end.
    pub(super) ending: Ending,
}

impl Answer {
    fn new(status: u16, content_type: &str, pieces: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Self {
        let head = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
        Self { head: Some(head), pieces: Box::new(pieces), ending: Ending::Close }
    }

    /// A JSON body.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", std::iter::once(body.to_string().into_bytes()))
    }

    /// A plain body.
    pub(super) fn text(status: u16, body: &str) -> Self {
        Self::new(status, "text/plain", std::iter::once(body.as_bytes().to_vec()))
    }

    fn stream(pieces: impl IntoIterator<Item = Vec<u8>, IntoIter: Send + 'static>) -> Self {
        Self::new(200, "text/event-stream", pieces.into_iter())
    }

    fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }
}

fn event(data: &str) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// A request as far as it matters here, and the good answer to it.
struct Echo {
    model: String,
    is_stream: bool,
    with_usage: bool,
    prompt_tokens: u64,
    tokens: Vec<String>,
    finish_reason: &'static str,
}

impl Echo {
    fn new(request: &Value) -> Self {
        let messages = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let words = |message: &Value| -> Vec<String> {
            let text = message["content"].as_str().unwrap_or_default();
            text.split_whitespace().map(|word| format!("{word} ")).collect()
        };
        let mut tokens = messages.last().map(words).unwrap_or_default();
        let limit = request["max_tokens"].as_u64().and_then(|limit| usize::try_from(limit).ok());
        let is_cut = limit.is_some_and(|limit| limit < tokens.len());
        tokens.truncate(limit.unwrap_or(usize::MAX));
        Self {
            model: request["model"].as_str().unwrap_or_default().to_owned(),
            is_stream: request["stream"] == true,
            with_usage: request["stream_options"]["include_usage"] == true,
            prompt_tokens: messages.iter().map(|message| words(message).len() as u64).sum(),
            tokens,
            finish_reason: if is_cut { "length" } else { "stop" },
        }
    }

    fn usage(&self, times: u64) -> Value {
        let (prompt, completion) = (self.prompt_tokens * times, self.tokens.len() as u64 * times);
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
    }

    fn chunk(&self, choices: &Value) -> Value {
        json!({"id": "chatcmpl-echo", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": self.model,
            "system_fingerprint": "fp_echo", "choices": choices})
    }

    fn delta(&self, delta: &Value, finish_reason: Option<&str>) -> Vec<u8> {
        let choices = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}]);
        event(&self.chunk(&choices).to_string())
    }

    fn start(&self) -> Vec<u8> {
        self.delta(&json!({"role": "assistant", "content": ""}), None)
    }

    fn token(&self, token: &str) -> Vec<u8> {
        self.delta(&json!({"content": token}), None)
    }

    fn tokens(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        std::iter::once(self.start()).chain(self.tokens.iter().map(|token| self.token(token)))
    }

    fn finish(&self) -> Vec<u8> {
        self.delta(&json!({}), Some(self.finish_reason))
    }

    /// The chunk with the usage, as this text.
    fn usage_chunk(&self, usage: &str) -> Vec<u8> {
        let mut chunk = self.chunk(&json!([])).to_string();
        chunk.truncate(chunk.len() - 1);
        event(&format!("{chunk},\"usage\":{usage}}}"))
    }

    fn stream(&self, usage: Option<&str>) -> Vec<Vec<u8>> {
        let mut pieces: Vec<Vec<u8>> = self.tokens().collect();
        pieces.push(self.finish());
        pieces.extend(usage.map(|usage| self.usage_chunk(usage)));
        pieces.push(event("[DONE]"));
        pieces
    }

    fn whole(&self) -> Answer {
        let message = json!({"role": "assistant", "content": self.tokens.concat()});
        let choice =
            json!({"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish_reason});
        let mut body = self.chunk(&json!([choice]));
        body["object"] = "chat.completion".into();
        body["usage"] = self.usage(1);
        Answer::json(200, &body)
    }

    fn good(&self) -> Answer {
        if !self.is_stream {
            return self.whole();
        }
        let usage = self.usage(1).to_string();
        Answer::stream(self.stream(self.with_usage.then_some(usage.as_str())))
    }

    fn refuse(message: &str) -> Answer {
        let error = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
        Answer::json(400, &error)
    }

    fn tool_calls(&self) -> Answer {
        let fragments = [
            json!([{"index": 0, "id": "call_a", "type": "function", "function": {"name": "first", "arguments": ""}}]),
            json!([{"function": {"arguments": "{\"x\":"}}]),
            json!([{"index": 0, "function": {"arguments": "1}"}}]),
            json!([{"id": "call_b", "type": null, "function": {"name": "second", "arguments": "{}"}}]),
        ];
        let mut pieces: Vec<Vec<u8>> = vec![self.start()];
        pieces.extend(fragments.iter().map(|calls| self.delta(&json!({"tool_calls": calls}), None)));
        pieces.push(self.delta(&json!({}), Some("tool_calls")));
        pieces.push(event("[DONE]"));
        Answer::stream(pieces)
    }

    fn not_a_number(&self) -> Answer {
        let pieces = self.tokens().map(|piece| {
            let text = String::from_utf8_lossy(&piece).into_owned();
            text.replace(
                "\"logprobs\":null",
                "\"logprobs\":{\"content\":[{\"token\":\"x\",\"logprob\":-Infinity}]}",
            )
        });
        let mut pieces: Vec<Vec<u8>> = pieces.map(String::into_bytes).collect();
        pieces.push(self.finish());
        pieces
            .push(self.usage_chunk("{\"prompt_tokens\":NaN,\"completion_tokens\":NaN,\"total_tokens\":NaN}"));
        pieces.push(event("[DONE]"));
        Answer::stream(pieces)
    }

    fn cut_inside_character(&self) -> Answer {
        let mut last = self.token(CRAB);
        let at = last.windows(4).position(|window| window == CRAB.as_bytes()).unwrap_or_default();
        last.truncate(at + 2);
        Answer::stream(self.tokens().chain([last]).collect::<Vec<_>>()).ending(Ending::Cut)
    }
}

/// The answer to a chat request.
pub(super) fn to(request: &Value, behaviour: &Behaviour) -> Answer {
    let mut echo = Echo::new(request);
    match behaviour {
        Behaviour::Good => echo.good(),
        Behaviour::Whole => echo.whole(),
        Behaviour::HangBeforeHeaders => {
            Answer { head: None, pieces: Box::new(std::iter::empty()), ending: Ending::Hang }
        }
        Behaviour::HangAfter(tokens) => {
            let pieces: Vec<_> = echo.tokens().take(tokens + 1).collect();
            Answer::stream(pieces).ending(Ending::Hang)
        }
        Behaviour::Refuse(status, body) => match serde_json::from_str(body) {
            Ok(json) => Answer::json(*status, &json),
            Err(_) => Answer::text(*status, body),
        },
        Behaviour::ResetAfter(bytes) => echo.good().ending(Ending::ResetAfter(*bytes)),
        Behaviour::CutInsideCharacter => echo.cut_inside_character(),
        Behaviour::Usage(usage) => Answer::stream(echo.stream(usage.as_deref())),
        Behaviour::UsageTimes(times) => Answer::stream(echo.stream(Some(&echo.usage(*times).to_string()))),
        Behaviour::WrongModel => {
            echo.model = "another-model".into();
            echo.good()
        }
        Behaviour::Bulk(bytes) => {
            let pieces = std::iter::repeat_n(vec![b'x'; 1 << 16], bytes.div_ceil(1 << 16));
            Answer::stream(std::iter::once(b"data: ".to_vec()).chain(pieces).collect::<Vec<_>>())
        }
        Behaviour::Endless => {
            let token = echo.token("and ");
            Answer::stream(std::iter::once(echo.start()).chain(std::iter::repeat(token)))
        }
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
