//! How much content may come into memory.

use async_trait::async_trait;

use crate::SwarmError;

/// Lets content into memory by its size, which shows when it begins to come.
#[async_trait]
pub trait Admission: Send + Sync {
    /// Waits until there is room for `bytes` and returns how many there is room for, which may be more.
    ///
    /// # Errors
    /// [`SwarmError::TooLarge`]: that many are not let in at all.
    async fn admit(&self, bytes: usize) -> Result<usize, SwarmError>;

    /// Told how many bytes have come so far.
    fn came(&self, _bytes: usize) {}
}
