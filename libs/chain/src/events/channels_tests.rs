use std::collections::HashMap;

use ethers_core::abi::{Token, encode};
use proptest::prelude::*;

use super::*;
use crate::abi::{Interface, address_token, bytes32_token, uint_token};
use crate::block::BlockHash;

const CONTRACT: Address = Address::new([1; 20]);
const PROVIDER: Address = Address::new([2; 20]);
const PAYER: Address = Address::new([3; 20]);
const ID: ChannelId = ChannelId::new([8; 32]);

fn log(address: Address, topics: Vec<[u8; 32]>, data: Vec<u8>) -> Log {
    let block_hash = BlockHash::new([9; 32]);
    Log { address, topics, data, block_number: 5, block_hash, tx: Default::default(), log_index: 1 }
}

fn decoded(topics: &[[u8; 32]], data: &[Token]) -> Option<ChannelEvent> {
    ChannelEvent::decode(&log(CONTRACT, topics.to_vec(), encode(data)), CONTRACT)
}

fn about_channel(topic: [u8; 32], data: &[Token]) -> Option<ChannelEvent> {
    decoded(&[topic, *ID.as_bytes(), padded(PROVIDER)], data)
}

#[test]
fn the_topics_are_those_of_our_contract() {
    let topics: HashMap<&str, [u8; 32]> = topics::ALL.iter().copied().collect();
    let mut declared = 0;
    for event in Interface::Channels.abi().events() {
        let kinds: Vec<String> = event.inputs.iter().map(|input| input.kind.to_string()).collect();
        let signature = format!("{}({})", event.name, kinds.join(","));
        assert_eq!(topics.get(&*signature), Some(&event.signature().0), "{signature}");
        declared += 1;
    }
    assert_eq!(declared, topics.len());
}

#[test]
fn every_event_is_read() {
    let (id, provider, amount) = (ID, PROVIDER, Xbzz::from_plur(77));
    let (number, word) = (uint_token(77_u64), bytes32_token(&[6; 32]));
    let about_payer = |topic, data: &[Token]| decoded(&[topic, padded(PAYER), padded(PROVIDER)], data);
    let expected = ChannelEvent::Deposited { payer: PAYER, from: PROVIDER, amount };
    assert_eq!(about_payer(topics::DEPOSITED, std::slice::from_ref(&number)), Some(expected));
    let expected = ChannelEvent::Withdrawn { payer: PAYER, to: PROVIDER, amount, fee: Xbzz::from_plur(5) };
    assert_eq!(about_payer(topics::WITHDRAWN, &[number.clone(), uint_token(5_u64)]), Some(expected));

    let key = ChannelKey {
        payer: PAYER,
        signer: Address::new([4; 20]),
        provider,
        close_delay: 86_400,
        salt: [6; 32].into(),
    };
    let opened = [topics::OPENED, *ID.as_bytes(), padded(PROVIDER), padded(PAYER)];
    let data = [address_token(key.signer), uint_token(86_400_u64), word.clone(), number.clone()];
    let expected = ChannelEvent::Opened { id, key, reserved: amount };
    assert_eq!(decoded(&opened, &data), Some(expected));

    let one = std::slice::from_ref(&number);
    let expected = ChannelEvent::ToppedUp { id, provider, reserved: amount };
    assert_eq!(about_channel(topics::TOPPED_UP, one), Some(expected));
    let expected = ChannelEvent::Claimed { id, provider, paid: amount, context: [6; 32].into() };
    assert_eq!(about_channel(topics::CLAIMED, &[number.clone(), word]), Some(expected));
    let expected = ChannelEvent::CloseRequested { id, provider, closing_at: UnixSeconds::new(77) };
    assert_eq!(about_channel(topics::CLOSE_REQUESTED, one), Some(expected));
    let expected = ChannelEvent::Closed { id, provider, paid: amount, released: Xbzz::from_plur(5) };
    assert_eq!(expected.channel(), Some(ID));
    assert_eq!(about_channel(topics::CLOSED, &[number, uint_token(5_u64)]), Some(expected));
}

#[test]
fn every_reason_to_skip_is_read_and_no_other() {
    let skipped = |reason: u64| decoded(&[topics::SKIPPED, *ID.as_bytes()], &[uint_token(reason)]);
    for (number, reason) in
        [(1, Skip::OtherProvider), (2, Skip::NotOpen), (3, Skip::NothingNew), (4, Skip::BadSignature)]
    {
        assert_eq!(skipped(number), Some(ChannelEvent::Skipped { id: ID, reason }));
    }
    assert_eq!((skipped(0), skipped(5)), (None, None));
}

#[test]
fn an_event_of_another_contract_or_without_its_values_is_ignored() {
    let topics = vec![topics::CLAIMED, *ID.as_bytes(), padded(PROVIDER)];
    let data = encode(&[uint_token(1_u64), bytes32_token(&[0; 32])]);
    assert_eq!(ChannelEvent::decode(&log(PAYER, topics.clone(), data), CONTRACT), None);
    assert_eq!(decoded(&topics, &[]), None);
    assert_eq!(decoded(&[topics::CLAIMED, *ID.as_bytes()], &[uint_token(1_u64)]), None);
    assert_eq!(decoded(&[], &[]), None);
    assert_eq!(about_channel([7; 32], &[uint_token(1_u64)]), None);
}

proptest! {
    #[test]
    fn any_log_is_read_or_ignored(kind in 0..topics::ALL.len(), topics: Vec<[u8; 32]>, data: Vec<u8>) {
        let topics = [vec![topics::ALL[kind].1], topics].concat();
        let _ = ChannelEvent::decode(&log(CONTRACT, topics, data), CONTRACT);
    }
}
