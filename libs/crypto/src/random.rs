//! Random bytes of the operating system.

use crate::CryptoError;

/// Draws `N` bytes from the operating system's generator.
///
/// # Errors
/// [`CryptoError::NoRandomness`] if the system has none to give.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(CryptoError::NoRandomness)?;
    Ok(bytes)
}
