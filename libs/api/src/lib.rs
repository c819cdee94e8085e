//! Each service's contract: its messages and errors, reached by mailbox or by HTTP.
