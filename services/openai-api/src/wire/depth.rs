//! How deep JSON is nested.

/// The deepest nesting that JSON parsers behind this one take.
pub(crate) const MAX_DEPTH: usize = 128;

/// Whether valid JSON is nested at most [`MAX_DEPTH`] deep. Skipping a value costs a parser no stack, so a depth bomb
/// in an unknown field would pass here and break what reads it later.
pub(crate) fn is_shallow(json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_strings_only() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_shallow(nested(MAX_DEPTH).as_bytes()));
        assert!(!is_shallow(nested(MAX_DEPTH + 1).as_bytes()));
        let text = format!(r#"{{"a":"\"{}\\","b":[[]]}}"#, "[".repeat(500));
        assert!(is_shallow(text.as_bytes()));
    }

    #[test]
    fn siblings_are_not_depth() {
        assert!(is_shallow(format!("[{}[]]", "[],".repeat(1000)).as_bytes()));
    }
}
