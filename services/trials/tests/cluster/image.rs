//! What `deploy/Dockerfile` says of the image: its environment, its user and what it starts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// `ENV`.
    pub(crate) environment: BTreeMap<String, String>,
    /// `USER`.
    pub(crate) user: u32,
    /// `ENTRYPOINT`.
    pub(crate) entrypoint: Vec<String>,
}

/// The folder of the manifests and compose files.
pub(crate) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").canonicalize().unwrap()
}

impl Image {
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(deploy().join("Dockerfile")).unwrap();
        let text = text.replace("\\\n", " ");
        let (_, last_stage) = text.rsplit_once("\nFROM ").unwrap();
        let of = |word: &str| last_stage.lines().find_map(|line| line.strip_prefix(word)).unwrap().trim();
        let variable = |pair: &str| pair.split_once('=').map(|(name, value)| (name.into(), value.into()));
        Self {
            environment: of("ENV ").split_whitespace().filter_map(variable).collect(),
            user: of("USER ").split(':').next().unwrap().parse().unwrap(),
            entrypoint: serde_json::from_str(of("ENTRYPOINT ")).unwrap(),
        }
    }
}
