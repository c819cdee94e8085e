//! A table whose cells wrap at their column's width.

use std::fmt::Write;

const HEADINGS: [&str; 5] = ["#", "WHAT IS TRIED", "RUNS", "FOUND", "MUST HOLD"];

/// The widest that each column becomes, in characters.
const WIDEST: [usize; 5] = [2, 34, 12, 52, 48];

/// Columns stand this far apart.
const GAP: usize = 2;

const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// What stands in a cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    is_red: bool,
}

impl Cell {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_red: false }
    }

    pub(crate) fn red(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_red: true }
    }
}

/// The table as text, with a line's end after each line.
pub(crate) fn table(rows: &[[Cell; 5]], has_colour: bool) -> String {
    let headings = HEADINGS.map(Cell::plain);
    let all: Vec<&[Cell; 5]> = std::iter::once(&headings).chain(rows).collect();
    let width = |column: usize| {
        let widths = all.iter().map(|row| row[column].text.chars().count());
        widths.max().unwrap_or(0).min(WIDEST[column])
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for row in all {
        let wrapped: Vec<Vec<String>> =
            row.iter().zip(widths).map(|(cell, width)| wrap(&cell.text, width)).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            text.push_str(&one_line(row, &wrapped, &widths, line, has_colour));
            text.push('\n');
        }
    }
    text
}

fn one_line(
    row: &[Cell; 5],
    wrapped: &[Vec<String>],
    widths: &[usize],
    line: usize,
    has_colour: bool,
) -> String {
    let mut text = String::new();
    for ((cell, lines), width) in row.iter().zip(wrapped).zip(widths) {
        let part = lines.get(line).map_or("", String::as_str);
        let width = width + GAP;
        // Writing to a text does not fail.
        let _written = match has_colour && cell.is_red && !part.is_empty() {
            true => write!(text, "{RED}{part:<width$}{PLAIN}"),
            false => write!(text, "{part:<width$}"),
        };
    }
    text.trim_end().to_owned()
}

/// Breaks a text between words; a longer word gets a line of its own, and a wider column than it should have.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_long_cells_wrap_between_words() {
        let long = "every job ends; 0 double posts; 0 slashed; and more than fits in one line of this column";
        let row = [
            Cell::plain("2"),
            Cell::plain("faults"),
            Cell::plain("60"),
            Cell::red("missing"),
            Cell::plain(long),
        ];
        let text = table(&[row], true);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("\u{1b}[31mmissing"));
        assert_eq!(lines[0].find("MUST"), lines[2].find(char::is_alphanumeric));
    }
}
