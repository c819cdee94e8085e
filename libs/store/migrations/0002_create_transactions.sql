-- Transactions of a wallet: what each is to do, and what became of it. Wei are 16 big-endian bytes, as amounts are.

CREATE TABLE transactions (
    id         INTEGER PRIMARY KEY,
    chain_id   INTEGER NOT NULL,
    wallet     BLOB    NOT NULL CHECK (length(wallet) = 20),
    -- What makes a second submission the same transaction.
    key        TEXT    NOT NULL,
    intent     TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('pending', 'mined', 'reverted')),
    -- 1 once its block lies too deep to be taken back.
    final      INTEGER NOT NULL DEFAULT 0 CHECK (final IN (0, 1)),
    nonce      INTEGER NOT NULL,
    recipient  BLOB    NOT NULL CHECK (length(recipient) = 20),
    calldata   BLOB    NOT NULL,
    value      BLOB    NOT NULL CHECK (length(value) = 16),
    gas_limit  INTEGER NOT NULL,
    -- The newest version's hash, or that of the one that is in a block.
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    block      INTEGER,
    block_hash BLOB    CHECK (block_hash IS NULL OR length(block_hash) = 32),
    gas_used   INTEGER,
    fee        BLOB    CHECK (fee IS NULL OR length(fee) = 16),
    job        BLOB    CHECK (job IS NULL OR length(job) = 32),
    amount     BLOB    CHECK (amount IS NULL OR length(amount) = 16),
    reason     TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (chain_id, wallet, key)
);

-- No two open transactions ever hold the same place in the wallet's sequence.
CREATE UNIQUE INDEX transactions_open ON transactions (chain_id, wallet, nonce) WHERE final = 0;

-- Every signed version of a transaction, in the bytes that were sent: whichever is mined counts.
CREATE TABLE transaction_versions (
    id             INTEGER PRIMARY KEY,
    transaction_id INTEGER NOT NULL REFERENCES transactions (id) ON DELETE CASCADE,
    hash           BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    nonce          INTEGER NOT NULL,
    raw            BLOB    NOT NULL,
    max_fee        BLOB    NOT NULL CHECK (length(max_fee) = 16),
    max_priority   BLOB    NOT NULL CHECK (length(max_priority) = 16),
    -- 1 if a node said that another transaction has the nonce, so that these bytes wait nowhere.
    refused        INTEGER NOT NULL DEFAULT 0 CHECK (refused IN (0, 1))
);

CREATE INDEX transaction_versions_by_transaction ON transaction_versions (transaction_id, id);
