//! The contracts' interfaces: encoding by the embedded ABI, decoding in bounded memory.
//!
//! Answers are read by hand and not by the general decoder, because that one follows every offset it is given: a
//! list of a thousand offsets to one long text would be a thousand long texts.

use std::collections::HashMap;
use std::sync::LazyLock;

use ethers_core::abi::{Abi, Token};
use t4t_types::Address;

use crate::error::ChainError;

/// Bytes of a text that are kept. More than the longest model name, so a cut text equals no valid one.
pub(crate) const MAX_TEXT: usize = 1024;

static V1: LazyLock<HashMap<String, Abi>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../vectors/abi.json"))
        .expect("the embedded interfaces parse, as a test shows")
});

static EXTENSIONS: LazyLock<Abi> = LazyLock::new(|| {
    ethers_core::abi::parse_abi(&[
        "function approve(address spender, uint256 amount) returns (bool)",
        "function transfer(address to, uint256 amount) returns (bool)",
        "function balanceOf(address owner) view returns (uint256)",
        "function allowance(address owner, address spender) view returns (uint256)",
        "function transferAndCall(address to, uint256 value, bytes data) returns (bool)",
        "function DOMAIN_SEPARATOR() view returns (bytes32)",
        "function nonces(address owner) view returns (uint256)",
        "function mint(address to, uint256 amount) returns (bool)",
        "function rejectJob(bytes32 jobId, uint8 reason)",
        "function MIN_JOB_PAYMENT() view returns (uint128)",
        "function MAX_JOB_PAYMENT() view returns (uint128)",
        "function MAX_DELIVERY_WINDOW() view returns (uint64)",
        "function PUBLIC_GRACE() view returns (uint64)",
        "function updateKeys(bytes32 pssPublicKey, bytes32 swarmOverlay)",
        "function updateMetadata(string metadataURI)",
        "function backing(address ownerAddr) view returns (bool, uint128)",
    ])
    .expect("the written interfaces parse, as a test shows")
});

static CHANNELS: LazyLock<Abi> = LazyLock::new(|| {
    let artifact: serde_json::Value =
        serde_json::from_str(crate::deploy::CHANNELS).expect("the embedded artifact parses, as a test shows");
    serde_json::from_value(artifact["abi"].clone()).expect("the embedded interface parses, as a test shows")
});

/// A contract whose functions are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    Registry,
    Escrow,
    Channels,
    /// The token, and what our contracts have beyond version 1.
    Extensions,
}

impl Interface {
    pub(crate) fn abi(self) -> &'static Abi {
        match self {
            Self::Registry => &V1["ProviderRegistry"],
            Self::Escrow => &V1["JobEscrow"],
            Self::Channels => &CHANNELS,
            Self::Extensions => &EXTENSIONS,
        }
    }

    /// Calldata of a function.
    pub(crate) fn encode(self, function: &str, arguments: &[Token]) -> Vec<u8> {
        let function = self.abi().function(function).expect("every name used here is in the interface");
        function.encode_input(arguments).expect("the arguments have the function's types")
    }
}

pub(crate) fn address_token(address: Address) -> Token {
    Token::Address(address.as_bytes().into())
}

pub(crate) fn bytes32_token(bytes: &[u8; 32]) -> Token {
    Token::FixedBytes(bytes.to_vec())
}

pub(crate) fn uint_token(number: impl Into<u128>) -> Token {
    Token::Uint(number.into().into())
}

/// Reads ABI-encoded values one after the other, out of one frame.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    frame: &'a [u8],
    at: usize,
}

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbled(&'static str);

impl Garbled {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self(what)
    }

    pub(crate) fn reading(self, what: &'static str) -> ChainError {
        ChainError::malformed(what, self.0)
    }
}

type Read<T> = Result<T, Garbled>;

impl<'a> Reader<'a> {
    pub(crate) fn new(frame: &'a [u8]) -> Self {
        Self { frame, at: 0 }
    }

    pub(crate) fn word(&mut self) -> Read<[u8; 32]> {
        let rest = self.frame.get(self.at..).unwrap_or_default();
        let word = rest.first_chunk().ok_or(Garbled("the data ends too early"))?;
        self.at += 32;
        Ok(*word)
    }

    pub(crate) fn u128(&mut self) -> Read<u128> {
        let word = self.word()?;
        let (high, low) = word.split_at(16);
        if high.iter().any(|byte| *byte != 0) {
            return Err(Garbled("a number is too large"));
        }
        low.try_into().map(u128::from_be_bytes).map_err(|_| Garbled("a number is too large"))
    }

    /// A number of 256 bits; above 128 bits it becomes the largest of those.
    pub(crate) fn saturating_u128(&mut self) -> Read<u128> {
        let mut peek = self.clone();
        let number = peek.u128().unwrap_or(u128::MAX);
        self.word().map(|_| number)
    }

    pub(crate) fn u64(&mut self) -> Read<u64> {
        u64::try_from(self.u128()?).map_err(|_| Garbled("a number is too large"))
    }

    pub(crate) fn u32(&mut self) -> Read<u32> {
        u32::try_from(self.u128()?).map_err(|_| Garbled("a number is too large"))
    }

    pub(crate) fn u8(&mut self) -> Read<u8> {
        u8::try_from(self.u128()?).map_err(|_| Garbled("a number is too large"))
    }

