-- Keys of providers that two endpoints of the chain have named: requests are sealed to no others.

CREATE TABLE confirmed_keys (
    -- The registry that the provider stands in.
    registry BLOB NOT NULL CHECK (length(registry) = 20),
    provider BLOB NOT NULL CHECK (length(provider) = 20),
    key      BLOB NOT NULL CHECK (length(key) = 32),
    PRIMARY KEY (registry, provider)
);
