//! Sending of signed transactions, and the nodes' many words for why they refuse.

use serde_json::json;
use t4t_types::TxHash;

use crate::encoding::bytes;
use crate::error::{ChainError, EndpointFault};
use crate::rpc::Rpc;
use crate::tx::RawTransaction;

/// Why a signed transaction was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SendError {
    /// Another transaction has used the nonce; read the wallet's transaction count again.
    #[error("the nonce is used already: {message}")]
    NonceTooLow {
        /// The node's text.
        message: String,
    },
    /// A transaction before this one is missing; send that first.
    #[error("a transaction before this one is missing: {message}")]
    NonceGap {
        /// The node's text.
        message: String,
    },
    /// Another transaction waits at the nonce; only a higher fee replaces it.
    #[error("the fee is too low to replace the waiting transaction: {message}")]
    ReplacementUnderpriced {
        /// The node's text.
        message: String,
    },
    /// The wallet has too little of the chain's own coin for the fee; put xDAI in.
    #[error("the wallet has too little xDAI for the fee: {message}")]
    InsufficientFunds {
        /// The node's text.
        message: String,
    },
    /// The fee is below what the node or the next block takes; sign again with a higher one.
    #[error("the fee is too low: {message}")]
    FeeTooLow {
        /// The node's text.
        message: String,
    },
    /// The node refuses for another reason; the same bytes will be refused again.
    #[error("the node refused the transaction: {message}")]
    Refused {
        /// The node's text.
        message: String,
    },
    /// It is not known whether a node has taken it; send the same bytes again.
    #[error("it is not known whether the transaction was sent")]
    Unanswered(#[source] ChainError),
}

/// What a node's text about a transaction means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Known,
    NonceTooLow,
    NonceGap,
    ReplacementUnderpriced,
    InsufficientFunds,
    FeeTooLow,
    Refused,
}

/// Texts of geth, nethermind, erigon, besu, openethereum and anvil. The first that fits counts.
const TEXTS: &[(&str, Verdict)] = &[
    ("already known", Verdict::Known),
    ("alreadyknown", Verdict::Known),
    ("known transaction", Verdict::Known),
    ("already imported", Verdict::Known),
    ("already in the pool", Verdict::Known),
    ("nonce too low", Verdict::NonceTooLow),
    ("nonce is too low", Verdict::NonceTooLow),
    ("oldnonce", Verdict::NonceTooLow),
    ("nonce is below", Verdict::NonceTooLow),
    ("nonce too high", Verdict::NonceGap),
    ("noncegap", Verdict::NonceGap),
    ("nonce is too distant", Verdict::NonceGap),
    ("replacement", Verdict::ReplacementUnderpriced),
    ("could not replace", Verdict::ReplacementUnderpriced),
    ("ownnoncealreadyused", Verdict::ReplacementUnderpriced),
    ("another transaction with same nonce", Verdict::ReplacementUnderpriced),
    ("insufficient funds", Verdict::InsufficientFunds),
    ("insufficientfunds", Verdict::InsufficientFunds),
    ("insufficient balance", Verdict::InsufficientFunds),
    ("exceeds account balance", Verdict::InsufficientFunds),
    ("underpriced", Verdict::FeeTooLow),
    ("feetoolow", Verdict::FeeTooLow),
    ("fee too low", Verdict::FeeTooLow),
    ("less than block base fee", Verdict::FeeTooLow),
    ("gas price is too low", Verdict::FeeTooLow),
    ("gas price below", Verdict::FeeTooLow),
    ("tip too low", Verdict::FeeTooLow),
];

fn verdict(message: &str) -> Verdict {
    let lower = message.to_ascii_lowercase();
    let found = TEXTS.iter().find(|(text, _)| lower.contains(text));
    found.map_or(Verdict::Refused, |(_, verdict)| *verdict)
}

impl Rpc {
    /// Sends a signed transaction. Sending the same bytes twice is the same as once: a node that has it already, or a
    /// chain that holds it already, is a success.
    pub async fn send_raw(&self, bytes_to_send: &[u8]) -> Result<TxHash, SendError> {
        let hash = RawTransaction::from_bytes(bytes_to_send.to_vec()).hash;
        let sent = self.call::<TxHash>("eth_sendRawTransaction", json!([bytes(bytes_to_send)])).await;
        let error = match sent {
            Ok(reported) if reported == hash => return Ok(hash),
            Ok(_) => return Err(SendError::Unanswered(self.another_hash())),
            Err(error) => error,
        };
        let ChainError::Answer { message, .. } = error else {
            return Err(SendError::Unanswered(error));
        };
        match verdict(&message) {
            Verdict::Known => Ok(hash),
            // An attempt before this one may have reached the chain although its answer got lost.
            Verdict::NonceTooLow => match self.transaction_known(hash).await {
                Ok(true) => Ok(hash),
                Ok(false) => Err(SendError::NonceTooLow { message }),
                Err(error) => Err(SendError::Unanswered(error)),
            },
            Verdict::NonceGap => Err(SendError::NonceGap { message }),
            Verdict::ReplacementUnderpriced => Err(SendError::ReplacementUnderpriced { message }),
            Verdict::InsufficientFunds => Err(SendError::InsufficientFunds { message }),
            Verdict::FeeTooLow => Err(SendError::FeeTooLow { message }),
            Verdict::Refused => Err(SendError::Refused { message }),
        }
    }

    fn another_hash(&self) -> ChainError {
        let fault = EndpointFault::Garbage("the hash of another transaction".into());
        ChainError::Unreachable { endpoint: "the endpoint asked last".into(), fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_all_nodes_are_told_apart() {
        let told = [
            ("already known", Verdict::Known),
            ("AlreadyKnown", Verdict::Known),
            ("transaction already imported", Verdict::Known),
            ("Known transaction", Verdict::Known),
            ("Transaction with the same hash was already imported.", Verdict::Known),
            ("nonce too low: next nonce 5, tx nonce 4", Verdict::NonceTooLow),
            ("OldNonce, Current nonce: 5, nonce of rejected tx: 4", Verdict::NonceTooLow),
            ("nonce too high", Verdict::NonceGap),
            ("NonceGap, Future nonce. Expected nonce: 5", Verdict::NonceGap),
            ("replacement transaction underpriced", Verdict::ReplacementUnderpriced),
            ("ReplacementNotAllowed", Verdict::ReplacementUnderpriced),
            ("could not replace existing tx", Verdict::ReplacementUnderpriced),
            ("insufficient funds for gas * price + value: balance 0", Verdict::InsufficientFunds),
            ("InsufficientFunds, Account balance: 0", Verdict::InsufficientFunds),
            ("transaction underpriced: gas tip cap 0, minimum needed 1", Verdict::FeeTooLow),
            ("FeeTooLow, MaxFeePerGas too low", Verdict::FeeTooLow),
            ("max fee per gas less than block base fee", Verdict::FeeTooLow),
            ("exceeds block gas limit", Verdict::Refused),
        ];
        for (text, expected) in told {
            assert_eq!(verdict(text), expected, "{text}");
        }
    }
}
