//! Pictures, sounds and files in a message: they are sent with the request or not at all.
//!
//! What a request names elsewhere, a provider would have to fetch from an address that a stranger chose. None does, so
//! it is refused here, before anything is paid.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::Rejection;
use super::splice::Members;

/// Parts whose other fields are words and no media.
const WORDS: [&str; 9] = [
    "text",
    "input_text",
    "output_text",
    "refusal",
    "thinking",
    "reasoning",
    "redacted_thinking",
    "tool_use",
    "tool_result",
];

/// Fields that hold words in any part.
const WORDY: [&str; 11] = [
    "type",
    "text",
    "refusal",
    "thinking",
    "signature",
    "filename",
    "name",
    "title",
    "detail",
    "format",
    "cache_control",
];

/// Within so many bytes an address names its scheme.
const LONGEST_SCHEME: usize = 32;

/// What the names of fields that hold media have in them.
const MEDIA: [&str; 8] = ["image", "audio", "video", "file", "media", "url", "source", "document"];

/// Checks one part of a message that stands `at` there.
pub(crate) fn check(part: &Members<'_>, at: &str) -> Result<(), Rejection> {
    let kind = part.get("type").and_then(|kind| serde_json::from_str::<String>(kind.get()).ok());
    let is_words = kind.is_some_and(|kind| WORDS.contains(&kind.as_str()));
    for (name, value) in part.iter() {
        let plain = name.to_ascii_lowercase();
        let is_media = MEDIA.iter().any(|media| plain.contains(media));
        if WORDY.contains(&plain.as_str()) || (is_words && !is_media) {
            continue;
        }
        let held: Held = if is_address(&plain) {
            serde_json::from_str::<Address>(value.get()).map(|address| address.0)
        } else {
            serde_json::from_str(value.get())
        }
        .unwrap_or(Held::Inline);
        let reason = match held {
            Held::Inline => continue,
            Held::Elsewhere => {
                "it lies elsewhere, and nothing is fetched: send it inline as a data: URL \
                                (data:image/png;base64,...)"
            }
            Held::Stored => "no files are kept here: send the file itself inline, as file_data",
        };
        return Err(Rejection::invalid_value(&format!("{at}.{name}"), reason));
    }
    Ok(())
}

/// Whether a field of this name holds an address.
fn is_address(name: &str) -> bool {
    name == "url" || name.ends_with("_url") || name.ends_with("uri")
}

/// Where what a value names lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// In the request.
    Inline,
    /// At an address.
    Elsewhere,
    /// In a store of files.
    Stored,
}

impl Held {
    fn or(self, other: Self) -> Self {
        if self == Self::Inline { other } else { self }
    }
}

/// Whether a text is the address of something elsewhere.
fn is_elsewhere(text: &str) -> bool {
    let text = text.trim_start();
    let Some(colon) = text.bytes().take(LONGEST_SCHEME).position(|byte| byte == b':') else { return false };
    let (scheme, rest) = (&text[..colon], &text[colon + 1..]);
    let is_scheme = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme && (rest.starts_with("//") || scheme.eq_ignore_ascii_case("file"))
}

/// Whether a text is what an address must be.
fn is_data(text: &str) -> bool {
    text.trim_start().get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:"))
}

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Looking { is_address: false })
    }
}

/// What is held where an address is expected.
struct Address(Held);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Looking { is_address: true }).map(Self)
    }
}

struct Looking {
    is_address: bool,
}

impl<'de> Visitor<'de> for Looking {
    type Value = Held;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Held, E> {
        let is_elsewhere = if self.is_address { !is_data(text) } else { is_elsewhere(text) };
        Ok(if is_elsewhere { Held::Elsewhere } else { Held::Inline })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Held, E> {
        Ok(Held::Inline)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Held, E> {
        Ok(Held::Inline)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Held, E> {
        Ok(Held::Inline)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Held, E> {
        Ok(Held::Inline)
    }

    fn visit_unit<E>(self) -> Result<Held, E> {
        Ok(Held::Inline)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Held, A::Error> {
        let mut held = Held::Inline;
        while let Some(item) = items.next_element::<Held>()? {
            held = held.or(item);
        }
        Ok(held)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Held, A::Error> {
        let mut held = Held::Inline;
        while let Some(name) = map.next_key::<String>()? {
            let name = name.to_ascii_lowercase();
            let found = if WORDY.contains(&name.as_str()) {
                map.next_value::<IgnoredAny>()?;
                Held::Inline
            } else if name == "file_id" {
                map.next_value::<Option<IgnoredAny>>()?.map_or(Held::Inline, |_| Held::Stored)
            } else if is_address(&name) {
                map.next_value::<Address>()?.0
            } else {
                map.next_value()?
            };
            held = held.or(found);
        }
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(part: &str) -> Option<String> {
        check(&Members::read(part).unwrap(), "at").err().map(|rejection| rejection.param.unwrap())
    }

    #[test]
    fn what_lies_elsewhere_is_refused_in_whatever_shape() {
        for (part, param) in [
            (r#"{"type":"image_url","image_url":{"url":"https://a.example/cat.png"}}"#, "at.image_url"),
            (r#"{"type":"image_url","image_url":{"url":" HTTP://a.example/cat.png"}}"#, "at.image_url"),
            (r#"{"type":"image_url","image_url":"http://a.example/cat.png"}"#, "at.image_url"),
            (r#"{"type":"image_url","image_url":{"url":"a.example/cat.png"}}"#, "at.image_url"),
            (r#"{"type":"image_url","IMAGE_URL":{"URL":"https://a.example"}}"#, "at.IMAGE_URL"),
            (r#"{"type":"text","text":"hi","image_url":{"url":"https://a.example"}}"#, "at.image_url"),
            (r#"{"image":"https://a.example/cat.png"}"#, "at.image"),
            (r#"{"type":"image","source":{"type":"url","url":"https://a.example"}}"#, "at.source"),
            (r#"{"type":"input_image","image_url":"file:///etc/passwd"}"#, "at.image_url"),
            (
                r#"{"type":"input_audio","input_audio":{"data":"https://a.example/a.wav","format":"wav"}}"#,
                "at.input_audio",
            ),
            (r#"{"type":"video_url","video_url":{"url":"s3://bucket/v.mp4"}}"#, "at.video_url"),
            (r#"{"type":"file","file":{"file_id":"file-abc"}}"#, "at.file"),
            (r#"{"type":"file","file":{"file_data":"https://a.example/a.pdf"}}"#, "at.file"),
            (r#"{"type":"x","deep":[[{"a":"ftp://a.example"}]]}"#, "at.deep"),
        ] {
            assert_eq!(refused(part).as_deref(), Some(param), "{part}");
        }
    }

    #[test]
    fn what_is_sent_with_the_request_passes() {
        for part in [
            r#"{"type":"text","text":"see https://a.example"}"#,
            r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO//","detail":"low"}}"#,
            r#"{"type":"image_url","image_url":"DATA:image/png;base64,iVBO"}"#,
            r#"{"type":"input_audio","input_audio":{"data":"//uQxAAA","format":"wav"}}"#,
            r#"{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBE","filename":"C://a.pdf"}}"#,
            r#"{"type":"file","file":{"file_id":null,"file_data":"data:,x"}}"#,
            r#"{"type":"tool_result","content":"http://a.example answered"}"#,
            r#"{"type":"thinking","thinking":"https://a.example","signature":"x://y"}"#,
        ] {
            assert_eq!(refused(part), None, "{part}");
        }
    }
}
