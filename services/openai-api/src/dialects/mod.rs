//! The formats that apps ask in, each in a folder of its own behind one interface.
//!
//! A dialect reads a body into the request that is bought, and writes what was bought as its apps expect it. It knows
//! nothing of purchases, limits or HTTP, and nothing outside its folder knows it, apart from its line in [`ENDPOINTS`].

mod body;
mod chat;
mod completions;
mod dialect;
mod events;
mod pieces;
mod surrogates;

use bytes::Bytes;
use t4t_inference::InferenceRequest;

pub(crate) use dialect::{Asked, Begun, Dialect, Events};
pub(crate) use events::KEEP_ALIVE;

/// Where apps ask, and how: one line for each.
pub(crate) const ENDPOINTS: [(&str, &dyn Dialect); 2] =
    [("/chat/completions", &chat::Chat), ("/completions", &completions::Completions)];

/// What the fuzzers feed: any bytes as a request's body, any text as an answer.
pub(crate) fn feed(data: &[u8]) {
    for (_, dialect) in ENDPOINTS {
        let Ok(asked) = dialect.read(Bytes::copy_from_slice(data)) else { continue };
        // Whoever reads it after the edge must be able to, and reads the same.
        let sent = asked.request.json();
        let again = InferenceRequest::read(asked.request.kind(), sent.bytes().clone());
        assert_eq!(again.expect("what was bought can be read").demand(), asked.request.demand());
    }
    chat::feed(data);
}
