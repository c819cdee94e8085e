//! Chunks that Bee's own code wrapped (pkg/pss), cut after the message: what follows there is random padding.

use proptest::prelude::*;

use super::*;
use crate::chunk::Chunk;

const RECIPIENT: &str = "5c3f9a1d2e4b6c8d0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70";
const RECIPIENT_PUBLIC: &str = "0382c1c706ac7faa24065b26a1cabc14a195f44c5acd8d4d56bd0524c36d254842";

/// Topic, message, and the chunk's beginning: hint, nonce, ephemeral X, integrity and message.
const WRAPPED_BY_BEE: [(&str, &str, &str); 3] = [
    (
        "test",
        "",
        "0cbc00ba0df18b2ab5fcf0500f28523d67f990933d69ba7d48b3ab536628765386ca47df70cd9c72\
         592f9e3ebd585cb2e806391cb2bf0446f0423580fa749ec9dd87cf71fe52278bbf96e82f79801d49\
         f7b6d4de65b40befa24f6d93622409d10ab7b0c8ab1d3e0b",
    ),
    (
        "test",
        "00",
        "921ff8edcce7e5856eb793ab28658dc42b271a7fb775a8b536c4a77afb1600a54fa55ca0b7f5b234\
         3ebddddb7e33d149b03f16bbf8533ec1d51316bb1337ac59af1386e83dfacdb5ad27eb93798b5271\
         c77901ba84b50738bf92d129f4e2ebddf62881d5b9ca54d578",
    ),
    (
        "pss-demo",
        "",
        "ce2519226ef1d615be74cde59b51b358a6d56367db2f126f0958b6ea1d926922b15bece1c63cb854\
         476e79798f35b6f48d8c3f5b75e026ba14b8abc5b7a3ffe4bac00e9990f2d869e61fafd5bd745a71\
         045459551c952a792fe336d111be00648edb3658c3b9c8cf",
    ),
];

/// The same with the topic's own key: what version 1 sends.
const WRAPPED_FOR_THE_TOPIC: &str = "56398fdf8691b655abb4edd6ecedc531bf14d560b89812ae2c22f7b289ccf64cb40f412c449452e5\
    177bf987f69a67c5c261f6dc3cc6941d96bab7f2b532e86e4e9a82e2d79805873bc46b73f2f8d298e9d0fe98c9b65c442f63f46bc76a5c54\
    91fcc78ac7161000";

fn recipient() -> PssSecretKey {
    PssSecretKey::from_bytes(hex::decode(RECIPIENT).unwrap().try_into().unwrap()).unwrap()
}

fn chunk_of(beginning: &str) -> Vec<u8> {
    let mut data = hex::decode(beginning).unwrap();
    data.resize(TROJAN_BYTES, 0x5a);
    data
}

fn anywhere() -> [Target; 1] {
    [Target::of(&t4t_types::Overlay::ZERO, 0).unwrap()]
}

#[test]
fn what_a_node_wrapped_is_opened() {
    assert_eq!(recipient().public_key().to_string(), RECIPIENT_PUBLIC);
    for (topic, message, beginning) in WRAPPED_BY_BEE {
        let opened = unwrap(&chunk_of(beginning), Some(&recipient()), &Topic::of_path(topic));
        assert_eq!(opened.map(hex::encode).as_deref(), Some(message));
    }
}

#[test]
fn what_a_node_wrapped_for_everyone_on_the_topic_is_opened_by_all_of_them() {
    let (chunk, topic) = (chunk_of(WRAPPED_FOR_THE_TOPIC), Topic::of_path("test"));
    assert_eq!(unwrap(&chunk, None, &topic), Some(vec![]));
    assert_eq!(unwrap(&chunk, Some(&recipient()), &topic), Some(vec![]));
    assert_eq!(unwrap(&chunk, None, &Topic::of_path("pss-demo")), None);
}

#[test]
fn another_topic_another_recipient_or_a_changed_byte_opens_nothing() {
    let (topic, _, beginning) = WRAPPED_BY_BEE[1];
    let (chunk, topic) = (chunk_of(beginning), Topic::of_path(topic));
    assert_eq!(unwrap(&chunk, Some(&recipient()), &Topic::of_path("other")), None);
    assert_eq!(unwrap(&chunk, Some(&PssSecretKey::random().unwrap()), &topic), None);
    assert_eq!(unwrap(&chunk, None, &topic), None);
    for changed in [0, 45, 80, 104] {
        let mut chunk = chunk.clone();
        chunk[changed] ^= 1;
        assert_eq!(unwrap(&chunk, Some(&recipient()), &topic), None, "byte {changed}");
    }
    assert_eq!(unwrap(&chunk[..4103], Some(&recipient()), &topic), None);
}

#[test]
fn a_mined_chunk_lies_in_its_target_and_has_the_address_a_node_computes() {
    let topic = Topic::of_path("t");
    let target = Target::from_bytes(&[0xab]).unwrap();
    let mined = wrap(&topic, None, b"hello").unwrap().mine(&[target]).unwrap();
    assert_eq!(mined.address.as_bytes()[0], 0xab);
    assert_eq!(Chunk::parse(mined.data.clone().into()).unwrap().address(), mined.address);
    assert_eq!(unwrap(&mined.data, None, &topic).as_deref(), Some(&b"hello"[..]));
}

#[test]
fn the_nonce_tells_the_parity_of_the_ephemeral_key_as_nodes_do() {
    let topic = Topic::of_path("t");
    let parities: std::collections::HashSet<u8> = (0..32)
        .map(|_| wrap(&topic, None, b"").unwrap().mine(&anywhere()).unwrap().data[SPAN_BYTES + 28] & 1)
        .collect();
    assert_eq!(parities.len(), 2);
}

#[test]
fn a_message_of_4000_bytes_fits_and_one_more_does_not() {
    let topic = Topic::of_path("t");
    let longest = wrap(&topic, None, &[7; 4000]).unwrap().mine(&anywhere()).unwrap();
    assert_eq!(unwrap(&longest.data, None, &topic), Some(vec![7; 4000]));
    assert!(matches!(wrap(&topic, None, &[7; 4001]), Err(WrapError::TooLong(4001))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_message_reaches_its_recipient_and_only_them(message in proptest::collection::vec(any::<u8>(), 0..=4000)) {
        let (topic, key) = (Topic::of_path("any"), recipient());
        let data = wrap(&topic, Some(&key.public_key()), &message).unwrap().mine(&anywhere()).unwrap().data;
        prop_assert_eq!(unwrap(&data, Some(&key), &topic), Some(message));
        prop_assert_eq!(unwrap(&data, None, &topic), None);
    }

    #[test]
    fn any_bytes_open_or_are_refused(seed in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut data = seed;
        data.resize(TROJAN_BYTES, 1);
        prop_assert_eq!(unwrap(&data, Some(&recipient()), &Topic::of_path("any")), None);
    }
}
