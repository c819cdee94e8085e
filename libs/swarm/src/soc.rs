//! Single-owner chunks: a signed chunk at an address that its owner and an identifier determine.

use bytes::Bytes;
use t4t_crypto::WalletKey;
use t4t_types::{Address, SwarmRef, keccak256};

use crate::chunk::{Chunk, ChunkError};
use crate::signature::{self, SIGNATURE_BYTES};

/// Bytes before the wrapped chunk: identifier and signature.
pub const HEADER_BYTES: usize = 32 + SIGNATURE_BYTES;

/// A single-owner chunk whose signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soc {
    id: [u8; 32],
    owner: Address,
    signature: [u8; SIGNATURE_BYTES],
    wrapped: Chunk,
}

/// Bytes that are not a single-owner chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocError {
    /// Too short to hold identifier, signature and span.
    #[error("a single-owner chunk has at least 105 bytes, got {0}")]
    TooShort(usize),
    /// The wrapped chunk is none.
    #[error("the wrapped chunk is malformed")]
    Chunk(#[from] ChunkError),
    /// Nobody can have made the signature, or somebody else did.
    #[error("the signature is not the owner's")]
    Signature,
}

impl Soc {
    /// Signs `wrapped` under the identifier `id`.
    pub fn sign(id: [u8; 32], wrapped: Chunk, key: &WalletKey) -> Self {
        let signature = signature::sign(key, &digest(&id, &wrapped));
        Self { id, owner: key.address(), signature, wrapped }
    }

    /// Puts the parts together and checks that `owner` signed them.
    pub fn from_parts(
        id: [u8; 32],
        owner: Address,
        signature: [u8; 65],
        wrapped: Chunk,
    ) -> Result<Self, SocError> {
        let signer = signature::recover(&signature, &digest(&id, &wrapped));
        if signer != Some(owner) {
            return Err(SocError::Signature);
        }
        Ok(Self { id, owner, signature, wrapped })
    }

    /// Reads `id ‖ signature ‖ span ‖ payload`; the owner is whoever signed it.
    pub fn parse(data: &Bytes) -> Result<Self, SocError> {
        let too_short = SocError::TooShort(data.len());
        let (id, rest) = data.split_first_chunk::<32>().ok_or(too_short)?;
        let (signature, _) = rest.split_first_chunk::<SIGNATURE_BYTES>().ok_or(too_short)?;
        let wrapped = Chunk::parse(data.slice(HEADER_BYTES..))?;
        let owner = signature::recover(signature, &digest(id, &wrapped)).ok_or(SocError::Signature)?;
        Ok(Self { id: *id, owner, signature: *signature, wrapped })
    }

    /// `id ‖ signature ‖ span ‖ payload`, as the network carries it.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from([&self.id[..], &self.signature, self.wrapped.data()].concat())
    }

    /// Where the chunk lies.
    pub fn address(&self) -> SwarmRef {
        address(&self.id, &self.owner)
    }

    /// The identifier.
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// Who signed.
    pub fn owner(&self) -> Address {
        self.owner
    }

    /// The owner's signature, `r ‖ s ‖ v`.
    pub fn signature(&self) -> &[u8; 65] {
        &self.signature
    }

    /// The chunk inside.
    pub fn wrapped(&self) -> &Chunk {
        &self.wrapped
    }
}

/// Where `owner`'s chunk with the identifier `id` lies.
pub fn address(id: &[u8; 32], owner: &Address) -> SwarmRef {
    SwarmRef::new(keccak256([&id[..], owner.as_bytes()].concat()))
}

/// The identifier of update `index` in the sequential feed `topic`.
pub fn feed_update_id(topic: &[u8; 32], index: u64) -> [u8; 32] {
    keccak256([&topic[..], &index.to_be_bytes()].concat())
}

fn digest(id: &[u8; 32], wrapped: &Chunk) -> [u8; 32] {
    keccak256([&id[..], wrapped.address().as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "0x8d3766440f0d7b949a5e32995d09619a7f86e632";
    const ADDRESS: &str = "9d453ebb73b2fedaaf44ceddcf7a0aa37f3e3d6453fea5841c31f0ea6d61dc85";
    const SIGNATURE: &str = "5acd384febc133b7b245e5ddc62d82d2cded9182d2716126cd8844509af65a05\
                             3deb418208027f548e3e88343af6f84a8772fb3cebc0a1833a0ea7ec0c1348311b";

    fn published() -> Soc {
        let signature = hex::decode(SIGNATURE).unwrap().try_into().unwrap();
        let wrapped = Chunk::content(b"foo").unwrap();
        Soc::from_parts([0; 32], OWNER.parse().unwrap(), signature, wrapped).unwrap()
    }

    #[test]
    fn the_published_chunk_holds() {
        let soc = published();
        assert_eq!(soc.address().to_string(), ADDRESS);
        assert_eq!(Soc::parse(&soc.to_bytes()), Ok(soc));
    }

    #[test]
    fn signing_gives_the_published_bytes() {
        let key = "b81dcb6350c980d80602e37c8d42ca7cf1ca93e85240bac7879cf7cecaeca9c6";
        let key = WalletKey::from_bytes(&hex::decode(key).unwrap().try_into().unwrap()).unwrap();
        let id = "dca3f4c3774dd47981cf0b94a92c06c8d3381a38a64d8cd09c05d4bf150faf26";
        let payload = "9c8ccbc83456dbd31512e18b9d762e3f685d438ccf887db427d96f4bb6485afd\
                       0bc975a3f8266fd58d67b5ea0c1d7d0c0ab08f706d0e115f3702000a35727df5";
        let wrapped = Chunk::content(&hex::decode(payload).unwrap()).unwrap();
        let soc = Soc::sign(hex::decode(id).unwrap().try_into().unwrap(), wrapped, &key);
        let expected = "e2c17eec6aad863abdefd7e44632311be1557853876f5da6880640c6d5dee8d3\
                        0af2112907e4de36ce646aa3ae9c08c5bd7f3d2f9e1d85c313bcd7da44b8f1f01c";
        assert_eq!(hex::encode(soc.signature()), expected);
        assert_eq!(
            soc.address().to_string(),
            "73b1555924bbd3dc8215d705ee7019a9da414dc57745db821985f273104d319d"
        );
    }

    #[test]
    fn a_changed_payload_or_another_owner_is_refused() {
        let soc = published();
        let other = Chunk::content(b"fop").unwrap();
        let changed = Soc::from_parts(*soc.id(), soc.owner(), *soc.signature(), other);
        assert_eq!(changed, Err(SocError::Signature));
        let stranger = Soc::from_parts(*soc.id(), Address::ZERO, *soc.signature(), soc.wrapped().clone());
        assert_eq!(stranger, Err(SocError::Signature));
        assert_eq!(Soc::parse(&Bytes::from_static(&[1; 50])), Err(SocError::TooShort(50)));
    }
}
