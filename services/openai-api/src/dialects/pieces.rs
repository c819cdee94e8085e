//! Cuts a text that arrived whole into the pieces of a stream.

/// The shortest piece worth a chunk of its own, in bytes.
const MIN_PIECE: usize = 128;

/// The number of pieces aimed at for a long text: a chunk has some 200 bytes around its text.
const PIECES: usize = 256;

/// The text in pieces of moderate size, cut between characters and, where there is one near, after a space.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let size = text.len().div_ceil(PIECES).max(MIN_PIECE);
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, tail) = rest.split_at(cut(rest, size));
        rest = tail;
        Some(piece)
    })
}

/// Where to cut `text` so that the piece has about `size` bytes; never 0 for a text that is not empty.
fn cut(text: &str, size: usize) -> usize {
    if text.len() <= size {
        return text.len();
    }
    let end = (1..=size).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    match text[..end].rfind(' ') {
        Some(space) if space >= end / 2 => space + 1,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_text_is_one_piece_and_an_empty_one_is_none() {
        assert_eq!(pieces("hello world").collect::<Vec<_>>(), ["hello world"]);
        assert_eq!(pieces("").count(), 0);
    }

    #[test]
    fn a_long_text_is_cut_after_spaces() {
        let text = "word ".repeat(60);
        let cut: Vec<_> = pieces(&text).collect();
        assert_eq!(cut.len(), 3);
        assert!(cut.iter().all(|piece| piece.ends_with(' ')));
    }

    proptest! {
        #[test]
        fn the_pieces_make_up_the_text(text in "\\PC{0,800}") {
            prop_assert_eq!(pieces(&text).collect::<String>(), text.clone());
            prop_assert!(pieces(&text).all(|piece| !piece.is_empty()));
        }

        #[test]
        fn the_number_of_pieces_is_bounded(length in 0_usize..2_000_000) {
            prop_assert!(pieces(&"x".repeat(length)).count() <= PIECES);
        }
    }
}
