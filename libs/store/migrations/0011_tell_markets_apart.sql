-- Rows know their market, and sealed payloads have tables of their own: a job's row is read often, its payload rarely.
--
-- A job's number is unique in its escrow only, and so are what is named by it: transactions, events, history.

CREATE TABLE markets (
    id       INTEGER PRIMARY KEY,
    chain_id INTEGER,
    -- The contract that holds the jobs' money.
    escrow   BLOB CHECK (escrow IS NULL OR length(escrow) = 20),
    UNIQUE (chain_id, escrow),
    CHECK ((chain_id IS NULL) = (escrow IS NULL))
);

-- That of all rows of before. The first market that is asked for gives it its name.
INSERT INTO markets (id) VALUES (1);

CREATE TABLE buying_sealed_requests (
    market     INTEGER NOT NULL REFERENCES markets (id),
    request_id BLOB    NOT NULL CHECK (length(request_id) = 32),
    attempt    INTEGER NOT NULL,
    -- The request, sealed to the provider; dropped once nobody can need it.
    sealed     BLOB    NOT NULL,
    PRIMARY KEY (request_id, attempt, market)
);

INSERT INTO buying_sealed_requests (market, request_id, attempt, sealed)
    SELECT 1, request_id, attempt, sealed_request FROM buying_jobs WHERE sealed_request IS NOT NULL;

CREATE TABLE selling_sealed_answers (
    market INTEGER NOT NULL REFERENCES markets (id),
    job    BLOB    NOT NULL CHECK (length(job) = 32),
    -- The answer or a refusal's reason, sealed to the client; dropped once the job is settled and time has passed.
    sealed BLOB    NOT NULL,
    PRIMARY KEY (job, market)
);

INSERT INTO selling_sealed_answers (market, job, sealed)
    SELECT 1, job, sealed_answer FROM selling_jobs WHERE sealed_answer IS NOT NULL;

CREATE TABLE buying_jobs_in_markets (
    market            INTEGER NOT NULL REFERENCES markets (id),
    request_id        BLOB    NOT NULL CHECK (length(request_id) = 32),
    attempt           INTEGER NOT NULL CHECK (attempt >= 1),
    state             TEXT    NOT NULL,
    provider          BLOB    NOT NULL CHECK (length(provider) = 20),
    provider_key      BLOB    NOT NULL CHECK (length(provider_key) = 32),
    provider_overlay  BLOB    NOT NULL CHECK (length(provider_overlay) = 32),
    model             TEXT    NOT NULL,
    input_price       BLOB    NOT NULL CHECK (length(input_price) = 16),
    output_price      BLOB    NOT NULL CHECK (length(output_price) = 16),
    request_hash      BLOB    NOT NULL CHECK (length(request_hash) = 32),
    -- The hash of request_hash, by which messages name the job.
    routing_id        BLOB    NOT NULL CHECK (length(routing_id) = 32),
    max_payment       BLOB    NOT NULL CHECK (length(max_payment) = 16),
    delivery_deadline INTEGER NOT NULL,
    job               BLOB    CHECK (job IS NULL OR length(job) = 32),
    response_hash     BLOB    CHECK (response_hash IS NULL OR length(response_hash) = 32),
    paid              BLOB    CHECK (paid IS NULL OR length(paid) = 16),
    reason            TEXT,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    -- Bought from a provider that this gateway hardly knew although it knew others: bounded in money a day.
    explored          INTEGER NOT NULL DEFAULT 0 CHECK (explored IN (0, 1)),
    PRIMARY KEY (request_id, attempt, market),
    UNIQUE (job, market)
) WITHOUT ROWID;

