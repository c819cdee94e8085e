//! Fixtures for tests: a real EVM, a development Bee node, backends, and checks on the money.
