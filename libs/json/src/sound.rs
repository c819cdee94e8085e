//! JSON that whoever reads it later can read too.

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Any JSON value whose texts are all Unicode and whose numbers all fit a double, read to the last letter and kept
/// nowhere.
///
/// A parser that only passes a value on looks neither into its texts nor at the size of its numbers, so half a
/// surrogate pair (`"\ud83d"`, which JavaScript writes for an emoji cut in two) and `1e999` would stop whoever reads
/// them next. A parser that limits how deep it follows, as `serde_json` does at 128, holds to that here as well.
#[derive(Clone, Copy, Debug)]
pub struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walking)
    }
}

struct Walking;

impl<'de> Visitor<'de> for Walking {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_unit<E: Error>(self) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Sound, A::Error> {
        while items.next_element::<Sound>()?.is_some() {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Sound, A::Error> {
        while entries.next_entry::<Sound, Sound>()?.is_some() {}
        Ok(Sound)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn is_sound(json: &str) -> bool {
        serde_json::from_str::<Sound>(json).is_ok()
    }

    #[test]
    fn what_is_sound_is_what_can_be_read() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let brackets_in_a_text = format!("[{:?}]", "[".repeat(500));
        let siblings = format!("[{}1]", "[],".repeat(500));
        for (json, expected) in [
            (r#"{"a":[1,-2,0.5,1e300,null,true,"\ud83d\ude00 é"],"b":{}}"#, true),
            (r#""\ud83d""#, false),
            (r#"{"\ud83d":1}"#, false),
            (r#"[{"a":1e999}]"#, false),
            ("[1,]", false),
            ("{} {}", false),
            (&nested(127), true),
            (&nested(128), false),
            (&nested(200_000), false),
            (&brackets_in_a_text, true),
            (&siblings, true),
        ] {
            let shown = &json[..json.len().min(60)];
            assert_eq!(is_sound(json), expected, "{shown}");
            assert_eq!(serde_json::from_str::<Value>(json).is_ok(), expected, "{shown}");
        }
    }
}