    pub(crate) fn bool(&mut self) -> Read<bool> {
        match self.u128()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Garbled("a truth value is neither 0 nor 1")),
        }
    }

    pub(crate) fn address(&mut self) -> Read<Address> {
        let word = self.word()?;
        let (padding, bytes) = word.split_at(12);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Garbled("an address has more than 20 bytes"));
        }
        bytes.try_into().map(Address::new).map_err(|_| Garbled("an address has more than 20 bytes"))
    }

    /// The frame that the next offset points at.
    pub(crate) fn frame(&mut self) -> Read<Self> {
        let offset = usize::try_from(self.u128()?).unwrap_or(usize::MAX);
        let frame = self.frame.get(offset..).ok_or(Garbled("an offset points outside of the data"))?;
        Ok(Self::new(frame))
    }

    /// A text: bytes that are no UTF-8 become U+FFFD, and what is longer than [`MAX_TEXT`] is cut.
    pub(crate) fn text(&mut self) -> Read<String> {
        let mut frame = self.frame()?;
        let length = usize::try_from(frame.u128()?).unwrap_or(usize::MAX);
        let bytes = frame.frame.get(32..).unwrap_or_default();
        let text = bytes.get(..length).ok_or(Garbled("a text is longer than the data"))?;
        Ok(String::from_utf8_lossy(&text[..length.min(MAX_TEXT)]).into_owned())
    }

    /// A list of tuples with dynamic parts. What comes after the first `most` is left out.
    pub(crate) fn tuples<T>(&mut self, most: usize, read: impl Fn(Self) -> Read<T>) -> Read<Vec<T>> {
        let mut frame = self.frame()?;
        let length = usize::try_from(frame.u128()?).unwrap_or(usize::MAX);
        let mut items = Self::new(frame.frame.get(32..).unwrap_or_default());
        // Each tuple takes at least its offset, so a length beyond that is a lie.
        if length > items.frame.len() / 32 {
            return Err(Garbled("a list is longer than the data"));
        }
        (0..length.min(most)).map(|_| read(items.frame()?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use ethers_core::abi::{Function, encode};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_embedded_interfaces_parse() {
        assert!(Interface::Registry.abi().function("register").is_ok());
        assert!(Interface::Escrow.abi().function("postJob").is_ok());
        assert!(Interface::Channels.abi().function("openFor").is_ok());
        assert!(Interface::Extensions.abi().function("approve").is_ok());
    }

    #[test]
    fn the_functions_beyond_version_1_are_those_of_our_contracts() {
        let artifacts = [
            include_str!("../../../contracts/artifacts/ProviderRegistry.json"),
            include_str!("../../../contracts/artifacts/JobEscrow.json"),
            include_str!("../../../contracts/artifacts/XbzzToken.json"),
        ];
        let ours: Vec<Abi> = artifacts
            .map(|artifact| serde_json::from_str::<serde_json::Value>(artifact).unwrap()["abi"].take())
            .map(|abi| serde_json::from_value(abi).unwrap())
            .to_vec();
        let same = |wanted: &Function, function: &Function| {
            let outputs = |function: &Function| -> Vec<_> {
                function.outputs.iter().map(|output| output.kind.clone()).collect()
            };
            wanted.short_signature() == function.short_signature() && outputs(wanted) == outputs(function)
        };
        for wanted in Interface::Extensions.abi().functions() {
            let found = ours.iter().flat_map(Abi::functions).any(|function| same(wanted, function));
            assert!(found, "{}", wanted.name);
        }
        // And ours have every function of version 1, so one interface serves both.
        for (theirs, ours) in [(Interface::Registry, &ours[0]), (Interface::Escrow, &ours[1])] {
            for wanted in theirs.abi().functions() {
                assert!(ours.functions().any(|function| same(wanted, function)), "{}", wanted.name);
            }
        }
    }

    #[test]
    fn a_list_that_says_it_is_endless_takes_no_memory() {
        let mut data = vec![0; 64];
        data[31] = 32;
        data[56..].fill(0xff);
        let listed = Reader::new(&data).tuples(1000, |mut tuple| tuple.word());
        assert_eq!(listed, Err(Garbled("a list is longer than the data")));
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_broken_utf8_is_replaced() {
        let long = encode(&[Token::String("x".repeat(5000))]);
        assert_eq!(Reader::new(&long).text().unwrap().len(), MAX_TEXT);
        let broken = encode(&[Token::Bytes(vec![0xff, b'a'])]);
        assert_eq!(Reader::new(&broken).text().unwrap(), "\u{fffd}a");
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read(number: u128, text in ".{0,300}", flag: bool, bytes: [u8; 20]) {
            let address = Address::new(bytes);
            let tokens = [uint_token(number), Token::String(text.clone()), Token::Bool(flag), address_token(address)];
            let encoded = encode(&tokens);
            let mut reader = Reader::new(&encoded);
            prop_assert_eq!(reader.u128(), Ok(number));
            prop_assert!(reader.text().unwrap().starts_with(&text[..text.floor_char_boundary(300)]));
            prop_assert_eq!(reader.bool(), Ok(flag));
            prop_assert_eq!(reader.address(), Ok(address));
        }

        #[test]
        fn any_bytes_are_read_or_refused(data: Vec<u8>) {
            let mut reader = Reader::new(&data);
            let _ = reader.clone().text();
            let _ = reader.clone().address();
            let _ = reader.tuples(10, |mut tuple| tuple.text());
        }
    }
}
