//! What people and programs read: results on standard output, errors on standard error.

use std::io::{self, Write};

use serde::Serialize;

/// Columns stand this far apart.
const GAP: usize = 2;

/// Writes one line of a result.
///
/// # Errors
/// Nobody reads any more.
pub fn line(text: impl AsRef<str>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref().as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a result as one line of JSON.
///
/// # Errors
/// Nobody reads any more, or the result has no JSON form.
pub fn json(result: &impl Serialize) -> io::Result<()> {
    line(serde_json::to_string(result)?)
}

/// Whether the error is that nobody reads the output any more.
pub fn is_unread(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Shows an error and each of its causes on a line of its own.
pub fn show_error(error: &anyhow::Error) {
    let mut err = io::stderr().lock();
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  because: {cause}\n"));
    }
    // Nothing is left to do where standard error is closed.
    let _ = err.write_all(text.as_bytes());
}

/// A table whose columns are as wide as their widest cell.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a line of headings.
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned).to_vec()] }
    }

    /// A table without headings.
    pub fn bare() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// The table's lines.
    pub fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |column: usize| {
            let widths = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(widest).collect();
        let pad = |(cell, width): (&String, &usize)| format!("{cell:<0$}", width + GAP);
        let line =
            |row: &Vec<String>| row.iter().zip(&widths).map(pad).collect::<String>().trim_end().to_owned();
        self.rows.iter().map(line).collect()
    }

    /// Writes the table.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub fn print(&self) -> io::Result<()> {
        line(self.lines().join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_end_without_blanks() {
        let mut table = Table::new(["MODEL", "PRICE"]);
        table.row(["llama3:8b".into(), "0.3".into()]);
        table.row(["ü".into(), String::new()]);
        assert_eq!(table.lines(), ["MODEL      PRICE", "llama3:8b  0.3", "ü"]);
    }
}
