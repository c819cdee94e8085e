-- What the chain told about jobs, for whoever follows a wallet's jobs.

CREATE TABLE chain_events (
    -- The order in which they were told; never given twice.
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    block       INTEGER NOT NULL,
    block_hash  BLOB    NOT NULL CHECK (length(block_hash) = 32),
    log_index   INTEGER NOT NULL,
    tx          BLOB    NOT NULL CHECK (length(tx) = 32),
    job         BLOB    NOT NULL CHECK (length(job) = 32),
    client      BLOB    NOT NULL CHECK (length(client) = 20),
    provider    BLOB    NOT NULL CHECK (length(provider) = 20),
    -- What happened, as JSON.
    what        TEXT    NOT NULL,
    -- 1 says that a reorganisation took the event back that was told before.
    gone        INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1)),
    recorded_at INTEGER NOT NULL,
    UNIQUE (block_hash, log_index, gone)
);

CREATE INDEX chain_events_by_client ON chain_events (client, sequence);
CREATE INDEX chain_events_by_provider ON chain_events (provider, sequence);
CREATE INDEX chain_events_by_job ON chain_events (job, sequence);
CREATE INDEX chain_events_by_block ON chain_events (block);
CREATE INDEX chain_events_by_time ON chain_events (recorded_at);
