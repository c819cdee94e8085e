//! Prints the table of what was tried to break the market, out of the lines that the suites wrote.
//!
//! `chaos-table [--json] [--complete] FILE`: FILE is what `CHAOS_REPORT` named. With `--complete` a scenario that nobody
//! reported is an error.

mod layout;
mod scenarios;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::Serialize;
use t4t_testkit::chaos::Row;

use self::layout::Cell;
use self::scenarios::{SCENARIOS, Scenario};

/// A scenario and what was found of it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    scenario: &'a Scenario,
    missing: bool,
    rows: Vec<&'a Row>,
}

struct Arguments {
    file: String,
    as_json: bool,
    must_be_complete: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = arguments(std::env::args().skip(1))?;
    let text = std::fs::read_to_string(&arguments.file).with_context(|| arguments.file.clone())?;
    let rows = read(&text)?;
    let lines = lines(&rows);
    let mut out = io::stdout().lock();
    if arguments.as_json {
        writeln!(out, "{}", serde_json::to_string_pretty(&lines)?)?;
    } else {
        let has_colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        write!(out, "{}", layout::table(&cells(&lines), has_colour))?;
    }
    let is_short = arguments.must_be_complete && lines.iter().any(|line| line.missing);
    Ok(if is_short { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn arguments(given: impl Iterator<Item = String>) -> anyhow::Result<Arguments> {
    let mut arguments = Arguments { file: String::new(), as_json: false, must_be_complete: false };
    for argument in given {
        match argument.as_str() {
            "--json" => arguments.as_json = true,
            "--complete" => arguments.must_be_complete = true,
            option if option.starts_with('-') => bail!("there is no option {option}"),
            _ => arguments.file = argument,
        }
    }
    if arguments.file.is_empty() {
        bail!("usage: chaos-table [--json] [--complete] FILE");
    }
    Ok(arguments)
}

fn read(text: &str) -> anyhow::Result<Vec<Row>> {
    let rows = text.lines().filter(|line| !line.trim().is_empty());
    rows.map(|line| serde_json::from_str(line).with_context(|| format!("not a row: {line}"))).collect()
}

/// Every scenario with its rows; several suites may report one.
fn lines(rows: &[Row]) -> Vec<Line<'_>> {
    let line = |scenario: &'static Scenario| {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.number == scenario.number).collect();
        Line { scenario, missing: rows.is_empty(), rows }
    };
    SCENARIOS.iter().map(line).collect()
}

fn cells(lines: &[Line<'_>]) -> Vec<[Cell; 5]> {
    let mut cells = Vec::new();
    for line in lines {
        let number = line.scenario.number.to_string();
        let must_hold = line.scenario.must_hold;
        if line.missing {
            let (tried, runs) = (Cell::plain(line.scenario.tried), Cell::plain("-"));
            cells.push([
                Cell::plain(number.as_str()),
                tried,
                runs,
                Cell::red("missing"),
                Cell::plain(must_hold),
            ]);
        }
        for (at, row) in line.rows.iter().enumerate() {
            let (number, must_hold) = if at == 0 { (number.as_str(), must_hold) } else { ("", "") };
            let (tried, found) = (Cell::plain(&row.tried), Cell::plain(&row.found));
            let runs = Cell::plain(row.runs.to_string());
            cells.push([Cell::plain(number), tried, runs, found, Cell::plain(must_hold)]);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reported_is_missing_and_several_rows_share_a_number() {
        let text = concat!(
            r#"{"number":1,"tried":"kill -9","runs":18,"found":"0 lost"}"#,
            "\n",
            r#"{"number":1,"tried":"kill -9, random","runs":20,"found":"0 lost"}"#,
            "\n"
        );
        let rows = read(text).unwrap();
        let lines = lines(&rows);
        assert_eq!(lines.len(), SCENARIOS.len());
        assert_eq!(lines[0].rows.len(), 2);
        assert_eq!(lines.iter().filter(|line| line.missing).count(), SCENARIOS.len() - 1);
        let table = layout::table(&cells(&lines), false);
        assert_eq!(table.matches("missing").count(), SCENARIOS.len() - 1);
        assert!(table.contains("kill -9, random"));
    }

    #[test]
    fn a_line_that_is_no_row_is_shown() {
        assert!(format!("{:#}", read("half a li").unwrap_err()).contains("half a li"));
    }

    #[test]
    fn the_scenarios_are_numbered_from_one() {
        assert!(SCENARIOS.iter().map(|scenario| scenario.number).eq(1..=17));
    }
}
