use ethers_core::abi::encode;
use proptest::prelude::*;
use serde_json::Value;
use t4t_crypto::WalletKey;

use super::*;

/// The file that the contract's own tests read too.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../../contracts/vectors/channels.json")).unwrap()
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().unwrap().parse().unwrap()
}

fn amount(value: &Value) -> Xbzz {
    Xbzz::from_plur(parsed(value))
}

fn time(value: &Value) -> UnixSeconds {
    UnixSeconds::new(value.as_u64().unwrap())
}

fn key(file: &Value) -> ChannelKey {
    ChannelKey {
        payer: parsed(&file["key"]["payer"]),
        signer: parsed(&file["key"]["signer"]),
        provider: parsed(&file["key"]["provider"]),
        close_delay: file["key"]["closeDelay"].as_u64().unwrap(),
        salt: parsed(&file["key"]["salt"]),
    }
}

fn wallet(file: &Value, name: &str) -> WalletKey {
    WalletKey::parse(file["privateKeys"][name].as_str().unwrap()).unwrap()
}

/// The digest, the signature and who signed are those of the file.
fn check(message: &impl ChannelMessage, domain: &ChannelDomain, vector: &Value, by: &WalletKey) {
    let digest = format!("0x{}", hex::encode(message.digest(domain)));
    assert_eq!(digest, vector["digest"].as_str().unwrap());
    let signature = message.sign(domain, by);
    assert_eq!(signature.to_string(), vector["signature"].as_str().unwrap());
    assert_eq!(message.signer(domain, &signature), Ok(by.address()));
}

fn voucher(file: &Value, name: &str) -> Voucher {
    Voucher {
        channel: parsed(&file["channelId"]),
        cumulative: amount(&file[name]["cumulative"]),
        context: parsed(&file[name]["context"]),
    }
}

#[test]
fn the_payers_messages_are_those_that_the_contract_takes() {
    let file = vectors();
    let domain = ChannelDomain::new(100, parsed(&file["contract"]));
    let (key, payer) = (key(&file), wallet(&file, "payer"));
    assert_eq!(domain.channel_id(&key), parsed(&file["channelId"]));
    assert_eq!(payer.address(), key.payer);

    let vector = &file["open"];
    let open = Open { key, amount: amount(&vector["amount"]), deadline: time(&vector["deadline"]) };
    check(&open, &domain, vector, &payer);
    let vector = &file["topUp"];
    let reserved_total = amount(&vector["reservedTotal"]);
    check(&TopUp { key, reserved_total, deadline: time(&vector["deadline"]) }, &domain, vector, &payer);
    let vector = &file["requestClose"];
    check(&RequestClose { key, deadline: time(&vector["deadline"]) }, &domain, vector, &payer);
    let vector = &file["deposit"];
    let deposit = Deposit {
        payer: parsed(&vector["payer"]),
        amount: amount(&vector["amount"]),
        nonce: vector["nonce"].as_u64().unwrap(),
        deadline: time(&vector["deadline"]),
    };
    check(&deposit, &domain, vector, &payer);
    let vector = &file["withdrawal"];
    let withdrawal = Withdrawal {
        payer: parsed(&vector["payer"]),
        to: parsed(&vector["to"]),
        amount: amount(&vector["amount"]),
        fee: amount(&vector["fee"]),
        nonce: vector["nonce"].as_u64().unwrap(),
        deadline: time(&vector["deadline"]),
    };
    check(&withdrawal, &domain, vector, &payer);
}

#[test]
fn vouchers_and_consents_are_those_that_the_contract_takes() {
    let file = vectors();
    let contract = parsed(&file["contract"]);
    let domain = ChannelDomain::new(100, contract);
    let (signer, provider) = (wallet(&file, "signer"), wallet(&file, "provider"));
    check(&voucher(&file, "voucher"), &domain, &file["voucher"], &signer);
    check(&voucher(&file, "lastVoucher"), &domain, &file["lastVoucher"], &signer);
    let vector = &file["close"];
    let close = Close {
        channel: parsed(&file["channelId"]),
        cumulative: amount(&vector["cumulative"]),
        deadline: time(&vector["deadline"]),
    };
    check(&close, &domain, vector, &provider);
    // After a fork the id is the same and the domain the new chain's.
    let vector = &file["voucherAfterAFork"];
    let fork = ChannelDomain::new(vector["chainId"].as_u64().unwrap(), contract);
    check(&voucher(&file, "voucherAfterAFork"), &fork, vector, &signer);
}

#[test]
fn a_row_is_the_voucher_of_its_channel() {
    let file = vectors();
    let domain = ChannelDomain::new(100, parsed(&file["contract"]));
    let expected = voucher(&file, "voucher");
    let row = Row {
        key: key(&file),
        cumulative: expected.cumulative,
        context: expected.context,
        signature: parsed(&file["voucher"]["signature"]),
    };
    assert_eq!(row.voucher(&domain), expected);
    assert_eq!(row.voucher(&domain).signer(&domain, &row.signature), Ok(row.key.signer));
}

fn state_tokens(reserved: u64, paid: u64, closing_at: u64) -> AbiToken {
    AbiToken::Tuple(vec![uint_token(reserved), uint_token(paid), uint_token(closing_at)])
}

#[test]
fn a_list_of_channels_is_read_as_the_interface_says() {
    let list = [
        state_tokens(0, 0, 0),
        state_tokens(9, 4, 0),
        state_tokens(9, 4, 1000),
        state_tokens(4, 4, CLOSED),
        state_tokens(0, 0, CLOSED),
    ];
    let answer = encode(&[AbiToken::Array(list.to_vec())]);
    let function = Interface::Channels.abi().function("channelsOf").unwrap();
    assert_eq!(function.decode_output(&answer).unwrap(), [AbiToken::Array(list.to_vec())]);
    let read = read_channels(Reader::new(&answer), 5).unwrap();
    let from = UnixSeconds::new(1000);
    let expected = [
        ChannelStatus::None,
        ChannelStatus::Open,
        ChannelStatus::Closing { from },
        ChannelStatus::Closed,
        ChannelStatus::Closed,
    ];
    assert_eq!(read.iter().map(|state| state.status).collect::<Vec<_>>(), expected);
    assert_eq!((read[1].left(), read[3].left()), (Xbzz::from_plur(5), Xbzz::ZERO));
    assert!(read_channels(Reader::new(&answer), 4).is_err());
    assert!(read_channels(Reader::new(&answer[..answer.len() - 1]), 5).is_err());
}

proptest! {
    #[test]
    fn any_answer_is_read_or_refused(words: Vec<[u8; 32]>, small: Vec<u8>, asked in 0..5_usize) {
        let words = words.concat();
        let small: Vec<u8> = small.into_iter().flat_map(|byte| [&[0; 31][..], &[byte]].concat()).collect();
        for data in [words, small] {
            let _ = read_channels(Reader::new(&data), asked);
            let _ = Account::read(Reader::new(&data));
        }
    }
}
