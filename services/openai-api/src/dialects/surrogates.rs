//! Halves of characters: `\ud83d` alone, as JavaScript and Python write an emoji that was cut in two.

use std::borrow::Cow;

/// An escape that stands for one unit of UTF-16, in bytes.
const ESCAPE: usize = 6;

/// What stands for a character that can't be shown: U+FFFD.
const REPLACEMENT: &str = "\\ufffd";

/// The text with a replacement character in the place of each half that has no other half: no reader takes those. All
/// else stays as it is, and so does the length.
pub(crate) fn replaced(text: &str) -> Cow<'_, str> {
    let mut mended: Option<String> = None;
    let mut at = 0;
    while let Some(found) =
        text.as_bytes().get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\'))
    {
        at += found;
        match unit(text, at) {
            Some(0xd800..0xdc00) if matches!(unit(text, at + ESCAPE), Some(0xdc00..0xe000)) => {
                at += 2 * ESCAPE
            }
            Some(0xd800..0xe000) => {
                let whole = mended.get_or_insert_with(|| text.to_owned());
                whole.replace_range(at..at + ESCAPE, REPLACEMENT);
                at += ESCAPE;
            }
            // A backslash and what it escapes.
            _ => at += 2,
        }
    }
    mended.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The unit that is escaped here.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn each_half_alone_is_replaced_and_nothing_else() {
        let cases = [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\udE00x\ud83d""#, r#""\ufffdx\ufffd""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\\ud83d \\\ud83d""#, r#""\\ud83d \\\ufffd""#),
            (r#""\u00e9 é 😀 \n""#, r#""\u00e9 é 😀 \n""#),
            (r"\ud8", r"\ud8"),
            ("\\é", "\\é"),
        ];
        for (text, expected) in cases {
            assert_eq!(replaced(text), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_mended_can_be_read(units in proptest::collection::vec(any::<u16>(), 0..20)) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let json = format!("[\"{escaped}\"]");
            let read: Value = serde_json::from_str(&replaced(&json)).unwrap();
            prop_assert_eq!(read[0].as_str().unwrap(), String::from_utf16_lossy(&units));
        }
    }
}
