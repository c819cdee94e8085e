//! Reading and creating small secret files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::{KeyFileError, KeyFileProblem, group};

/// The largest key file read. A keystore has about 500 bytes.
const MAX_BYTES: u64 = 16 * 1024;
/// Permission bits that let others read or write.
const OTHERS_BITS: u32 = 0o006;
/// Permission bits that let the file's group read or write.
const GROUP_BITS: u32 = 0o060;
/// Permission bits of a new key file.
const PRIVATE_MODE: u32 = 0o600;

/// Reads a key file as text, erased when dropped.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    // A link is not followed: whoever may change it would choose the key.
    let found = fs::symlink_metadata(path).map_err(reading);
    let read = found.and_then(|found| read_text(path, &found));
    read.map_err(|problem| KeyFileError::new(path, problem))
}

/// The same for a file that a link may lead to, as the secrets that a cluster mounts are.
pub(super) fn read_linked(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let found = fs::metadata(path).map_err(reading);
    let read = found.and_then(|found| read_text(path, &found));
    read.map_err(|problem| KeyFileError::new(path, problem))
}

fn read_text(path: &Path, found: &fs::Metadata) -> Result<Zeroizing<String>, KeyFileProblem> {
    let bytes = read_bytes(path, found)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(KeyFileProblem::Malformed("it is not text".into())),
    }
}

fn read_bytes(path: &Path, found: &fs::Metadata) -> Result<Zeroizing<Vec<u8>>, KeyFileProblem> {
    // Before opening: a pipe would block the open itself.
    check(path, found)?;
    let file = File::open(path).map_err(reading)?;
    check(path, &file.metadata().map_err(reading)?)?;
    // Room for all of it at once, so that growing leaves no copy of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 1));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(reading)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(KeyFileProblem::TooLarge { limit: MAX_BYTES });
    }
    Ok(bytes)
}

fn check(path: &Path, metadata: &fs::Metadata) -> Result<(), KeyFileProblem> {
    if metadata.is_symlink() {
        return Err(KeyFileProblem::Link);
    }
    if !metadata.is_file() {
        return Err(KeyFileProblem::NotAFile);
    }
    let mode = metadata.permissions().mode() & 0o7777;
    // Clusters let a pod's own group read and write whatever is in its volumes.
    let is_open_to_group = mode & GROUP_BITS != 0 && !group::is_ours_alone(metadata.gid());
    if mode & OTHERS_BITS != 0 || is_open_to_group {
        return Err(KeyFileProblem::Exposed { mode, path: path.to_owned() });
    }
    if metadata.len() > MAX_BYTES {
        return Err(KeyFileProblem::TooLarge { limit: MAX_BYTES });
    }
    Ok(())
}

/// Creates a file that only its owner can read, and returns once it and its folder's entry are on the disk.
///
/// An existing file is left as it is; a file that could not be written in full is removed again.
pub(super) fn create(path: &Path, parts: &[&[u8]]) -> Result<(), KeyFileError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_MODE).open(path);
    let file = opened.map_err(|error| KeyFileError::new(path, writing(error)))?;
    let written = write_all(file, parts).and_then(|()| sync_folder_of(path));
    written.map_err(|error| {
        // Half a key helps nobody and would block the next try. If even this fails, the error below says enough.
        let _ = fs::remove_file(path);
        KeyFileError::new(path, writing(error))
    })
}

fn write_all(mut file: File, parts: &[&[u8]]) -> io::Result<()> {
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

fn reading(source: io::Error) -> KeyFileProblem {
    match source.kind() {
        io::ErrorKind::NotFound => KeyFileProblem::Missing,
        _ => KeyFileProblem::Io { action: "read", source },
    }
}

fn writing(source: io::Error) -> KeyFileProblem {
    match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileProblem::Exists,
        _ => KeyFileProblem::Io { action: "written", source },
    }
}
