//! One process a folder: two that share a wallet or a database would undo each other's work.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// A folder that belongs to this process until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

/// The folder can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another t4t process uses {}: stop it, or use another folder (T4T_DATA_DIR)", .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// It can't be made or written.
    #[error("the folder {} can't be written: use another one (T4T_DATA_DIR)", .folder.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl FolderLock {
    /// Takes the folder, and makes it, readable by its owner alone, if it is not there.
    ///
    /// # Errors
    /// [`LockError`], which says what to do.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let unwritable = |source| LockError::Unwritable { folder: folder.to_owned(), source };
        make_private(folder).map_err(unwritable)?;
        let file = File::create(folder.join("lock")).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::InUse { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unwritable(source)),
        }
    }
}

/// Makes a folder that only its owner can read; one that is there is left as it is.
///
/// # Errors
/// What the system says.
pub fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_process_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("deep/data");
        let lock = FolderLock::take(&folder).unwrap();
        let second = FolderLock::take(&folder).unwrap_err();
        assert!(second.to_string().contains("another t4t process"), "{second}");
        drop(lock);
        FolderLock::take(&folder).unwrap();
    }
}
