-- The state of line 0 as it is now stands apart from its history. Table state only grows: a row holds until the next of its key,
-- so that a change closes nothing (closing a row rewrote all its index entries). A change rewrites one row of current_state in place:
-- nothing that changes is in one of its indexes.
CREATE TABLE current_state (
	room		bigint NOT NULL,
	type		bigint NOT NULL,
	key		bigint NOT NULL,
	since		bigint NOT NULL,	-- of the newest row of table state for this key of line 0; the rest as there
	event		bigint,
	membership	smallint,
	PRIMARY KEY (room, type, key)
) WITH (fillfactor = 85);
INSERT INTO current_state (room, type, key, since, event, membership)
	SELECT room, type, key, since, event, membership FROM state WHERE line = 0 AND until = 9223372036854775807 ORDER BY room, type, key;
CREATE INDEX current_state_member ON current_state (key) INCLUDE (room) WHERE type = 2;

-- Made anew: a dropped column would cost every row a longer header.
ALTER TABLE state RENAME TO state_before;
ALTER INDEX state_pkey RENAME TO state_before_pkey;
CREATE TABLE state (
	room		bigint NOT NULL,
	type		bigint NOT NULL,
	key		bigint NOT NULL,
	since		bigint NOT NULL,
	event		bigint,			-- NULL: absent
	pos		bigint NOT NULL DEFAULT stream_pos(),
	line		int NOT NULL DEFAULT 0,
	membership	smallint,		-- member rows: 1 invite 2 join 3 knock 4 leave 5 ban
	untold		boolean NOT NULL DEFAULT false	-- no event of the timeline tells of it, or perhaps none
);
COMMENT ON TABLE state IS 'One row per change: on this line the key has this event from version `since` on, up to the next row of the key.';
INSERT INTO state (room, type, key, since, event, pos, line, membership, untold)
	SELECT room, type, key, since, event, pos, line, membership, line = 0 AND NOT EXISTS (SELECT 1 FROM event e
		WHERE e.nid = state_before.event AND e.pos = state_before.pos AND e.room_pos IS NOT NULL)
	FROM state_before ORDER BY room, since;
DROP TABLE state_before;
ALTER TABLE state ADD PRIMARY KEY (room, line, type, key, since);
CREATE INDEX state_pos ON state (room, pos) WHERE line = 0;
CREATE INDEX state_tail ON state (pos) WHERE line = 0 AND untold;	-- the others are found with their events
CREATE INDEX state_fork ON state (room, type, key) WHERE line <> 0;
