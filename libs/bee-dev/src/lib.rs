//! A Bee-compatible development node with fault injection.
