//! The scan refuses what can't be read as a tree, and nothing else.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn scanned(json: &str) -> Result<Extent, ScanError> {
    Scan::whole(json, Scan::skip).map(|((), extent)| extent)
}

#[test]
fn what_passes_is_what_can_be_read_as_a_tree() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let long = |digits: usize| "9".repeat(digits);
    let siblings = format!("[{}1]", "[],".repeat(500));
    let brackets_in_a_text = format!("[{:?}]", "[".repeat(500));
    for json in [
        r#"{"a":[1,-2,0.5,1e300,null,true,"\ud83d\ude00 é"],"b":{}}"#,
        r#""\ud83d""#,
        r#""\udc00\ud800""#,
        r#"{"\ud83d":1}"#,
        r#"[{"a":1e999}]"#,
        r#"["\"\\"]"#,
        r#"["\"]"#,
        r#"["\x"]"#,
        "[1,]",
        "[,1]",
        "[1 2]",
        "{} {}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        "{1:1}",
        "{a:1}",
        "[1}",
        "01",
        "-",
        "-0",
        "-0.0e-0",
        "1.",
        ".5",
        "+1",
        "1e",
        "1E+5",
        "1e-999",
        "nul",
        "nulll",
        "NaN",
        " \t\r\n[ ] ",
        "\u{a0}1",
        "\"a\nb\"",
        "\"\u{7f}\"",
        "\"",
        "\"\\",
        "[",
        "{",
        "",
        " ",
        &nested(127),
        &nested(128),
        &nested(200_000),
        &long(308),
        &long(309),
        &long(310),
        &siblings,
        &brackets_in_a_text,
    ] {
        let shown = &json[..json.len().min(60)];
        let is_tree = serde_json::from_str::<Value>(json).is_ok();
        assert_eq!(scanned(json).is_ok(), is_tree, "{shown} {:?}", scanned(json));
    }
}

#[test]
fn a_fault_says_where_it_is_and_quotes_nothing() {
    let error = scanned("{\n \"a\": secret}").unwrap_err();
    assert_eq!(error.to_string(), "expected a value at line 2 column 7");
}

proptest! {
    #[test]
    fn any_text_passes_exactly_where_a_tree_can_be_made_of_it(
        text in r#"[\[\]{}:," \\"0-9.eEtrufalsn+\-ud8c\n\t]{0,24}"#,
    ) {
        for json in [text.clone(), format!("[{text}]"), format!("\"{text}\""), format!(r#"{{"a":{text}}}"#)] {
            prop_assert_eq!(scanned(&json).is_ok(), serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
        }
    }

    #[test]
    fn what_is_counted_is_what_the_counter_counts(depth in 0_usize..9, text in "[\\[,{}\\]]{0,9}") {
        let json = format!("{}{text:?},2{}", "[".repeat(depth + 1), "]".repeat(depth + 1));
        prop_assert_eq!(scanned(&json).unwrap(), Extent::of(json.as_bytes()));
    }
}
