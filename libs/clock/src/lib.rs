//! The clock that everything timed is handed.
