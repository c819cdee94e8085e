//! All chain reads: providers, offerings, jobs and events, kept in a directory.
