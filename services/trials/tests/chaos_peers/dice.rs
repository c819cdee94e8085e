//! Dice that fall the same way for the same seed and name.

use t4t_types::keccak256;

/// Repeatable dice.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    seed: [u8; 32],
    thrown: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self { seed: keccak256(format!("{seed} {name}")), thrown: 0 }
    }

    /// 32 bytes that were not thrown before.
    pub(crate) fn hash(&mut self) -> [u8; 32] {
        self.thrown += 1;
        keccak256([&self.seed[..], &self.thrown.to_be_bytes()].concat())
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let [a, b, c, d, ..] = self.hash();
        usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or_default() % end.max(1)
    }

    /// So many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 32);
        while bytes.len() < count {
            // One throw for a kilobyte: megabytes are wanted as well, and nobody looks that closely.
            bytes.extend_from_slice(&self.hash().repeat(32));
        }
        bytes.truncate(count);
        bytes
    }
}
