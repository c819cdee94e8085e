//! Which pictures, sounds and files are inside the request, and which a backend would have to fetch.
//!
//! A backend that fetched them would knock at any door of its own network that a stranger names, read its own files,
//! and tell in its error what is behind. So what may stand in a part is listed, and nothing else passes.

use std::fmt;

use crate::fault::RequestFault;

/// Fields of a part that hold text, or small things that nobody fetches.
pub(crate) const TEXTS: [&str; 22] = [
    "type",
    "text",
    "refusal",
    "thinking",
    "reasoning",
    "reasoning_content",
    "summary",
    "signature",
    "encrypted_content",
    "cache_control",
    "annotations",
    "citations",
    "id",
    "name",
    "title",
    "index",
    "detail",
    "format",
    "status",
    "tool_use_id",
    "tool_call_id",
    "is_error",
];

/// Fields of a part that hold a medium.
pub(crate) const MEDIA: [&str; 14] = [
    "image_url",
    "input_image",
    "image",
    "audio_url",
    "input_audio",
    "audio",
    "video_url",
    "input_video",
    "video",
    "file",
    "file_url",
    "input_file",
    "file_data",
    "source",
];

/// Fields of a part that count as a picture, a sound or a file, however long.
pub(crate) const COUNTED_MEDIA: [&str; 7] =
    ["image_url", "input_image", "input_audio", "audio_url", "video_url", "file", "file_data"];
/// Fields of such a medium that hold the picture itself, or where it lies: of that the length says nothing.
pub(crate) const MEDIUM_DATA: [&str; 3] = ["url", "data", "file_data"];

/// Fields of a medium that hold its bytes in base64.
pub(crate) const BYTES: [&str; 4] = ["data", "file_data", "b64_json", "base64"];

/// Fields of a medium that hold it, or its address.
pub(crate) const ADDRESSES: [&str; 7] =
    ["url", "image_url", "audio_url", "video_url", "image", "audio", "video"];

/// Fields of a medium that describe it.
pub(crate) const DESCRIPTIONS: [&str; 12] = [
    "detail",
    "format",
    "media_type",
    "mime_type",
    "type",
    "filename",
    "name",
    "fps",
    "width",
    "height",
    "max_pixels",
    "min_pixels",
];

/// Fields of a message that hold no media.
pub(crate) const OF_MESSAGES: [&str; 18] = [
    "role",
    "name",
    "tool_calls",
    "tool_call_id",
    "tool_name",
    "tool_plan",
    "function_call",
    "refusal",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "thinking",
    "annotations",
    "cache_control",
    "extra_content",
    "provider_specific_fields",
    "metadata",
    "prefix",
];

/// Fields of a tool that is a function of the app's.
pub(crate) const OF_TOOLS: [&str; 5] = ["type", "function", "custom", "strict", "cache_control"];

/// What is said of a part that is not inside the request.
pub(crate) fn foreign(at: impl fmt::Display) -> RequestFault {
    let problem = format!(
        "{at} is not inside the request: send pictures, sounds and files inline, as data: URLs such as \
         {{\"type\":\"image_url\",\"image_url\":{{\"url\":\"data:image/png;base64,…\"}}}}"
    );
    RequestFault::new(at.to_string(), "invalid_value", problem)
}

/// What is said of a tool that is no function of the app's.
pub(crate) fn no_function(at: &str, why: &str) -> RequestFault {
    RequestFault::new(at, "invalid_value", format!("{at} {why}: only functions of the app are served"))
}

/// Whether a text is a medium's bytes.
pub(crate) fn holds_bytes(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_\r\n ".contains(&byte);
    is_data(text) || text.bytes().all(is_digit)
}

/// Whether a text is a `data:` URL.
pub(crate) fn is_data(text: &str) -> bool {
    text.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// Whether a text could be an address or a path.
pub(crate) fn is_address(text: &str) -> bool {
    let text = text.trim_start();
    !is_data(text)
        && (text.contains("://") || text.starts_with(['/', '\\', '~']) || text.starts_with("file:"))
}
