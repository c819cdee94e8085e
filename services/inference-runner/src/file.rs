//! The file that names the backends, looked at while the runner runs.

use std::path::PathBuf;

use t4t_panics::Lock;
use t4t_types::keccak256;

use crate::endpoints::{Endpoints, EndpointsError};

/// The file, and what it held when it was last looked at.
#[derive(Debug)]
pub(crate) struct WatchedFile {
    path: PathBuf,
    seen: Lock<[u8; 32]>,
    /// What was wrong with it when it was last looked at, so that it is said once.
    problem: Lock<Option<String>>,
}

impl WatchedFile {
    /// The file as it is now: what it holds is in use.
    pub(crate) fn new(path: PathBuf) -> Self {
        let seen = std::fs::read(&path).map(keccak256).unwrap_or_default();
        Self { path, seen: Lock::new(seen), problem: Lock::default() }
    }

    /// The file's backends, if it changed since it was last looked at. A change that can't be used is an error line, and
    /// what was in use before stays.
    pub(crate) async fn changed(&self) -> Option<Endpoints> {
        let text = match tokio::fs::read(&self.path).await {
            Ok(text) => text,
            Err(source) => {
                // Editors take a file away for a moment.
                self.complain(&EndpointsError::Unreadable { path: self.path.clone(), source });
                return None;
            }
        };
        let hash = keccak256(&text);
        if std::mem::replace(&mut *self.seen.lock(), hash) == hash {
            return None;
        }
        match Endpoints::parse(&self.path, &text) {
            Ok(endpoints) => {
                *self.problem.lock() = None;
                Some(endpoints)
            }
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    fn complain(&self, error: &EndpointsError) {
        let mut told = self.problem.lock();
        let problem = error.to_string();
        if told.as_ref() != Some(&problem) {
            tracing::error!(error = %problem, "the changed list of backends can't be used: the last good one stays in use");
            *told = Some(problem);
        }
    }
}
