//! What makes two requests the same one.

use std::collections::{HashMap, VecDeque};

use actix_web::http::header::HeaderMap;
use t4t_panics::Lock;
use t4t_types::{RequestId, keccak256};

use crate::error::GatewayError;
use crate::wire::error::Rejection;

/// The header by which an app says that a request is the same as one before.
const HEADER: &str = "idempotency-key";

/// What a key is hashed with, so that its id is nothing else's hash.
const DOMAIN: &[u8] = b"t4t-idempotency";

/// The longest key, as other APIs have it.
const MAX_KEY_BYTES: usize = 255;

/// Keys whose bodies are remembered.
const REMEMBERED: usize = 4096;

/// The hashes of the keys seen last and the hashes of the bodies they came with.
///
/// It only tells an app that it used one key for two requests. That a request sent twice is paid once is the buyer's
/// promise, kept by the id.
#[derive(Debug, Default)]
pub(crate) struct Idempotency {
    seen: Lock<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    bodies: HashMap<[u8; 32], [u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

/// Reads the app's key, if it sent one.
///
/// # Errors
/// The key is empty, too long or not plain text.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&str>, Rejection> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
    let refused = || Rejection {
        message: format!("the Idempotency-Key header must be 1 to {MAX_KEY_BYTES} plain characters"),
        param: None,
        code: "invalid_idempotency_key",
    };
    key.map(Some).ok_or_else(refused)
}

/// An id for a request without a key.
pub(crate) fn random_id() -> Result<RequestId, GatewayError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| GatewayError::NoRandomness)?;
    Ok(RequestId::new(bytes))
}

impl Idempotency {
    /// The id of the request with this key.
    ///
    /// # Errors
    /// The key came with another body before.
    pub(crate) fn id(&self, key: &str, body_hash: [u8; 32]) -> Result<RequestId, GatewayError> {
        let key_hash = keccak256([DOMAIN, key.as_bytes()].concat());
        // The body is part of it: what was forgotten here must not get another request's answer.
        let id = RequestId::new(keccak256([key_hash, body_hash].concat()));
        let mut seen = self.seen.lock();
        match seen.bodies.get(&key_hash) {
            Some(before) if *before != body_hash => Err(GatewayError::KeyReused),
            Some(_) => Ok(id),
            None => {
                seen.remember(key_hash, body_hash);
                Ok(id)
            }
        }
    }
}

impl Seen {
    fn remember(&mut self, key_hash: [u8; 32], body_hash: [u8; 32]) {
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.bodies.remove(&oldest);
        }
        self.order.push_back(key_hash);
        self.bodies.insert(key_hash, body_hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_one_request_and_refuses_another_body() {
        let ids = Idempotency::default();
        let first = ids.id("k", [1; 32]).unwrap();
        assert_eq!(ids.id("k", [1; 32]).unwrap(), first);
        assert_ne!(ids.id("l", [1; 32]).unwrap(), first);
        assert!(matches!(ids.id("k", [2; 32]), Err(GatewayError::KeyReused)));
    }

    #[test]
    fn only_the_last_keys_are_remembered() {
        let ids = Idempotency::default();
        for number in 0..=REMEMBERED {
            ids.id(&number.to_string(), [0; 32]).unwrap();
        }
        let seen = ids.seen.lock();
        assert_eq!((seen.bodies.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
        drop(seen);
        let first = Idempotency::default().id("0", [0; 32]).unwrap();
        assert_ne!(ids.id("0", [1; 32]).unwrap(), first, "what is forgotten gets nobody else's answer");
    }

    #[test]
    fn requests_without_a_key_never_share_an_id() {
        assert_ne!(random_id().unwrap(), random_id().unwrap());
    }
}
