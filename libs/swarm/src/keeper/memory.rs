//! The file that remembers which batch is in use.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use t4t_types::{Address, BatchId, UnixSeconds};
use tracing::{info, warn};

use super::StampKeeper;

/// How a batch was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StampSource {
    /// The operator named it.
    Configured,
    /// It was in use before.
    Remembered,
    /// It has our label.
    Label,
    /// It was bought.
    Bought,
    /// It was the usable one that lasts longest.
    Any,
}

/// A batch of an earlier run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Remembered {
    pub(super) batch_id: BatchId,
    label: String,
    /// The node that owns it, where that was written down.
    #[serde(default)]
    node: Option<Address>,
    /// When it will have ended, as far as was known.
    #[serde(default)]
    pub(super) ends_at: Option<UnixSeconds>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Remember<'a> {
    batch_id: BatchId,
    label: &'a str,
    source: StampSource,
    persisted_at: UnixSeconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<UnixSeconds>,
}

impl StampKeeper {
    /// The batch of an earlier run, if it was ours and this node's.
    pub(super) async fn remembered(&self, node: Option<Address>) -> Option<Remembered> {
        let file = self.config.state_file.as_ref()?;
        let text = match tokio::fs::read(file).await {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(%error, file = %file.display(), "the remembered batch is not readable");
                return None;
            }
        };
        let remembered = match serde_json::from_slice::<Remembered>(&text) {
            Ok(remembered) => remembered,
            Err(error) => {
                warn!(%error, file = %file.display(), "the remembered batch is malformed");
                return None;
            }
        };
        let is_anothers = remembered.node.is_some() && node.is_some() && remembered.node != node;
        if is_anothers {
            info!(batch = %remembered.batch_id, "the remembered batch is another Bee node's");
        }
        (remembered.label == self.config.label && !is_anothers).then_some(remembered)
    }

    /// Writes the batch down. A failure costs no more than a search by label at the next start.
    pub(super) async fn remember(
        &self,
        batch_id: BatchId,
        source: StampSource,
        node: Option<Address>,
        ends_at: Option<UnixSeconds>,
    ) {
        let Some(file) = self.config.state_file.clone() else { return };
        let persisted_at = self.bee.clock().now();
        let label = &self.config.label;
        let remember = Remember { batch_id, label, source, persisted_at, node, ends_at };
        let text = serde_json::to_vec(&remember).expect("plain fields become JSON");
        let shown = file.display().to_string();
        let written = tokio::task::spawn_blocking(move || write_safely(&file, &text)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, file = shown, "the batch could not be remembered"),
            Err(error) => warn!(%error, file = shown, "the batch could not be remembered"),
        }
    }
}

/// Replaces a file; the new one is on the disk when this returns, and there is never half of one.
pub(super) fn write_safely(file: &Path, text: &[u8]) -> io::Result<()> {
    let unfinished = file.with_extension("json.new");
    let mut new = File::create(&unfinished)?;
    new.write_all(text)?;
    new.sync_all()?;
    std::fs::rename(&unfinished, file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
