//! One runner per GPU or backend: lists models, runs requests, streams tokens, reports load.
