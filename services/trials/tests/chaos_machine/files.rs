//! What lies in a role's folder, and what of it a power cut leaves.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Bytes before a write-ahead log's first frame, and before each frame's page.
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// Where the shared index says whether it is in use, how large pages are, and how many frames are committed.
const IS_USED: usize = 12;
const PAGE_SIZE: usize = 14;
const LAST_FRAME: usize = 16;
const INDEX_HEADER: usize = 48;

/// A database's files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) database: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) index: PathBuf,
}

impl Files {
    pub(crate) fn of(database: &Path) -> Self {
        let beside = |end: &str| {
            let mut name = database.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        Self { database: database.to_owned(), log: beside("-wal"), index: beside("-shm") }
    }

    /// Leaves of a dead process's database what is certain to be on the disk after a power cut, and returns how many
    /// bytes that took away. `tail` says what became of the rest.
    ///
    /// A commit is told in the shared index only once its frames are synced, and a writer goes on only after that: so
    /// the index's last frame is where certainty ends. The index itself is memory.
    pub(crate) fn cut_power(&self, tail: Tail) -> anyhow::Result<u64> {
        let certain = match self.certain_log_bytes()? {
            Some(certain) => certain,
            // Nothing was written since the start, or the start itself was cut.
            None => return Ok(0),
        };
        let log = OpenOptions::new().write(true).open(&self.log)?;
        let length = log.metadata()?.len();
        let lost = length.saturating_sub(certain);
        match tail {
            Tail::Gone => log.set_len(certain.min(length))?,
            Tail::Torn => log.set_len((certain + lost / 2).min(length))?,
            Tail::Garbage => overwrite(&log, certain, lost)?,
        }
        log.sync_all()?;
        std::fs::remove_file(&self.index)?;
        Ok(lost)
    }

    fn certain_log_bytes(&self) -> anyhow::Result<Option<u64>> {
        let Ok(mut index) = File::open(&self.index) else { return Ok(None) };
        let mut header = [0; INDEX_HEADER];
        if !self.log.exists() || index.read_exact(&mut header).is_err() || header[IS_USED] == 0 {
            return Ok(None);
        }
        let page = u16::from_ne_bytes(header[PAGE_SIZE..PAGE_SIZE + 2].try_into()?);
        // 65,536 does not fit, and is written as 1.
        let page = if page == 1 { 65_536 } else { u64::from(page) };
        let frames = u32::from_ne_bytes(header[LAST_FRAME..LAST_FRAME + 4].try_into()?);
        Ok(Some(LOG_HEADER + u64::from(frames) * (FRAME_HEADER + page)))
    }

    /// Copies the database and its log into a folder.
    pub(crate) fn copy_to(&self, folder: &Path) -> anyhow::Result<()> {
        for file in [&self.database, &self.log] {
            if file.exists() {
                std::fs::copy(file, folder.join(file.file_name().context("a file has a name")?))?;
            }
        }
        Ok(())
    }

    /// Puts a copy back.
    pub(crate) fn restore_from(&self, folder: &Path) -> anyhow::Result<()> {
        self.remove();
        for file in [&self.database, &self.log] {
            let copy = folder.join(file.file_name().context("a file has a name")?);
            if copy.exists() {
                std::fs::copy(copy, file)?;
            }
        }
        Ok(())
    }

    /// Moves the database away.
    pub(crate) fn remove(&self) {
        for file in [&self.database, &self.log, &self.index] {
            // Not every file is always there.
            let _gone = std::fs::remove_file(file);
        }
    }
}

/// What became of what was written and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// It is not there.
    Gone,
    /// Half of it is.
    Torn,
    /// Something else is there.
    Garbage,
}

impl Tail {
    pub(crate) const ALL: [Self; 3] = [Self::Gone, Self::Torn, Self::Garbage];
}

fn overwrite(mut file: &File, from: u64, bytes: u64) -> anyhow::Result<()> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(from))?;
    let garbage: Vec<u8> = (0..bytes).map(|number| (number.wrapping_mul(151) >> 3) as u8).collect();
    Ok(file.write_all(&garbage)?)
}
