//! What contracts answer, ABI-encoded: any bytes to every kind of question.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use t4t_chain::contracts::{Escrow, Registry, Token};
use t4t_chain::{BlockTag, Revert, Rpc};
use t4t_types::{Address, JobId};

mod endpoint;

use endpoint::Endpoint;

static ENDPOINT: LazyLock<Endpoint> = LazyLock::new(|| Endpoint::start(as_result));

/// The bytes as the result of every call.
fn as_result(bytes: &[u8], question: &Value) -> Vec<u8> {
    let result = format!("0x{}", hex::encode(bytes));
    let answer = |question: &Value| json!({ "jsonrpc": "2.0", "id": question["id"], "result": result });
    let answers = match question.as_array() {
        Some(questions) => questions.iter().map(answer).collect(),
        None => answer(question),
    };
    answers.to_string().into_bytes()
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    let revert = Revert::from_data(bytes.to_vec());
    let _ = (revert.to_string(), revert.name(), revert.contract_error());
    ENDPOINT.ask(bytes, async |rpc| ask(*kind, rpc).await);
});

async fn ask(kind: u8, rpc: &Rpc) {
    let (registry, escrow) = (Registry { address: Address::ZERO }, Escrow { address: Address::ZERO });
    match kind % 8 {
        0 => drop(registry.provider(rpc, Address::ZERO).await),
        1 => drop(registry.offerings(rpc, Address::ZERO).await),
        2 => drop(registry.list_providers(rpc, 0, 10).await),
        3 => drop(registry.entries(rpc, &[Address::ZERO], BlockTag::Latest).await),
        4 => drop(registry.backing(rpc, Address::ZERO).await),
        5 => drop(escrow.job(rpc, JobId::ZERO).await),
        6 => drop(escrow.limits(rpc).await),
        _ => drop(Token { address: Address::ZERO }.balance_of(rpc, Address::ZERO).await),
    }
}
