//! The good answer: the words of the last message, one token each; and what can be made of it.

use serde_json::{Value, json};

use super::answer::{Answer, Ending, JSON, PIECE};

/// A character of four bytes, to be cut.
const CRAB: &str = "🦀";

/// Bytes of a piece that are searched for tokens.
const SEARCHED: usize = 4096;

/// What stands before a text.
const TEXT: &str = "\"content\":\"";

/// How many tokens are in a piece that leaves, which need not be JSON.
pub(super) fn tokens_in(piece: &[u8]) -> u64 {
    // A text begins early, and looking through a hundred megabytes takes its time.
    let piece = &piece[..piece.len().min(SEARCHED)];
    let Some(start) = piece.windows(TEXT.len()).position(|window| window == TEXT.as_bytes()) else {
        return 0;
    };
    let text = String::from_utf8_lossy(&piece[start + TEXT.len()..]);
    text.split_once('"').map_or(0, |(text, _)| text.split_whitespace().count() as u64)
}

/// A server-sent event.
pub(super) fn event(data: &str) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// A request as far as it matters here, and the good answer to it.
pub(super) struct Echo {
    pub(super) model: String,
    pub(super) is_stream: bool,
    with_usage: bool,
    prompt_tokens: u64,
    tokens: Vec<String>,
    finish_reason: &'static str,
}

impl Echo {
    pub(super) fn new(request: &Value) -> Self {
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

    pub(super) fn usage(&self, times: u64) -> Value {
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

    pub(super) fn tokens(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        std::iter::once(self.start()).chain(self.tokens.iter().map(|token| self.token(token)))
    }

    pub(super) fn finish(&self) -> Vec<u8> {
        self.delta(&json!({}), Some(self.finish_reason))
    }

    /// The chunk with the usage, as this text.
    fn usage_chunk(&self, usage: &str) -> Vec<u8> {
        let mut chunk = self.chunk(&json!([])).to_string();
        chunk.truncate(chunk.len() - 1);
        event(&format!("{chunk},\"usage\":{usage}}}"))
    }

    /// The good answer as it was asked for, with this as its usage.
    pub(super) fn answer(&self, usage: Option<&str>) -> Answer {
        if !self.is_stream {
            return Answer::body(self.body(&self.tokens.concat(), usage));
        }
        let mut pieces: Vec<Vec<u8>> = self.tokens().collect();
        pieces.push(self.finish());
        pieces.extend(usage.map(|usage| self.usage_chunk(usage)));
        pieces.push(event("[DONE]"));
        Answer::stream(pieces)
    }

    /// The body of an answer in one piece.
    fn body(&self, content: &str, usage: Option<&str>) -> Vec<u8> {
        let message = json!({"role": "assistant", "content": content});
        let choice =
            json!({"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish_reason});
        let mut body = self.chunk(&json!([choice]));
        body["object"] = "chat.completion".into();
        let mut text = body.to_string();
        if let Some(usage) = usage {
            text.truncate(text.len() - 1);
            text = format!("{text},\"usage\":{usage}}}");
        }
        text.into_bytes()
    }

    /// The body of an answer in one piece up to the end of its text.
    fn begun_body(&self, content: &str) -> Vec<u8> {
        let mut body = self.body(content, None);
        let start = body.windows(TEXT.len()).position(|window| window == TEXT.as_bytes());
        body.truncate(start.unwrap_or_default() + TEXT.len() + content.len());
        body
    }

    pub(super) fn good(&self) -> Answer {
        let usage = self.usage(1).to_string();
        let is_asked_for = self.with_usage || !self.is_stream;
        self.answer(is_asked_for.then_some(usage.as_str()))
    }

    pub(super) fn hang_after(&self, tokens: usize) -> Answer {
        if !self.is_stream {
            let begun: String = self.tokens.iter().take(tokens).map(String::as_str).collect();
            return Answer::body(self.begun_body(&begun)).ending(Ending::Hang);
        }
        let pieces: Vec<_> = self.tokens().take(tokens + 1).collect();
        Answer::stream(pieces).ending(Ending::Hang)
    }

    pub(super) fn bulk(&self, bytes: usize) -> Answer {
        let pieces = std::iter::repeat_n(vec![b'x'; PIECE], bytes.div_ceil(PIECE));
        if !self.is_stream {
            return Answer::new(200, JSON, std::iter::once(self.begun_body("")).chain(pieces));
        }
        Answer::stream(std::iter::once(b"data: ".to_vec()).chain(pieces))
    }

    pub(super) fn bulk_of_fields(&self, bytes: usize) -> Answer {
        let filler = "x".repeat(PIECE);
        let field = move |number| format!("\"x{number}\":\"{filler}\"");
        let count = bytes.div_ceil(PIECE);
        if !self.is_stream {
            let fields = (0..count).map(move |number| format!("{},", field(number)).into_bytes());
            let end = self.body("", None).split_off(1);
            let pieces = std::iter::once(b"{".to_vec()).chain(fields).chain(std::iter::once(end));
            return Answer::new(200, JSON, pieces);
        }
        let mut start = self.chunk(&json!([{"index": 0, "delta": {}}])).to_string();
        start.truncate(start.len() - 1);
        Answer::stream((0..count).map(move |number| event(&format!("{start},{}}}", field(number)))))
    }

    pub(super) fn endless(&self) -> Answer {
        if !self.is_stream {
            let text = std::iter::repeat(b"and ".to_vec());
            return Answer::new(200, JSON, std::iter::once(self.begun_body("")).chain(text));
        }
        let token = self.token("and ");
        Answer::stream(std::iter::once(self.start()).chain(std::iter::repeat(token)))
    }

    pub(super) fn not_json(&self) -> Answer {
        let page = "<html><body>It works!</body></html>";
        if self.is_stream { Answer::stream([event(page)]) } else { Answer::body(page.into()) }
    }

    pub(super) fn refuse(message: &str) -> Answer {
        let error = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
        Answer::json(400, &error)
    }

    pub(super) fn tool_calls(&self) -> Answer {
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

    pub(super) fn not_a_number(&self) -> Answer {
        let usage = "{\"prompt_tokens\":NaN,\"completion_tokens\":NaN,\"total_tokens\":NaN}";
        if !self.is_stream {
            return self.answer(Some(usage));
        }
        let pieces = self.tokens().map(|piece| {
            let text = String::from_utf8_lossy(&piece).into_owned();
            text.replace(
                "\"logprobs\":null",
                "\"logprobs\":{\"content\":[{\"token\":\"x\",\"logprob\":-Infinity}]}",
            )
        });
        let mut pieces: Vec<Vec<u8>> = pieces.map(String::into_bytes).collect();
        pieces.push(self.finish());
        pieces.push(self.usage_chunk(usage));
        pieces.push(event("[DONE]"));
        Answer::stream(pieces)
    }

    pub(super) fn cut_inside_character(&self) -> Answer {
        if !self.is_stream {
            let mut body = self.begun_body(&(self.tokens.concat() + CRAB));
            body.truncate(body.len() - 2);
            return Answer::body(body).ending(Ending::Cut);
        }
        let mut last = self.token(CRAB);
        let at = last.windows(4).position(|window| window == CRAB.as_bytes()).unwrap_or_default();
        last.truncate(at + 2);
        Answer::stream(self.tokens().chain([last]).collect::<Vec<_>>()).ending(Ending::Cut)
    }
}
