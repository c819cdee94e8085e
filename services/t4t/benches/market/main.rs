//! What the market costs on one machine, in time, memory and questions to the chain: `just bench [PART…]`.
//!
//! It starts the release build of `t4t` as an operator would and uses it as an app would. It judges nobody: whatever
//! the figures are, it ends well, and each row says whether it reached what it must.
#![expect(clippy::print_stdout, reason = "the figures are the program's output")]

mod at_once;
mod blocks;
mod chain_calls;
mod counting;
mod crowd;
mod dev;
mod directory;
mod machine;
mod memory;
mod mining;
mod samples;
mod soak;
mod table;

use anyhow::bail;

use self::table::Table;

/// The parts, in the order in which they run. The last one runs only when it is asked for.
const PARTS: [&str; 6] = ["mining", "directory", "at-once", "blocks", "chain-calls", SOAK];

const SOAK: &str = "soak";

fn main() -> anyhow::Result<()> {
    // An error here means that a provider is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let wanted = wanted()?;
    println!("{}", machine::description());
    let mut table = Table::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let is_wanted = |part: &&str| match wanted.as_slice() {
        [] => *part != SOAK,
        wanted => wanted.iter().any(|it| it == part),
    };
    for part in PARTS.into_iter().filter(is_wanted) {
        println!("\n## {part} (load {})", machine::load());
        match part {
            "mining" => mining::measure(&mut table)?,
            "directory" => directory::measure(&mut table)?,
            "at-once" => runtime.block_on(at_once::measure(&mut table))?,
            "blocks" => runtime.block_on(blocks::measure(&mut table))?,
            "chain-calls" => runtime.block_on(chain_calls::measure(&mut table))?,
            _ => runtime.block_on(soak::measure())?,
        }
    }
    if !table.is_empty() {
        println!("\n{table}");
    }
    Ok(())
}

fn wanted() -> anyhow::Result<Vec<String>> {
    // Cargo itself passes `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match wanted.iter().find(|part| !PARTS.contains(&part.as_str())) {
        Some(unknown) => bail!("there is no part {unknown}; there are {}", PARTS.join(", ")),
        None => Ok(wanted),
    }
}
