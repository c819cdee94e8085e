//! What a backend tells beside `/v1`: with how much context it serves its models, and which of them can chat.
//!
//! - Ollama: `/api/show` has a model's abilities, its `num_ctx` and what it was trained for; `/api/ps` has the context of
//!   those that are loaded. It cuts longer prompts without a word.
//! - llama.cpp: `/props` has the context of a slot.
//! - vLLM and others tell it in their list.
//!
//! What nobody tells stays unknown.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};
use t4t_types::ModelId;

use crate::backend::{Backend, Failure, Program, Shown};
use crate::listing::{CAN_NOT_CHAT, ListedModel, Listing, can_chat};

/// Questions to one backend at a time.
const AT_A_TIME: usize = 8;

impl Backend {
    /// Adds to a list what the backend's own routes tell. What they do not tell stays as it is.
    pub(crate) async fn add_details(&self, listing: &mut Listing) {
        if listing.models.iter().all(|model| model.max_context_tokens.is_some()) {
            return;
        }
        match self.program(listing).await {
            Program::Ollama => self.add_shown(listing).await,
            Program::LlamaCpp => self.add_slot_context(listing).await,
            Program::Unknown | Program::Other => {}
        }
    }

    /// Forgets what it is: after a time away, another program may answer there.
    pub(crate) fn forget_program(&self) {
        self.known.lock().program = Program::Unknown;
    }

    async fn program(&self, listing: &Listing) -> Program {
        let known = self.known.lock().program;
        if known != Program::Unknown {
            return known;
        }
        let Some(first) = listing.models.first() else { return Program::Unknown };
        // llama.cpp knows some of Ollama's routes as well, so its own is asked for first.
        let program = match self.native("props", None).await {
            Ok(props) if slot_context(&props).is_some() => Program::LlamaCpp,
            Err(Failure::Away(_)) => Program::Unknown,
            Ok(_) | Err(_) => match self.native("api/show", Some(&json!({ "model": first.id }))).await {
                Ok(shown) if is_shown(&shown) => Program::Ollama,
                Err(Failure::Away(_)) => Program::Unknown,
                Ok(_) | Err(_) => Program::Other,
            },
        };
        self.known.lock().program = program;
        program
    }

    async fn add_slot_context(&self, listing: &mut Listing) {
        let Ok(props) = self.native("props", None).await else { return };
        let context = slot_context(&props);
        // With several models, the answer is about none in particular.
        if let [model] = listing.models.as_mut_slice() {
            model.max_context_tokens = model.max_context_tokens.or(context);
        }
    }

    async fn add_shown(&self, listing: &mut Listing) {
        let running = self.running_contexts().await;
        let mut shown: Vec<Option<Shown>> = Vec::with_capacity(listing.models.len());
        for some in listing.models.chunks(AT_A_TIME) {
            shown.extend(join_all(some.iter().map(|model| self.shown(model))).await);
        }
        let mut kept = Vec::with_capacity(listing.models.len());
        for (mut model, shown) in std::mem::take(&mut listing.models).into_iter().zip(shown) {
            let shown = shown.unwrap_or_default();
            if shown.can_chat == Some(false) {
                listing.left_out.push((model.id.to_string(), CAN_NOT_CHAT));
                continue;
            }
            model.cuts_silently = true;
            model.is_doubtful &= shown.can_chat.is_none();
            model.trained_context_tokens = shown.trained;
            model.max_context_tokens = running.get(model.id.as_str()).copied().or(shown.num_ctx);
            kept.push(model);
        }
        listing.models = kept;
    }

    async fn shown(&self, model: &ListedModel) -> Option<Shown> {
        let key = (model.id.clone(), model.version.clone());
        if let Some(known) = self.known.lock().shown.get(&key) {
            return Some(*known);
        }
        let told = self.native("api/show", Some(&json!({ "model": model.id }))).await.ok()?;
        let shown = read_shown(&told);
        self.known.lock().shown.insert(key, shown);
        Some(shown)
    }

    async fn running_contexts(&self) -> HashMap<String, u64> {
        let Ok(told) = self.native("api/ps", None).await else { return HashMap::new() };
        let models = told.get("models").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut contexts = HashMap::new();
        for model in models {
            let Some(context) = positive(model.get("context_length")) else { continue };
            for name in ["name", "model"].iter().filter_map(|field| model.get(*field)?.as_str()) {
                contexts.insert(name.to_owned(), context);
                if let Some(plain) = name.strip_suffix(":latest") {
                    contexts.insert(plain.to_owned(), context);
                }
            }
        }
        contexts
    }

    /// Loads a model into Ollama, as the request that waits would, and asks with how much context. The caller limits
    /// the time.
    pub(crate) async fn loaded_context(&self, model: &ModelId) -> Option<u64> {
        let _loaded =
            self.native("api/generate", Some(&json!({ "model": model, "stream": false }))).await.ok()?;
        self.running_contexts().await.get(model.as_str()).copied()
    }
}

fn is_shown(told: &Value) -> bool {
    ["model_info", "capabilities", "modelfile", "details", "parameters"]
        .iter()
        .any(|field| told.get(*field).is_some())
}

fn read_shown(told: &Value) -> Shown {
    let parameters = told.get("parameters").and_then(Value::as_str).unwrap_or_default();
    let num_ctx = parameters.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("num_ctx")).then(|| words.next()?.parse().ok()).flatten()
    });
    let info = told.get("model_info").and_then(Value::as_object);
    let trained = info.and_then(|info| {
        info.iter()
            .find(|(name, _)| name.ends_with(".context_length"))
            .and_then(|(_, value)| positive(Some(value)))
    });
    Shown { num_ctx: num_ctx.filter(|&tokens| tokens > 0), trained, can_chat: can_chat(told) }
}

fn slot_context(props: &Value) -> Option<u64> {
    positive(props.get("default_generation_settings")?.get("n_ctx")).or_else(|| positive(props.get("n_ctx")))
}

fn positive(value: Option<&Value>) -> Option<u64> {
    value.and_then(Value::as_u64).filter(|&tokens| tokens > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ollama_shows_of_a_model_is_read() {
        let told = json!({"parameters": "stop \"x\"\nnum_ctx                        8192\n", "capabilities": ["completion"],
            "model_info": {"general.architecture": "llama", "llama.context_length": 131072}});
        assert!(is_shown(&told));
        let expected = Shown { num_ctx: Some(8192), trained: Some(131_072), can_chat: Some(true) };
        assert_eq!(read_shown(&told), expected);
        let embedding = json!({"capabilities": ["embedding"], "model_info": {"bert.context_length": 512}});
        assert_eq!(
            read_shown(&embedding),
            Shown { num_ctx: None, trained: Some(512), can_chat: Some(false) }
        );
        assert_eq!(read_shown(&json!({"parameters": 7})), Shown::default());
        assert!(!is_shown(&json!({"error": "no such route"})));
    }

    #[test]
    fn the_context_of_a_slot_is_read() {
        assert_eq!(slot_context(&json!({"default_generation_settings": {"n_ctx": 4096}})), Some(4096));
        assert_eq!(slot_context(&json!({"default_generation_settings": {"n_ctx": 0}})), None);
        assert_eq!(slot_context(&json!({})), None);
    }
}
