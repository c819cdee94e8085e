//! All chain writes and the only wallet.
