//! Sending of signed transactions, and the nodes' many words for why they refuse.

use serde_json::json;
use t4t_clock::timeout;
use t4t_types::TxHash;

use crate::encoding::bytes;
use crate::error::{ChainError, EndpointFault};
use crate::rpc::{Heard, Rpc};
use crate::tx::RawTransaction;

/// Why a signed transaction was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SendError {
    /// Another transaction has used the nonce; read the wallet's transaction count again.
    #[error("the nonce is used already: {message}")]
    NonceTooLow {
        /// Whether every endpoint said so, so that the transaction waits nowhere.
        by_all: bool,
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

/// Whether an endpoint has the transaction, by its word.
fn is_taken(heard: &Heard, hash: TxHash) -> bool {
    match heard {
        Ok(raw) => serde_json::from_str::<TxHash>(raw.get()).is_ok_and(|reported| reported == hash),
        Err(ChainError::Answer { message, .. }) => verdict(message) == Verdict::Known,
        Err(_) => false,
    }
}

fn verdict(message: &str) -> Verdict {
    let lower = message.to_ascii_lowercase();
    let found = TEXTS.iter().find(|(text, _)| lower.contains(text));
    found.map_or(Verdict::Refused, |(_, verdict)| *verdict)
}

/// How much a refusal tells: of several, the one that asks for least counts. That a nonce is used is believed only where
/// nobody says anything else.
const TELLING: &[Verdict] = &[
    Verdict::ReplacementUnderpriced,
    Verdict::FeeTooLow,
    Verdict::InsufficientFunds,
    Verdict::NonceGap,
    Verdict::NonceTooLow,
    Verdict::Refused,
];

impl Rpc {
    /// Sends a signed transaction, to every endpoint: one that says that it took it may have lost it, and one that
    /// refuses is only one of them. Sending the same bytes twice is the same as once: a node that has it already, or a
    /// chain that holds it already, is a success.
    pub async fn send_raw(&self, bytes_to_send: &[u8]) -> Result<TxHash, SendError> {
        let hash = RawTransaction::from_bytes(bytes_to_send.to_vec()).hash;
        let mut heard = Vec::new();
        let telling = self.tell_until_answered(hash, bytes_to_send, &mut heard);
        let _out_of_time = timeout(&**self.clock(), self.config().deadline, telling).await;
        match heard.iter().any(|heard| is_taken(heard, hash)) {
            true => Ok(hash),
            false => self.refusal(hash, heard).await,
        }
    }

    /// Tells all endpoints until one answers anything: what can't be reached is told again after its pause.
    async fn tell_until_answered(&self, hash: TxHash, bytes_to_send: &[u8], heard: &mut Vec<Heard>) {
        let params = json!([bytes(bytes_to_send)]);
        for _ in 0..self.config().attempts.max(1) {
            *heard =
                self.tell_all("eth_sendRawTransaction", params.clone(), |heard| is_taken(heard, hash)).await;
            let is_answer =
                |heard: &Heard| is_taken(heard, hash) || matches!(heard, Err(ChainError::Answer { .. }));
            if heard.iter().any(is_answer) {
                return;
            }
        }
    }

    /// What it means that nobody took it.
    async fn refusal(&self, hash: TxHash, heard: Vec<Heard>) -> Result<TxHash, SendError> {
        let mut refusals = Vec::with_capacity(heard.len());
        let mut lost = None;
        for heard in heard {
            match heard {
                Err(ChainError::Answer { message, .. }) => refusals.push((verdict(&message), message)),
                Err(error) => lost = Some(error),
                Ok(_) => lost = Some(self.another_hash()),
            }
        }
        let by_all = refusals.len() == self.endpoints()
            && refusals.iter().all(|(verdict, _)| *verdict == Verdict::NonceTooLow);
        let telling =
            |verdict: &Verdict| TELLING.iter().position(|known| known == verdict).unwrap_or(TELLING.len());
        let Some((verdict, message)) = refusals.into_iter().min_by_key(|(verdict, _)| telling(verdict))
        else {
            return Err(SendError::Unanswered(lost.unwrap_or_else(|| self.nobody_answered())));
        };
        match verdict {
            Verdict::Known => Ok(hash),
            // An attempt before this one may have reached the chain although its answer got lost.
            Verdict::NonceTooLow => match self.transaction_known_by(hash).await {
                known if known.contains(&true) => Ok(hash),
                known if known.is_empty() => Err(SendError::Unanswered(self.nobody_answered())),
                _ => Err(SendError::NonceTooLow { by_all, message }),
            },
            Verdict::NonceGap => Err(SendError::NonceGap { message }),
            Verdict::ReplacementUnderpriced => Err(SendError::ReplacementUnderpriced { message }),
            Verdict::InsufficientFunds => Err(SendError::InsufficientFunds { message }),
            Verdict::FeeTooLow => Err(SendError::FeeTooLow { message }),
            Verdict::Refused => Err(SendError::Refused { message }),
        }
    }

    fn nobody_answered(&self) -> ChainError {
        let fault = EndpointFault::Timeout(self.config().deadline);
        ChainError::Unreachable { endpoint: "each of them".into(), fault }
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
