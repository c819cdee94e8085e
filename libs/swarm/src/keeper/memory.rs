//! The file that remembers which batch is in use.

use serde::{Deserialize, Serialize};
use t4t_types::{BatchId, UnixSeconds};
use tracing::warn;

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

#[derive(Deserialize)]
struct Remembered {
    #[serde(rename = "batchId")]
    batch_id: BatchId,
    label: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Remember<'a> {
    batch_id: BatchId,
    label: &'a str,
    source: StampSource,
    persisted_at: UnixSeconds,
}

impl StampKeeper {
    /// The batch of an earlier run, if it was ours.
    pub(super) async fn remembered(&self) -> Option<BatchId> {
        let file = self.config.state_file.as_ref()?;
        let text = match tokio::fs::read(file).await {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(%error, file = %file.display(), "the remembered batch is not readable");
                return None;
            }
        };
        match serde_json::from_slice::<Remembered>(&text) {
            Ok(remembered) => (remembered.label == self.config.label).then_some(remembered.batch_id),
            Err(error) => {
                warn!(%error, file = %file.display(), "the remembered batch is malformed");
                None
            }
        }
    }

    /// Writes the batch down. A failure costs no more than a search by label at the next start.
    pub(super) async fn remember(&self, batch_id: BatchId, source: StampSource) {
        let Some(file) = &self.config.state_file else { return };
        let persisted_at = self.bee.clock().now();
        let remember = Remember { batch_id, label: &self.config.label, source, persisted_at };
        let text = serde_json::to_vec(&remember).expect("plain fields become JSON");
        let unfinished = file.with_extension("json.new");
        let written = async {
            tokio::fs::write(&unfinished, text).await?;
            tokio::fs::rename(&unfinished, file).await
        };
        if let Err(error) = written.await {
            warn!(%error, file = %file.display(), "the batch could not be remembered");
        }
    }
}
