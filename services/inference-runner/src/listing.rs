//! A backend's list of models: names, contexts, and which of them can chat.

use serde_json::Value;
use t4t_types::ModelId;

/// Models taken from one list.
const MAX_MODELS: usize = 1000;

/// Why a model of another kind is left out.
pub(crate) const CAN_NOT_CHAT: &str = "it can't chat";

/// What kinds of models that can't chat are called.
const OTHER_KINDS: [&str; 18] = [
    "embed",
    "rerank",
    "feature-extraction",
    "sentence",
    "transcri",
    "speech",
    "whisper",
    "tts",
    "asr",
    "stt",
    "audio",
    "image",
    "diffusion",
    "moderation",
    "classif",
    "score",
    "reward",
    "video",
];

/// What kinds of models that can chat are called, also those that can do more.
const CHAT_KINDS: [&str; 8] =
    ["chat", "llm", "vlm", "completion", "generat", "text2text", "conversational", "language"];

/// Parts of the names of models that can't chat; it is only a hint, so such a model is tried before it is offered.
const OTHER_NAMES: [&str; 16] = [
    "embed",
    "rerank",
    "whisper",
    "bge-",
    "e5-",
    "gte-",
    "minilm",
    "mpnet",
    "-tts",
    "tts-",
    "kokoro",
    "clip-",
    "stable-diffusion",
    "sdxl",
    "flux",
    "moderation",
];

/// What a backend lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Models that can be offered.
    pub(crate) models: Vec<ListedModel>,
    /// Names that can't, and why.
    pub(crate) left_out: Vec<(String, &'static str)>,
}

/// A model as a backend lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedModel {
    /// The backend's own name for it.
    pub(crate) id: ModelId,
    /// When it was made, in the backend's own words: it changes with the model.
    pub(crate) version: String,
    /// Its context in tokens, where the backend tells.
    pub(crate) max_context_tokens: Option<u64>,
    /// The context that it was trained for: never less than what it is served with.
    pub(crate) trained_context_tokens: Option<u64>,
    /// Whether its backend cuts prompts that are longer than its context without a word.
    pub(crate) cuts_silently: bool,
    /// Whether its name hints that it can't chat.
    pub(crate) is_doubtful: bool,
}

/// Reads a list of models.
pub(crate) fn listing_of(list: &Value) -> Listing {
    let models = list.get("data").or_else(|| list.get("models")).and_then(Value::as_array);
    let models = models.or_else(|| list.as_array()).map_or(&[][..], Vec::as_slice);
    let mut listing = Listing::default();
    for model in models.iter().take(MAX_MODELS) {
        let name = ["id", "model", "name"].iter().find_map(|field| model.get(*field).and_then(Value::as_str));
        let Some(name) = name.or_else(|| model.as_str()) else { continue };
        match listed(name, model) {
            Ok(model) => listing.models.push(model),
            Err(reason) => listing.left_out.push((name.chars().take(200).collect(), reason)),
        }
    }
    listing
}

fn listed(name: &str, model: &Value) -> Result<ListedModel, &'static str> {
    let id: ModelId = name.parse().map_err(|_| "its name is empty, too long or holds control characters")?;
    if id.as_str().len() > ModelId::MAX_OFFERED_BYTES {
        return Err(
            "its name is longer than the market takes (96 bytes): give it a short one at the backend, such as \
                    llama.cpp's --alias or vLLM's --served-model-name",
        );
    }
    if can_chat(model) == Some(false) {
        return Err(CAN_NOT_CHAT);
    }
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).filter(|&tokens| tokens > 0);
    let of_meta = |field: &str| number(model.get("meta").and_then(|meta| meta.get(field)));
    let direct =
        ["max_model_len", "loaded_context_length", "context_length", "max_context_length", "context_window"];
    let stated = direct.into_iter().find_map(|field| number(model.get(field)));
    let lower = name.to_lowercase();
    Ok(ListedModel {
        id,
        version: model.get("created").map(Value::to_string).unwrap_or_default(),
        // What the server was started with; what the model was trained for is another thing.
        max_context_tokens: stated.or_else(|| of_meta("n_ctx")),
        trained_context_tokens: of_meta("n_ctx_train"),
        cuts_silently: false,
        is_doubtful: can_chat(model).is_none() && OTHER_NAMES.iter().any(|part| lower.contains(part)),
    })
}

