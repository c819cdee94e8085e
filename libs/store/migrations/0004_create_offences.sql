-- Providers that took a payment for what was no answer, for as long as that is held against them.

CREATE TABLE offences (
    provider     BLOB    NOT NULL PRIMARY KEY CHECK (length(provider) = 20),
    -- How often.
    times        INTEGER NOT NULL CHECK (times > 0),
    -- Nothing is bought from it before then, in milliseconds since 1970.
    barred_until INTEGER NOT NULL
);
