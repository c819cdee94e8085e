//! What a request asks a model to do.

use serde::{Deserialize, Serialize};

/// What a request asks a model to do. Each kind has its own fields, and endpoints of backends that serve it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A chat completion, as OpenAI's `/v1/chat/completions` takes it.
    #[default]
    Chat,
}
