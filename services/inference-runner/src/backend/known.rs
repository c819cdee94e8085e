//! What was learned of a backend beyond its list.

use std::collections::HashMap;

use t4t_types::ModelId;

/// Which program a backend is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Program {
    /// It was not asked, or did not answer.
    #[default]
    Unknown,
    Ollama,
    LlamaCpp,
    /// It has none of the routes that are known.
    Other,
}

/// What was learned of a backend.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Which program it is.
    pub(crate) program: Program,
    /// What Ollama shows of its models, by name and version.
    pub(crate) shown: HashMap<(ModelId, String), Shown>,
}

/// What Ollama shows of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The context that it is served with, where that is set.
    pub(crate) num_ctx: Option<u64>,
    /// The context that it was trained for.
    pub(crate) trained: Option<u64>,
    /// Whether it can chat.
    pub(crate) can_chat: Option<bool>,
}
