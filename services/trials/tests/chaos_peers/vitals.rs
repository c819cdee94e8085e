//! A process as the system sees it: its memory and its connections.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// Watches one process from a thread of its own.
#[derive(Debug)]
pub(crate) struct Watched {
    seen: Arc<Seen>,
    watching: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    is_over: AtomicBool,
    peak_kib: AtomicU64,
    /// Nothing until its open files could be listed.
    dialled: Mutex<Option<HashSet<SocketAddr>>>,
    udp_sockets: AtomicU64,
}

/// Which looks are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// At memory alone.
    Memory,
    /// At connections as well.
    Connections,
}

impl Watched {
    pub(crate) fn begin(process: u32, look: Look) -> Self {
        let seen = Arc::new(Seen::default());
        let thread_sees = Arc::clone(&seen);
        let watching = std::thread::spawn(move || {
            while !thread_sees.is_over.load(Ordering::Relaxed) {
                thread_sees.peak_kib.fetch_max(memory_kib(process), Ordering::Relaxed);
                if look == Look::Connections {
                    thread_sees.look_at_connections(process);
                }
                std::thread::park_timeout(LOOK_EVERY);
            }
        });
        Self { seen, watching: Some(watching) }
    }

    /// The most memory it had, in KiB, since this was last asked.
    pub(crate) fn take_peak_kib(&self) -> u64 {
        self.seen.peak_kib.swap(0, Ordering::Relaxed)
    }

    /// Whom it dialled, as far as the looks caught it; nothing where its sockets can't be told from others: only root
    /// may list another process's open files, even its own user may not.
    pub(crate) fn dialled(&self) -> Option<HashSet<SocketAddr>> {
        self.seen.dialled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many looks found a UDP socket: names are asked for through them.
    pub(crate) fn udp_sightings(&self) -> u64 {
        self.seen.udp_sockets.load(Ordering::Relaxed)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.seen.is_over.store(true, Ordering::Relaxed);
        if let Some(watching) = self.watching.take() {
            watching.thread().unpark();
            // It ends by itself; what it saw was taken.
            let _ended = watching.join();
        }
    }
}

impl Seen {
    fn look_at_connections(&self, process: u32) {
        let Some(own) = sockets_of(process) else { return };
        let table = |name: &str| {
            let text = std::fs::read_to_string(format!("/proc/{process}/net/{name}")).unwrap_or_default();
            text.lines()
                .skip(1)
                .filter_map(Row::read)
                .filter(|row| own.contains(&row.inode))
                .collect::<Vec<_>>()
        };
        let tcp: Vec<Row> = [table("tcp"), table("tcp6")].concat();
        let listening: HashSet<u16> =
            tcp.iter().filter(|row| row.is_listening).map(|row| row.local.port()).collect();
        let out = tcp.iter().filter(|row| !row.is_listening && !listening.contains(&row.local.port()));
        let out = out.map(|row| row.remote);
        let mut dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        dialled.get_or_insert_default().extend(out);
        drop(dialled);
        let udp = [table("udp"), table("udp6")].concat();
        self.udp_sockets.fetch_add(udp.len() as u64, Ordering::Relaxed);
    }
}

/// Memory that a process has now (`VmRSS`), in KiB; zero once it is gone.
pub(crate) fn memory_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn sockets_of(process: u32) -> Option<HashSet<u64>> {
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let inode = |target: std::path::PathBuf| {
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    Some(targets.filter_map(inode).collect())
}

/// A line of `/proc/net/tcp` and its siblings.
#[derive(Clone, Copy, Debug)]
struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    is_listening: bool,
    inode: u64,
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote) = (address(fields.get(1)?)?, address(fields.get(2)?)?);
        let is_listening = *fields.get(3)? == "0A";
        Some(Self { local, remote, is_listening, inode: fields.get(9)?.parse().ok()? })
    }
}

/// `0100007F:1F90`, with each 32 bits of the address turned around.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let words =
        host.as_bytes().chunks(8).map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok());
    let words: Vec<u32> = words.collect::<Option<_>>()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let host = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some(SocketAddr::new(host, u16::from_str_radix(port, 16).ok()?))
}
