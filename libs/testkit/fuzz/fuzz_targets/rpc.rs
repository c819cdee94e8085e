//! Answers of a chain's endpoint: any body to every kind of question.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use t4t_chain::events::decode_logged;
use t4t_chain::{BlockTag, Call, ContractAddresses, LogFilter, Rpc};
use t4t_types::{Address, TxHash};

mod endpoint;

use endpoint::Endpoint;

static ENDPOINT: LazyLock<Endpoint> = LazyLock::new(|| Endpoint::start(with_ids));

/// As in the seeds.
const CONTRACTS: ContractAddresses = ContractAddresses {
    registry: Address::new([0x11; 20]),
    escrow: Address::new([0x22; 20]),
    token: Address::new([0x33; 20]),
};

/// The body, with the questions' ids where it says `"@0"`, `"@1"`.
fn with_ids(body: &[u8], question: &Value) -> Vec<u8> {
    let questions = question.as_array().map_or(std::slice::from_ref(question), Vec::as_slice);
    let mut body = body.to_vec();
    for (number, question) in questions.iter().enumerate() {
        let (mark, id) = (format!("\"@{number}\""), question["id"].to_string());
        if let Some(at) = body.windows(mark.len()).position(|window| window == mark.as_bytes()) {
            body.splice(at..at + mark.len(), id.into_bytes());
        }
    }
    body
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, body)) = data.split_first() else { return };
    ENDPOINT.ask(body, async |rpc| ask(*kind, rpc).await);
});

async fn ask(kind: u8, rpc: &Rpc) {
    match kind % 9 {
        0 => drop(rpc.latest_block().await),
        1 => drop(rpc.receipt(TxHash::ZERO).await),
        2 => {
            let filter = LogFilter { to: Some(8), ..LogFilter::default() };
            for log in rpc.logs(&filter).await.unwrap_or_default() {
                let _ = decode_logged(&log, &CONTRACTS);
            }
        }
        3 => drop(rpc.send_raw(&[2, 3]).await),
        4 => drop(rpc.estimate_gas(Address::ZERO, None, &[]).await),
        5 => drop(rpc.balance(Address::ZERO).await),
        6 => {
            let call = Call { to: Address::ZERO, data: vec![1, 2, 3, 4] };
            drop(rpc.eth_calls(&[call.clone(), call], BlockTag::Latest).await);
        }
        7 => drop(rpc.receipts(&[TxHash::ZERO, TxHash::ZERO]).await),
        _ => drop(rpc.chain_id().await),
    }
}
