-- Stream positions that cannot lose a row, whatever writers do (design 3, core/sync/token.h).
--
-- pos = epoch << 42 | id of the top-level transaction. A reader's snapshot says exactly which ids it had seen, so what
-- is new for it is arithmetic on pos. But ids can come again: after a crash (those whose WAL was lost), in a restored
-- or promoted copy. An epoch is one life of the database's ids; it moves when
--	- PostgreSQL crashed, was promoted or restored from a base backup: the unlogged table stream_life is empty then;
--	- it was restarted: pg_postmaster_start_time() differs (so does a copy of a stopped cluster put back);
--	- the rows were dumped and restored elsewhere, or in place: the home differs.
-- Within an epoch all sessions agree: the first one after a start makes it, under a lock.

-- Every epoch ever, for judging old tokens. tag: random; tells an epoch from one with the same number in a copy that
-- went its own way. home: cluster, database and table; it changes with a restored dump. lsn: where the epoch's WAL
-- began, or a little before: a token that had seen more comes from a future that this database lost.
CREATE TABLE stream_epoch (
	epoch		bigint PRIMARY KEY CHECK (epoch BETWEEN 1 AND 2097151),
	tag		bigint NOT NULL,
	home		text NOT NULL,
	lsn		pg_lsn NOT NULL,
	started		timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE stream_epoch IS 'Lives of this database''s transaction ids; sync tokens are judged by it. Never delete rows.';

CREATE UNLOGGED TABLE stream_life (
	one		boolean PRIMARY KEY DEFAULT true CHECK (one),
	epoch		bigint NOT NULL,
	tag		bigint NOT NULL,
	postmaster	timestamptz NOT NULL,
	home		text NOT NULL
);
COMMENT ON TABLE stream_life IS 'The present epoch. Unlogged on purpose: a crash empties it, and that begins the next epoch.';

-- What is gone from a stream up to and including floor: a token that may miss it gets an initial sync.
CREATE TABLE stream_floor (
	stream		text PRIMARY KEY,
	floor		bigint NOT NULL
);

CREATE FUNCTION stream_home() RETURNS text
	LANGUAGE sql STABLE
	RETURN (SELECT system_identifier::text FROM pg_control_system())
		|| '/' || (SELECT oid::text FROM pg_database WHERE datname = current_database())
		|| '/' || 'hearth.stream_life'::regclass::oid::text;

-- The row of the present epoch, or none. Not STABLE: after waiting for the lock it must see what the other session made.
CREATE FUNCTION epoch_live() RETURNS SETOF stream_life
	LANGUAGE sql VOLATILE
	BEGIN ATOMIC
		SELECT l.* FROM hearth.stream_life l
		WHERE l.postmaster = pg_postmaster_start_time() AND l.home = hearth.stream_home();
	END;

-- Where the WAL stood at most when this life began. After recovery or a clean start that is the newest checkpoint (its
-- redo position); the flush position, read later, may already be beyond what was lost. After a promotion the newest
-- checkpoint may be the old primary's: it is of another timeline and says nothing.
CREATE FUNCTION epoch_lsn() RETURNS pg_lsn
	LANGUAGE sql VOLATILE
	RETURN (SELECT CASE WHEN c.timeline_id = ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
			THEN least(c.redo_lsn, pg_current_wal_flush_lsn()) ELSE pg_current_wal_flush_lsn() END
		FROM pg_control_checkpoint() c);

-- Gives the session its epoch: hearth.epoch and hearth.epoch_tag. Every worker calls it at connect; a writer in psql
-- gets there by its first INSERT (stream_pos). Also for roles without rights on the tables, hence SECURITY DEFINER.
CREATE FUNCTION hearth_connect() RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp SET synchronous_commit = on
AS $$
DECLARE
	live stream_life;
BEGIN
	IF pg_is_in_recovery() THEN
		RAISE EXCEPTION 'this is a standby: stream positions come from the primary' USING ERRCODE = 'cannot_connect_now';
	END IF;
	SELECT * INTO live FROM epoch_live();
	IF NOT FOUND THEN
		PERFORM pg_advisory_xact_lock(7234881, 1);
		SELECT * INTO live FROM epoch_live();
		IF NOT FOUND THEN
			INSERT INTO stream_epoch (epoch, tag, home, lsn)
				SELECT coalesce(max(epoch), 0) + 1, ('x' || left(replace(gen_random_uuid()::text, '-', ''), 8))::bit(32)::bigint,
					stream_home(), epoch_lsn() FROM stream_epoch
				RETURNING epoch, tag INTO live.epoch, live.tag;
			INSERT INTO stream_life (epoch, tag, postmaster, home)
				VALUES (live.epoch, live.tag, pg_postmaster_start_time(), stream_home())
				ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, tag = excluded.tag,
					postmaster = excluded.postmaster, home = excluded.home;
		END IF;
	END IF;
	PERFORM set_config('hearth.epoch', live.epoch::text, false), set_config('hearth.epoch_tag', live.tag::text, false);
	RETURN live.epoch;
END $$;
COMMENT ON FUNCTION hearth_connect IS 'Gives this session the present stream epoch, which the first session after a start makes.';

-- The position of whatever this transaction writes: DEFAULT of every stream table's pos. Inlined where it is used.
CREATE FUNCTION stream_pos() RETURNS bigint
	LANGUAGE sql VOLATILE
	RETURN (coalesce(nullif(current_setting('hearth.epoch', true), '')::bigint, hearth.hearth_connect()) << 42)
		| (pg_current_xact_id()::text::bigint & 4398046511103);
COMMENT ON FUNCTION stream_pos IS 'Stream position of the present transaction; also for writers in psql.';

-- BEFORE UPDATE on stream tables: a changed row is news, whoever changed it.
CREATE FUNCTION stream_pos_touch() RETURNS trigger
	LANGUAGE plpgsql
AS $$
BEGIN
	NEW.pos := hearth.stream_pos();
	RETURN NEW;
END $$;

-- Whose server this is. Pinned at the first start: ids in the tables end in it.
CREATE TABLE server (
	one		boolean PRIMARY KEY DEFAULT true CHECK (one),
	server_name	text NOT NULL,
	created_ts	bigint NOT NULL
);

-- The newest that has not expired signs; the others are what old events are verified with.
CREATE TABLE signing_key (
	key_id		text PRIMARY KEY,	-- "ed25519:<version>"
	seed		bytea NOT NULL CHECK (length(seed) = 32),
	created_ts	bigint NOT NULL,
	expired_ts	bigint
);
COMMENT ON TABLE signing_key IS 'The server''s identity towards others: whoever reads seed can speak for it.';
