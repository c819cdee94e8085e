//! The t4t command: every role in one process, and the operator's commands.
