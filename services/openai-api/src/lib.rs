//! The gateway's edge: the OpenAI wire format.
