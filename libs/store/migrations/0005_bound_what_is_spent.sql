-- What was bought from a provider that this gateway hardly knew although it knew others: bounded in money a day.
ALTER TABLE buying_jobs ADD COLUMN explored INTEGER NOT NULL DEFAULT 0 CHECK (explored IN (0, 1));

-- Usable answers that this gateway had from a provider; counted up to a point, beyond which more say nothing.
CREATE TABLE experience (
    provider BLOB    NOT NULL PRIMARY KEY CHECK (length(provider) = 20),
    answered INTEGER NOT NULL CHECK (answered >= 0),
    -- Input and output price together, per million tokens, at which they were given.
    price    BLOB    NOT NULL CHECK (length(price) = 16)
) WITHOUT ROWID;
