//! Chunks as nodes and strangers hand them out: messages in them, single-owner chunks, trees of files.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use t4t_swarm::chunk::{Chunk, join};
use t4t_swarm::soc::Soc;
use t4t_swarm::trojan::{PssSecretKey, TROJAN_BYTES, Target, Topic, unwrap, wrap};
use t4t_types::{Overlay, SwarmRef};

const MESSAGE: &[u8] = b"a message to everyone who knows the topic";

/// The longest file that is put together.
const LIMIT: usize = 1 << 20;

static TOPIC: LazyLock<Topic> = LazyLock::new(|| Topic::of_path("fuzz"));

static KEY: LazyLock<PssSecretKey> =
    LazyLock::new(|| PssSecretKey::from_bytes([5; 32]).expect("a valid key"));

static CHUNK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let target = Target::of(&Overlay::ZERO, 1).expect("one bit is a target");
    wrap(&TOPIC, None, MESSAGE).expect("it fits").mine(&[target]).expect("a target is given").data.to_vec()
});

fuzz_target!(|data: &[u8]| {
    message(data);
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(soc) = Soc::parse(&bytes) {
        assert_eq!(Soc::parse(&soc.to_bytes()).expect("what was written can be read"), soc);
    }
    let _ = Chunk::parse(bytes);
    file(data);
});

/// A chunk is any bytes, or a true message of which some bytes were changed: the cipher passes changes on.
fn message(data: &[u8]) {
    let mut whole = data.to_vec();
    whole.resize(TROJAN_BYTES, 0);
    let _ = unwrap(&whole, Some(&KEY), &TOPIC);
    let Some((at, changes)) = data.split_first_chunk::<2>() else { return };
    let at = usize::from(u16::from_be_bytes(*at)) % TROJAN_BYTES;
    let mut changed = CHUNK.clone();
    for (byte, change) in changed[at..].iter_mut().zip(changes) {
        *byte ^= change;
    }
    if let Some(message) = unwrap(&changed, Some(&KEY), &TOPIC) {
        assert_eq!(message, MESSAGE, "another message than was sent");
    }
}

/// A tree of any shape: the input's pieces are chunks, and each reference leads to one of them.
fn file(data: &[u8]) {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut rest = data;
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
        let (piece, tail) = tail.split_at(length);
        chunks.extend(Chunk::parse(Bytes::copy_from_slice(piece)));
        rest = tail;
    }
    if chunks.is_empty() {
        return;
    }
    let find =
        |reference: &SwarmRef| chunks.get(usize::from(reference.as_bytes()[0]) % chunks.len()).cloned();
    if let Ok(file) = join(&SwarmRef::ZERO, find, LIMIT) {
        assert!(file.len() <= LIMIT);
    }
}
