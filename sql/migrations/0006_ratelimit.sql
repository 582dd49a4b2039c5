-- Token buckets of what is counted over all containers: attempts to log in and to register (core/user/ratelimit.h).
-- Unlogged: a commit that writes nothing else waits for no flush, and after a crash everybody begins with a full bucket.
CREATE UNLOGGED TABLE ratelimit (
	key		bytea PRIMARY KEY,		-- first 16 bytes of SHA-256 of class and who: no addresses or names lie here
	tokens		double precision NOT NULL,	-- at ts
	ts		bigint NOT NULL,		-- ms since 1970
	granted		boolean NOT NULL		-- what the last attempt got
) WITH (fillfactor = 50);
CREATE INDEX ratelimit_ts ON ratelimit (ts);
