-- What accounts and jobs need beside their tables.

-- bcrypt for the passwords that administrators set in psql (schema admin). Always called as hearth.crypt().
CREATE EXTENSION IF NOT EXISTS pgcrypto SCHEMA hearth;

-- A job that is added again while it runs must run once more: gen counts the additions.
ALTER TABLE job ADD gen bigint NOT NULL DEFAULT 0;

-- Registration by shared secret: a nonce is good once, for a minute.
CREATE TABLE register_nonce (
	nonce		text COLLATE "C" PRIMARY KEY,
	expires_ts	bigint NOT NULL
);
CREATE INDEX register_nonce_ts ON register_nonce (expires_ts);

-- For the clean-up jobs: only rows that will go.
CREATE INDEX access_token_expires ON access_token (expires_ts) WHERE expires_ts IS NOT NULL;
CREATE INDEX event_redacted_original ON event (redacted_by) WHERE redacted_original IS NOT NULL;