/// Whether a backend says that a model can chat; `None` if it says nothing.
pub(crate) fn can_chat(model: &Value) -> Option<bool> {
    let kind =
        ["type", "task", "model_type", "pipeline_tag"].iter().find_map(|field| model.get(*field)?.as_str());
    if let Some(kind) = kind.map(str::to_lowercase) {
        if CHAT_KINDS.iter().any(|known| kind.contains(known)) {
            return Some(true);
        }
        if OTHER_KINDS.iter().any(|known| kind.contains(known)) {
            return Some(false);
        }
    }
    match model.get("capabilities") {
        Some(Value::Array(list)) if !list.is_empty() => {
            let words: Vec<String> = list.iter().filter_map(Value::as_str).map(str::to_lowercase).collect();
            let is_any =
                |known: &[&str]| words.iter().any(|word| known.iter().any(|known| word.contains(known)));
            if is_any(&CHAT_KINDS) {
                return Some(true);
            }
            if is_any(&OTHER_KINDS) {
                return Some(false);
            }
        }
        Some(Value::Object(fields)) => {
            let says = |field: &str| fields.get(field).and_then(Value::as_bool);
            if let Some(chats) =
                says("completion_chat").or_else(|| says("chat")).or_else(|| says("chat_completion"))
            {
                return Some(chats);
            }
        }
        _ => {}
    }
    let outputs =
        model.get("architecture").and_then(|it| it.get("output_modalities")).and_then(Value::as_array);
    outputs.map(|outputs| outputs.iter().any(|output| output == "text"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(model: Value) -> ListedModel {
        listing_of(&json!({ "data": [model] })).models.remove(0)
    }

    #[test]
    fn the_context_is_read_in_every_form_backends_tell_it() {
        let cases = [
            (json!({"id": "m"}), None, None),
            (json!({"id": "m", "max_model_len": 4096}), Some(4096), None),
            (json!({"id": "m", "meta": {"n_ctx_train": 8192}}), None, Some(8192)),
            (json!({"id": "m", "meta": {"n_ctx_train": 8192, "n_ctx": 2048}}), Some(2048), Some(8192)),
            (json!({"id": "m", "max_context_length": 9000, "loaded_context_length": 4000}), Some(4000), None),
            (json!({"id": "m", "context_length": "many"}), None, None),
            (json!({"id": "m", "max_model_len": 0}), None, None),
        ];
        for (model, expected, trained) in cases {
            let listed = one(model.clone());
            assert_eq!(
                (listed.max_context_tokens, listed.trained_context_tokens),
                (expected, trained),
                "{model}"
            );
        }
        for wrong in [json!({}), json!(7), json!({"id": 7})] {
            assert_eq!(listing_of(&json!({ "data": [wrong] })), Listing::default());
        }
        assert_eq!(listing_of(&json!([{"name": "m"}])).models.len(), 1);
    }

    #[test]
    fn a_name_that_the_market_does_not_take_is_left_out_alone() {
        let long = format!("/models/{}.gguf", "x".repeat(115));
        let listing = listing_of(&json!({"data": [{"id": "m1"}, {"id": long}, {"id": "a\nb"}, {"id": ""}]}));
        assert_eq!(listing.models.len(), 1);
        assert_eq!(listing.left_out.len(), 3);
        assert!(listing.left_out[0].1.contains("--alias"));
    }

    #[test]
    fn what_can_not_chat_is_told_by_its_kind_and_doubted_by_its_name() {
        for other in [
            json!({"id": "m", "type": "embeddings"}),
            json!({"id": "m", "task": "rerank"}),
            json!({"id": "m", "type": "image"}),
            json!({"id": "m", "pipeline_tag": "feature-extraction"}),
            json!({"id": "m", "capabilities": ["embedding"]}),
            json!({"id": "m", "capabilities": {"completion_chat": false}}),
            json!({"id": "m", "architecture": {"output_modalities": ["image"]}}),
        ] {
            assert!(listing_of(&json!({ "data": [other] })).models.is_empty(), "{other}");
        }
        for chat in [
            json!({"id": "m"}),
            json!({"id": "m", "type": "llm"}),
            json!({"id": "m", "type": "vlm"}),
            json!({"id": "m", "object": "model", "capabilities": ["completion", "embedding", "vision"]}),
            json!({"id": "m", "capabilities": {"completion_chat": true}}),
            json!({"id": "m", "architecture": {"output_modalities": ["text", "image"]}}),
            json!({"id": "m", "capabilities": []}),
        ] {
            assert!(!one(chat.clone()).is_doubtful, "{chat}");
        }
        for name in ["nomic-embed-text:latest", "BGE-M3:bge-m3", "whisper-large-v3", "Qwen3-Reranker-8B"] {
            assert!(one(json!({ "id": name })).is_doubtful, "{name}");
        }
    }
}