-- A state owns what it needs from here on: only what is over is paid, a refusal took nothing, and what was never posted
-- has no job.
INSERT INTO buying_jobs_in_markets (market, request_id, attempt, state, provider, provider_key, provider_overlay, model,
        input_price, output_price, request_hash, routing_id, max_payment, delivery_deadline, job, response_hash, paid,
        reason, created_at, updated_at, explored)
    SELECT 1, request_id, attempt, state, provider, provider_key, provider_overlay, model,
        input_price, output_price, request_hash, routing_id, max_payment, delivery_deadline,
        CASE WHEN state = 'not_posted' THEN NULL ELSE job END, response_hash,
        CASE state WHEN 'claimed' THEN paid WHEN 'refused' THEN zeroblob(16) END,
        reason, created_at, updated_at, explored
    FROM buying_jobs;

DROP TABLE buying_jobs;
ALTER TABLE buying_jobs_in_markets RENAME TO buying_jobs;
CREATE INDEX buying_jobs_by_state ON buying_jobs (state);
CREATE INDEX buying_jobs_by_routing_id ON buying_jobs (routing_id);
CREATE INDEX buying_jobs_by_time ON buying_jobs (created_at);

CREATE TABLE selling_jobs_in_markets (
    market            INTEGER NOT NULL REFERENCES markets (id),
    job               BLOB    NOT NULL CHECK (length(job) = 32),
    state             TEXT    NOT NULL,
    client            BLOB    NOT NULL CHECK (length(client) = 20),
    request_hash      BLOB    NOT NULL CHECK (length(request_hash) = 32),
    model             TEXT    NOT NULL,
    max_payment       BLOB    NOT NULL CHECK (length(max_payment) = 16),
    -- Prices when the job was first seen: a later change does not reach a running job.
    input_price       BLOB    NOT NULL CHECK (length(input_price) = 16),
    output_price      BLOB    NOT NULL CHECK (length(output_price) = 16),
    ack_deadline      INTEGER NOT NULL,
    delivery_deadline INTEGER NOT NULL,
    -- How often a backend was asked: at most once more after a crash.
    runs              INTEGER NOT NULL DEFAULT 0,
    response_hash     BLOB    CHECK (response_hash IS NULL OR length(response_hash) = 32),
    prompt_tokens     INTEGER,
    completion_tokens INTEGER,
    payment           BLOB    CHECK (payment IS NULL OR length(payment) = 16),
    paid              BLOB    CHECK (paid IS NULL OR length(paid) = 16),
    reason            TEXT,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    PRIMARY KEY (job, market)
) WITHOUT ROWID;

-- A claim that was found on the chain and not yet filled in when the process ended becomes a refusal: the next look at
-- the chain tells what it was, and nothing is claimed for it.
INSERT INTO selling_jobs_in_markets (market, job, state, client, request_hash, model, max_payment, input_price,
        output_price, ack_deadline, delivery_deadline, runs, response_hash, prompt_tokens, completion_tokens, payment,
        paid, reason, created_at, updated_at)
    SELECT 1, job,
        CASE WHEN state IN ('uploaded', 'claimed') AND (payment IS NULL OR response_hash IS NULL) THEN 'refusing'
             WHEN state = 'answered' AND (payment IS NULL OR prompt_tokens IS NULL OR completion_tokens IS NULL)
             THEN 'refusing' ELSE state END,
        client, request_hash, model, max_payment, input_price, output_price, ack_deadline, delivery_deadline, runs,
        response_hash, prompt_tokens, completion_tokens, payment,
        CASE WHEN state = 'refused' THEN zeroblob(16)
             WHEN state = 'claimed' AND payment IS NOT NULL AND response_hash IS NOT NULL THEN paid END,
        reason, created_at, updated_at
    FROM selling_jobs;

DROP TABLE selling_jobs;
ALTER TABLE selling_jobs_in_markets RENAME TO selling_jobs;
CREATE INDEX selling_jobs_by_state ON selling_jobs (state);
CREATE INDEX selling_jobs_by_request_hash ON selling_jobs (request_hash);
CREATE INDEX selling_jobs_by_time ON selling_jobs (created_at);

