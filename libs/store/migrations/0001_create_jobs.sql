-- Amounts are 16 big-endian bytes: INTEGER ends at about 922 xBZZ, and bytes sort as amounts do.
-- Times are milliseconds since 1970, deadlines seconds since 1970, as the chain has them.

CREATE TABLE buying_jobs (
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
    -- The request, sealed to the provider; dropped once nobody can need it.
    sealed_request    BLOB,
    job               BLOB    UNIQUE CHECK (job IS NULL OR length(job) = 32),
    response_hash     BLOB    CHECK (response_hash IS NULL OR length(response_hash) = 32),
    paid              BLOB    CHECK (paid IS NULL OR length(paid) = 16),
    reason            TEXT,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    PRIMARY KEY (request_id, attempt)
) WITHOUT ROWID;

CREATE INDEX buying_jobs_by_state ON buying_jobs (state);
CREATE INDEX buying_jobs_by_routing_id ON buying_jobs (routing_id);
CREATE INDEX buying_jobs_by_time ON buying_jobs (created_at);

CREATE TABLE selling_jobs (
    job               BLOB    NOT NULL PRIMARY KEY CHECK (length(job) = 32),
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
    -- The answer, sealed to the client; dropped once the job is settled and time has passed.
    sealed_answer     BLOB,
    response_hash     BLOB    CHECK (response_hash IS NULL OR length(response_hash) = 32),
    prompt_tokens     INTEGER,
    completion_tokens INTEGER,
    payment           BLOB    CHECK (payment IS NULL OR length(payment) = 16),
    paid              BLOB    CHECK (paid IS NULL OR length(paid) = 16),
    reason            TEXT,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX selling_jobs_by_state ON selling_jobs (state);
CREATE INDEX selling_jobs_by_request_hash ON selling_jobs (request_hash);
CREATE INDEX selling_jobs_by_time ON selling_jobs (created_at);
CREATE INDEX selling_jobs_with_answer ON selling_jobs (updated_at) WHERE sealed_answer IS NOT NULL;

-- Where to send a job's answer, by the client's own signed word. Kept by request hash, since it may come before the
-- job is seen on the chain.
CREATE TABLE notices (
    client         BLOB    NOT NULL CHECK (length(client) = 20),
    request_hash   BLOB    NOT NULL CHECK (length(request_hash) = 32),
    client_key     BLOB    NOT NULL CHECK (length(client_key) = 32),
    client_overlay BLOB    NOT NULL CHECK (length(client_overlay) = 32),
    reply_url      TEXT,
    received_at    INTEGER NOT NULL,
    PRIMARY KEY (client, request_hash)
) WITHOUT ROWID;

CREATE INDEX notices_by_time ON notices (received_at);

-- Envelopes taken, so that a replay is known even after a restart. Rows live as long as an envelope is fresh.
CREATE TABLE seen_envelopes (
    sender     BLOB    NOT NULL CHECK (length(sender) = 20),
    nonce      BLOB    NOT NULL CHECK (length(nonce) = 16),
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (sender, nonce)
) WITHOUT ROWID;

CREATE INDEX seen_envelopes_by_expiry ON seen_envelopes (expires_at);

-- What happened when, for people.
CREATE TABLE job_history (
    id      INTEGER PRIMARY KEY,
    side    TEXT    NOT NULL CHECK (side IN ('buying', 'selling')),
    -- The request id on the buying side, the job id on the selling side.
    subject BLOB    NOT NULL CHECK (length(subject) = 32),
    at      INTEGER NOT NULL,
    event   TEXT    NOT NULL,
    detail  TEXT    NOT NULL DEFAULT ''
);

CREATE INDEX job_history_by_subject ON job_history (subject, id);
CREATE INDEX job_history_by_time ON job_history (at);

-- How far a reader of the chain's events has come.
CREATE TABLE cursors (
    name  TEXT    NOT NULL PRIMARY KEY,
    block INTEGER NOT NULL
) WITHOUT ROWID;
