//! The chain: contract calls and events, JSON-RPC with several endpoints, raw signed transactions.
