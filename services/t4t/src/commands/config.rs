//! `t4t config`: what holds, where it comes from, and what can be set.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use t4t_runtime::Settings;
use t4t_runtime::config::{Key, Shown, keys, reference};

use t4t_terminal::output::{self, Table};

/// Shows the settings.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Shows what holds; secrets stay hidden.
    Show {
        /// Says for each setting where it comes from.
        #[arg(long)]
        origin: bool,
        /// Writes JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lists everything that can be set.
    Keys {
        /// Writes JSON.
        #[arg(long)]
        json: bool,
        /// Writes the page `docs/configuration.md`.
        #[arg(long)]
        markdown: bool,
    },
    /// Checks the settings and says nothing if they are right.
    Validate,
}

#[derive(Serialize)]
struct ShownJson<'a> {
    name: &'a str,
    value: &'a str,
    origin: &'a str,
}

#[derive(Serialize)]
struct KeyJson<'a> {
    name: &'a str,
    values: String,
    default: Option<&'a str>,
    unit: &'a str,
    role: &'a str,
    doc: &'a str,
}

/// Runs `t4t config`.
pub(crate) fn run(args: &ConfigArgs, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let load = || Settings::from_process(file, Vec::new());
    match args.command {
        ConfigCommand::Show { origin, json } => show(&load()?, origin, json)?,
        ConfigCommand::Keys { markdown: true, .. } => output::line(reference().trim_end())?,
        ConfigCommand::Keys { json, .. } => list(json)?,
        ConfigCommand::Validate => _ = load()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(settings: &Settings, origin: bool, json: bool) -> anyhow::Result<()> {
    let shown = settings.shown();
    if json {
        let as_json = |shown: &Shown| -> serde_json::Result<_> {
            serde_json::to_value(ShownJson { name: shown.name, value: &shown.value, origin: &shown.origin })
        };
        let all: Vec<_> = shown.iter().map(as_json).collect::<Result<_, _>>()?;
        return Ok(output::json(&all)?);
    }
    let mut table =
        if origin { Table::new(["SETTING", "VALUE", "FROM"]) } else { Table::new(["SETTING", "VALUE"]) };
    for Shown { name, value, origin: from } in shown {
        match origin {
            true => table.row([name.to_owned(), value, from]),
            false => table.row([name.to_owned(), value]),
        }
    }
    Ok(table.print()?)
}

fn list(json: bool) -> anyhow::Result<()> {
    if json {
        let all: Vec<_> = keys::ALL.iter().map(|key| describe(key)).collect();
        return Ok(output::json(&all)?);
    }
    let mut table = Table::new(["SETTING", "DEFAULT", "READ BY", "WHAT IT IS"]);
    for key in keys::ALL {
        let default = key.default.unwrap_or("-").to_owned();
        table.row([key.name.to_owned(), default, key.role.name().to_owned(), key.doc.to_owned()]);
    }
    Ok(table.print()?)
}

fn describe(key: &Key) -> KeyJson<'_> {
    KeyJson {
        name: key.name,
        values: key.kind.expected(),
        default: key.default,
        unit: key.unit,
        role: key.role.name(),
        doc: key.doc,
    }
}
