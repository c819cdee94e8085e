//! An answer in pieces: the same from the backend to the app.

use serde::{Deserialize, Serialize};
use t4t_json::JsonText;
use t4t_types::TokenUsage;

/// A piece of an answer. The last one is [`Piece::End`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// A part of the answer, as the backend made it.
    Chunk(Chunk),
    /// The end.
    End(End),
}

/// A part of an answer as the backend made it, such as one `chat.completion.chunk` object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chunk {
    /// Its JSON.
    pub json: JsonText,
    /// Completion tokens so far, by the count of whoever passes it on.
    pub counted: u64,
}

/// The end of an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct End {
    /// The answer as one object, such as a `chat.completion`, where the chunks before do not make it up: version 1
    /// carries answers whole.
    pub whole: Option<JsonText>,
    /// What is billed.
    pub usage: TokenUsage,
}
