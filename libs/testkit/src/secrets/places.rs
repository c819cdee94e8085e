//! The places that are searched: files, however long, and the memory of processes.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Bytes looked at at a time.
const PIECE: usize = 4 << 20;

/// Hands a file to `look` in pieces that overlap, so that nothing of `longest` bytes is missed between two.
pub(super) fn read_in_pieces(
    file: &mut impl Read,
    longest: usize,
    mut look: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut piece = Vec::new();
    loop {
        let read = file.take(PIECE as u64).read_to_end(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        look(&piece);
        let seen = piece.len().saturating_sub(longest.saturating_sub(1));
        piece.drain(..seen);
    }
}

/// Every regular file below a folder.
pub(super) fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).context(folder.display().to_string()),
        };
        for entry in entries {
            let entry = entry?;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                // Links lead to what is found elsewhere; files that go away hold nothing any more.
                _ => {}
            }
        }
    }
    Ok(files)
}

/// A region of memory: its name and its bytes.
type Region = (String, Vec<u8>);

/// The readable memory of a process; `None` where the system refuses it.
pub(super) fn memory_of(process: u32) -> anyhow::Result<Option<Vec<Region>>> {
    let opened =
        (fs::read_to_string(format!("/proc/{process}/maps")), File::open(format!("/proc/{process}/mem")));
    let (maps, mut memory) = match opened {
        (Ok(maps), Ok(memory)) => (maps, memory),
        (Err(error), _) | (_, Err(error)) if error.kind() == ErrorKind::PermissionDenied => return Ok(None),
        (maps, memory) => (maps?, memory?),
    };
    let mut regions = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        let name = fields.nth(3).unwrap_or("anonymous memory");
        // Only what the process can write can hold a key; what the kernel shares can't be read this way.
        if !rights.starts_with("rw") || name.starts_with("[v") {
            continue;
        }
        let (begin, end) = range.split_once('-').context("a line of maps names no range")?;
        let (begin, end) = (u64::from_str_radix(begin, 16)?, u64::from_str_radix(end, 16)?);
        memory.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        // A region can go away while it is read; what was read of it counts.
        let _cut_short = (&mut memory).take(end - begin).read_to_end(&mut bytes);
        regions.push((name.to_owned(), bytes));
    }
    Ok(Some(regions))
}
