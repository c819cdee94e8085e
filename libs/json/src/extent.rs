//! How much there is in a JSON text, before anybody makes something of it.

/// Deepest nesting of arrays and objects read. `serde_json` stops at the same depth.
pub const MAX_JSON_DEPTH: usize = 128;

/// How much there is in a JSON text; some numbers for anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How deep arrays and objects nest.
    pub depth: usize,
    /// The most values there can be: one for each comma and each bracket that opens, and one more.
    pub values: usize,
}

impl Extent {
    /// Measures a text. What is not JSON gives some numbers.
    pub fn of(json: &[u8]) -> Self {
        let (mut depth, mut extent) = (0_usize, Self { depth: 0, values: 1 });
        let (mut in_string, mut is_escaped) = (false, false);
        for byte in json {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if in_string => is_escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => (depth, extent.values) = (depth + 1, extent.values + 1),
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' => extent.values += 1,
                _ => {}
            }
            extent.depth = extent.depth.max(depth);
        }
        extent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_commas_in_texts_count_for_nothing() {
        assert_eq!(Extent::of(br#"{"a":[1,2],"b":"[{,\",["}"#), Extent { depth: 2, values: 5 });
        assert_eq!(Extent::of(b"7"), Extent { depth: 0, values: 1 });
    }
}
