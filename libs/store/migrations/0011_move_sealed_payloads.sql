-- A job's row is read often and its sealed payload once or twice: payloads have tables of their own.

CREATE TABLE buying_sealed_requests (
    request_id BLOB    NOT NULL CHECK (length(request_id) = 32),
    attempt    INTEGER NOT NULL,
    -- The request, sealed to the provider; dropped once nobody can need it.
    sealed     BLOB    NOT NULL,
    PRIMARY KEY (request_id, attempt)
);

CREATE TABLE selling_sealed_answers (
    job    BLOB NOT NULL PRIMARY KEY CHECK (length(job) = 32),
    -- The answer or a refusal's reason, sealed to the client; dropped once the job is settled and time has passed.
    sealed BLOB NOT NULL
);

INSERT INTO buying_sealed_requests (request_id, attempt, sealed)
    SELECT request_id, attempt, sealed_request FROM buying_jobs WHERE sealed_request IS NOT NULL;
INSERT INTO selling_sealed_answers (job, sealed)
    SELECT job, sealed_answer FROM selling_jobs WHERE sealed_answer IS NOT NULL;

DROP INDEX selling_jobs_with_answer;
ALTER TABLE buying_jobs DROP COLUMN sealed_request;
ALTER TABLE selling_jobs DROP COLUMN sealed_answer;

-- A state owns what it needs from here on. A refusal took nothing; only what is over is paid.
UPDATE buying_jobs SET paid = zeroblob(16) WHERE state = 'refused';
UPDATE buying_jobs SET paid = NULL WHERE state NOT IN ('claimed', 'refused');
UPDATE buying_jobs SET job = NULL WHERE state = 'not_posted';
UPDATE selling_jobs SET paid = zeroblob(16) WHERE state = 'refused';
UPDATE selling_jobs SET paid = NULL WHERE state NOT IN ('claimed', 'refused');
-- Rows of claims that were found on the chain and not yet filled in when the process ended: what the chain says of them
-- is read again.
UPDATE selling_jobs SET state = 'refusing'
    WHERE state IN ('uploaded', 'claimed') AND (payment IS NULL OR response_hash IS NULL);
