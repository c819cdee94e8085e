//! Sending transactions: once, whatever the endpoints do.

use serde_json::{Value, json};
use t4t_chain::{Rpc, SendError};
use t4t_types::{TxHash, keccak256};

use crate::fault_server::{Fault, FaultServer, rpc};

const RAW: &[u8] = b"not a transaction, but bytes with a hash";

fn hash() -> TxHash {
    TxHash::new(keccak256(RAW))
}

fn refusing(message: &'static str, known: bool) -> FaultServer {
    FaultServer::start(move |method, _| match method {
        "eth_getTransactionByHash" if known => Ok(json!({ "hash": hash() })),
        "eth_getTransactionByHash" => Ok(Value::Null),
        _ => Err(json!({ "code": -32000, "message": message })),
    })
}

async fn send(server: &FaultServer) -> Result<TxHash, SendError> {
    let rpc: Rpc = rpc(&[server]);
    rpc.send_raw(RAW).await
}

#[actix_web::test]
async fn a_transaction_that_the_node_has_already_counts_as_sent() {
    assert_eq!(send(&refusing("already known", false)).await, Ok(hash()));
    assert_eq!(send(&refusing("AlreadyKnown", false)).await, Ok(hash()));
}

#[actix_web::test]
async fn a_used_nonce_is_a_success_only_if_this_transaction_used_it() {
    assert_eq!(send(&refusing("nonce too low", true)).await, Ok(hash()));
    let refused = send(&refusing("nonce too low", false)).await;
    assert!(matches!(refused, Err(SendError::NonceTooLow { .. })), "{refused:?}");
}

#[actix_web::test]
async fn refusals_are_told_apart() {
    type Expected = fn(&SendError) -> bool;
    let cases: [(&str, Expected); 5] = [
        ("replacement transaction underpriced", |e| matches!(e, SendError::ReplacementUnderpriced { .. })),
        ("insufficient funds for gas * price + value", |e| matches!(e, SendError::InsufficientFunds { .. })),
        ("FeeTooLow, MaxFeePerGas too low", |e| matches!(e, SendError::FeeTooLow { .. })),
        ("nonce too high", |e| matches!(e, SendError::NonceGap { .. })),
        ("exceeds block gas limit", |e| matches!(e, SendError::Refused { .. })),
    ];
    for (message, expected) in cases {
        let error = send(&refusing(message, false)).await.unwrap_err();
        assert!(expected(&error), "{message}: {error:?}");
    }
}

#[actix_web::test]
async fn a_lost_answer_is_made_up_for_by_sending_the_same_bytes_again() {
    let server = FaultServer::start(|_, params| {
        assert_eq!(params[0], format!("0x{}", hex_of(RAW)));
        Ok(json!(hash()))
    });
    server.fails_next(Fault::Truncated);
    assert_eq!(send(&server).await, Ok(hash()));
    assert_eq!(server.hits(), 2);
}

#[actix_web::test]
async fn the_hash_of_another_transaction_is_not_believed() {
    let server = FaultServer::start(|_, _| Ok(json!(TxHash::ZERO)));
    assert!(matches!(send(&server).await, Err(SendError::Unanswered(_))));
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
