//! Keys, key files, signatures and sealed payloads.
