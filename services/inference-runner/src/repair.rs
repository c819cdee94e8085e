//! JSON as some backends write it, turned into JSON.

/// Words that Python's and C++'s JSON writers produce and JSON does not have, and what they mean.
const WORDS: [(&str, &str); 10] = [
    ("-Infinity", "null"),
    ("Infinity", "null"),
    ("-inf", "null"),
    ("inf", "null"),
    ("NaN", "null"),
    ("nan", "null"),
    ("-nan", "null"),
    ("None", "null"),
    ("True", "true"),
    ("False", "false"),
];

/// The text with `null` for numbers that are none or fit no double, U+FFFD for each half of a surrogate pair that
/// stands alone, and escapes for control characters inside texts.
pub(crate) fn repaired(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(character) = rest.chars().next() {
        let taken = if character == '"' {
            in_string = !in_string;
            out.push('"');
            1
        } else if in_string {
            inside_text(rest, character, &mut out)
        } else {
            outside_text(rest, character, &mut out)
        };
        rest = &rest[taken..];
    }
    out
}

/// Repairs what stands first in `rest`; returns how many bytes of it were read.
fn inside_text(rest: &str, character: char, out: &mut String) -> usize {
    if character.is_control() && character.is_ascii() {
        out.push_str(&format!("\\u{:04x}", u32::from(character)));
        return 1;
    }
    if character != '\\' {
        out.push(character);
        return character.len_utf8();
    }
    let Some(unit) = escaped_unit(rest) else {
        let taken = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
        out.push_str(&rest[..taken]);
        return taken;
    };
    let is_pair = (0xd800..0xdc00).contains(&unit)
        && escaped_unit(&rest[6..]).is_some_and(|second| (0xdc00..0xe000).contains(&second));
    match unit {
        _ if is_pair => {
            out.push_str(&rest[..12]);
            return 12;
        }
        0xd800..0xe000 => out.push('\u{fffd}'),
        _ => out.push_str(&rest[..6]),
    }
    6
}

/// The number in `\uXXXX`, if `text` begins with one.
fn escaped_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits
        .bytes()
        .all(|digit| digit.is_ascii_hexdigit())
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

fn outside_text(rest: &str, character: char, out: &mut String) -> usize {
    if let Some((word, meaning)) = WORDS.into_iter().find(|(word, _)| rest.starts_with(word)) {
        out.push_str(meaning);
        return word.len();
    }
    if !(character.is_ascii_digit() || character == '-') {
        out.push(character);
        return character.len_utf8();
    }
    let is_of_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let end = rest.bytes().position(|byte| !is_of_number(byte)).unwrap_or(rest.len());
    let fits = rest[..end].parse::<f64>().is_ok_and(f64::is_finite);
    out.push_str(if fits { &rest[..end] } else { "null" });
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn numbers_and_words_that_json_does_not_have_are_replaced() {
        let text = r#"{"a":NaN,"b":-Infinity,"c":[Infinity],"d":"NaN \" -Infinity","e":1.50,"f":1e999,"g":None,"h":-2,"i":True}"#;
        let expected = r#"{"a":null,"b":null,"c":[null],"d":"NaN \" -Infinity","e":1.50,"f":null,"g":null,"h":-2,"i":true}"#;
        assert_eq!(repaired(text), expected);
    }

    #[test]
    fn half_a_surrogate_pair_is_a_replacement_and_a_whole_one_stays() {
        let cases = [
            (r#""a\ud83db""#, "\"a\u{fffd}b\""),
            (r#""\ude00""#, "\"\u{fffd}\""),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00""#, "\"\u{fffd}\\ud83d\\ude00\""),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\u00e9\uzzzz""#, r#""\u00e9\uzzzz""#),
            (r#""\ud83d\u0041""#, "\"\u{fffd}\\u0041\""),
        ];
        for (text, expected) in cases {
            assert_eq!(repaired(text), expected, "{text}");
        }
    }

    #[test]
    fn line_ends_inside_a_text_are_escaped() {
        assert_eq!(repaired("{\"a\":\"x\ny\t\"}\n"), "{\"a\":\"x\\u000ay\\u0009\"}\n");
    }

    proptest! {
        #[test]
        fn valid_json_means_the_same_repaired(text in ".*", number: i64) {
            let json = serde_json::json!({ text.clone(): [text, number, null, true] }).to_string();
            let read: Value = serde_json::from_str(&repaired(&json)).unwrap();
            prop_assert_eq!(read.to_string(), json);
        }

        #[test]
        fn any_text_is_taken(text in ".*", units in proptest::collection::vec(0xd700_u16..0xe100, 0..5)) {
            let _ = repaired(&text);
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let quoted = repaired(&format!("\"{escaped}\""));
            prop_assert!(serde_json::from_str::<String>(&quoted).is_ok());
        }
    }
}
