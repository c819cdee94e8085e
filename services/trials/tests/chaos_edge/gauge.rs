//! What an attack costs the gateway: memory, open files, connections.

use std::fmt;
use std::fs;
use std::net::SocketAddr;

use anyhow::Context;

/// The gateway at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauge {
    /// Memory in use, in KiB.
    pub(crate) memory: u64,
    /// Open files; only root may count another process's, even its own user may not.
    pub(crate) files: Option<usize>,
    /// Established connections at its port.
    pub(crate) connections: usize,
}

impl Gauge {
    /// Looks at a process that listens there.
    pub(crate) fn read(process: u32, address: SocketAddr) -> anyhow::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = memory.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?.parse()?;
        let files = fs::read_dir(format!("/proc/{process}/fd")).ok().map(Iterator::count);
        Ok(Self { memory, files, connections: established(address)? })
    }
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB, {} connections, ", self.memory / 1024, self.connections)?;
        match self.files {
            Some(files) => write!(f, "{files} files"),
            None => f.write_str("files not countable"),
        }
    }
}

/// Connections whose server side is there: taken by the gateway or waiting to be.
fn established(address: SocketAddr) -> anyhow::Result<usize> {
    let port = format!(":{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/tcp")?;
    let is_ours = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _remote, state) = (fields.next(), fields.next(), fields.next());
        local.is_some_and(|local| local.ends_with(&port)) && state == Some("01")
    };
    Ok(table.lines().filter(is_ours).count())
}
