//! What `t4t dev` is told.

use std::path::PathBuf;

use clap::Args;
use t4t_types::Address;
use url::Url;

/// Runs the whole market on this machine. Every run starts a fresh market.
#[derive(Clone, Debug, Args)]
pub struct DevArgs {
    /// The inference backend (Ollama, vLLM, llama.cpp, any OpenAI-compatible server).
    #[arg(long, value_name = "URL")]
    pub(crate) backend: Option<Url>,
    /// The gateway's port.
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// Where databases, keys and the chain program are kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Removes everything in the folder first, the chain program too.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Seconds between blocks; 0 makes a block for each transaction at once.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) block_time: u64,
    /// Gives this wallet 1,000 xBZZ and 1,000 xDAI on the fresh chain, for a role that is started beside it. May be given
    /// more than once.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) fund: Vec<Address>,
    /// Makes everything outside go wrong, kills the roles now and then, and shows it all and the money, live.
    #[arg(long)]
    pub(crate) chaos: bool,
    /// Throws these dice; otherwise others each time. The number in use is shown.
    #[arg(long, value_name = "N", requires = "chaos")]
    pub(crate) chaos_seed: Option<u64>,
    /// Leaves out the small app that asks one request a second: ask with your own.
    #[arg(long, requires = "chaos", conflicts_with = "check")]
    pub(crate) chaos_quiet: bool,
    /// Buys two answers, checks the money to the last PLUR, and ends.
    #[arg(long)]
    pub(crate) check: bool,
    /// Writes JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}
