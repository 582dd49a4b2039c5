-- What waits for a gateway is judged again where its user's rules, or whom he ignores, may have changed since (core/push/again.c).
ALTER TABLE push ADD COLUMN judged bigint NOT NULL DEFAULT 0;	-- a stream position: the rules were read when all below it was seen
