//! Amounts, ids, addresses and keys as texts: what is written as it was read reads the same.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use t4t_chain::BlockHash;
use t4t_crypto::{SealingKey, Signature, WalletKey};
use t4t_swarm::PssPublicKey;
use t4t_types::{
    Address, BatchId, EncryptionKey, JobId, ModelId, Overlay, RequestId, RoutingId, SwarmRef, TxHash, Xbzz,
};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    reads_the_same::<Xbzz>(text);
    reads_the_same::<ModelId>(text);
    reads_the_same::<Address>(text);
    reads_the_same::<JobId>(text);
    reads_the_same::<RoutingId>(text);
    reads_the_same::<RequestId>(text);
    reads_the_same::<SwarmRef>(text);
    reads_the_same::<Overlay>(text);
    reads_the_same::<EncryptionKey>(text);
    reads_the_same::<BatchId>(text);
    reads_the_same::<TxHash>(text);
    reads_the_same::<BlockHash>(text);
    reads_the_same::<Signature>(text);
    reads_the_same::<PssPublicKey>(text);
    let _ = (WalletKey::parse(text), SealingKey::parse(text));
    let _ = serde_json::from_str::<Xbzz>(text);
});

fn reads_the_same<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    assert_eq!(written.parse::<T>().ok(), Some(value), "{written}");
}
