//! Version 1 on the wire: envelopes, bodies, payloads, topics, canonical JSON, escrow sizing and job states.