CREATE TABLE notices_in_markets (
    market         INTEGER NOT NULL REFERENCES markets (id),
    client         BLOB    NOT NULL CHECK (length(client) = 20),
    request_hash   BLOB    NOT NULL CHECK (length(request_hash) = 32),
    client_key     BLOB    NOT NULL CHECK (length(client_key) = 32),
    client_overlay BLOB    NOT NULL CHECK (length(client_overlay) = 32),
    reply_url      TEXT,
    received_at    INTEGER NOT NULL,
    PRIMARY KEY (client, request_hash, market)
) WITHOUT ROWID;

INSERT INTO notices_in_markets (market, client, request_hash, client_key, client_overlay, reply_url, received_at)
    SELECT 1, client, request_hash, client_key, client_overlay, reply_url, received_at FROM notices;
DROP TABLE notices;
ALTER TABLE notices_in_markets RENAME TO notices;
CREATE INDEX notices_by_time ON notices (received_at);

CREATE TABLE cursors_in_markets (
    market INTEGER NOT NULL REFERENCES markets (id),
    name   TEXT    NOT NULL,
    block  INTEGER NOT NULL,
    PRIMARY KEY (name, market)
) WITHOUT ROWID;

INSERT INTO cursors_in_markets (market, name, block) SELECT 1, name, block FROM cursors;
DROP TABLE cursors;
ALTER TABLE cursors_in_markets RENAME TO cursors;

ALTER TABLE chain_events ADD COLUMN market INTEGER NOT NULL DEFAULT 1;
ALTER TABLE job_history ADD COLUMN market INTEGER NOT NULL DEFAULT 1;

-- A transaction is named by what it is for, such as `claim:<job>`, and a name is used once in a market. Nonces are the
-- wallet's, whatever the market.
CREATE TABLE transactions_in_markets (
    id         INTEGER PRIMARY KEY,
    market     INTEGER NOT NULL REFERENCES markets (id),
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
    UNIQUE (chain_id, wallet, key, market)
);

INSERT INTO transactions_in_markets (id, market, chain_id, wallet, key, intent, state, final, nonce, recipient,
        calldata, value, gas_limit, hash, block, block_hash, gas_used, fee, job, amount, reason, created_at, updated_at)
    SELECT id, 1, chain_id, wallet, key, intent, state, final, nonce, recipient,
        calldata, value, gas_limit, hash, block, block_hash, gas_used, fee, job, amount, reason, created_at, updated_at
    FROM transactions;

CREATE TABLE transaction_versions_in_markets (
    id             INTEGER PRIMARY KEY,
    transaction_id INTEGER NOT NULL REFERENCES transactions_in_markets (id) ON DELETE CASCADE,
    hash           BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    nonce          INTEGER NOT NULL,
    raw            BLOB    NOT NULL,
    max_fee        BLOB    NOT NULL CHECK (length(max_fee) = 16),
    max_priority   BLOB    NOT NULL CHECK (length(max_priority) = 16),
    -- 1 if a node said that another transaction has the nonce, so that these bytes wait nowhere.
    refused        INTEGER NOT NULL DEFAULT 0 CHECK (refused IN (0, 1))
);

INSERT INTO transaction_versions_in_markets (id, transaction_id, hash, nonce, raw, max_fee, max_priority, refused)
    SELECT id, transaction_id, hash, nonce, raw, max_fee, max_priority, refused FROM transaction_versions;

-- The versions first: dropping a transaction would drop its versions.
DROP TABLE transaction_versions;
DROP TABLE transactions;
ALTER TABLE transactions_in_markets RENAME TO transactions;
ALTER TABLE transaction_versions_in_markets RENAME TO transaction_versions;
-- No two open transactions ever hold the same place in the wallet's sequence.
CREATE UNIQUE INDEX transactions_open ON transactions (chain_id, wallet, nonce) WHERE final = 0;
CREATE INDEX transaction_versions_by_transaction ON transaction_versions (transaction_id, id);
