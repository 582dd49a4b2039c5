-- Rooms from psql.

CREATE OR REPLACE VIEW admin.rooms AS
	SELECT r.id AS room_id, r.version, hearth.json_text(c.name, 'name') AS name,
		hearth.json_text(c.alias, 'alias') AS canonical_alias, hearth.json_text(c.topic, 'topic') AS topic,
		c.encryption IS NOT NULL AS encrypted, r.public, r.blocked, r.resident, r.joined, r.invited,
		to_timestamp(r.created_ts / 1000.0) AS created,
		(SELECT to_timestamp(e.ts / 1000.0) FROM hearth.event e WHERE e.room = r.nid AND e.room_pos IS NOT NULL
			ORDER BY e.room_pos DESC LIMIT 1) AS last_event
	FROM hearth.room r,
		-- what is in force now; the numbers of the types stand in core/room/names.h
		LATERAL (SELECT max(e.content) FILTER (WHERE s.type = 7) AS name, max(e.content) FILTER (WHERE s.type = 8) AS topic,
				max(e.content) FILTER (WHERE s.type = 10) AS alias, max(e.content) FILTER (WHERE s.type = 11) AS encryption
			FROM hearth.current_state s JOIN hearth.event e ON e.nid = s.event
			WHERE s.room = r.nid AND s.type IN (7, 8, 10, 11) AND s.key = 0) c
	WHERE NOT r.purged;
COMMENT ON VIEW admin.rooms IS 'Every room that this server knows.';

CREATE OR REPLACE FUNCTION hearth.admin_find_room(room_id text) RETURNS hearth.room
LANGUAGE plpgsql STABLE SET search_path = hearth, pg_temp AS $$
DECLARE
	found room;
BEGIN
	SELECT * INTO found FROM room r WHERE r.id = room_id AND NOT r.purged;
	IF found.nid IS NULL THEN
		RAISE EXCEPTION 'no such room: %', room_id USING ERRCODE = 'no_data_found', HINT = 'SELECT room_id FROM admin.rooms';
	END IF;
	RETURN found;
END $$;

-- The same as purge_history() and purge_room() in core/room/purge.c, which tells what the jobs do.
CREATE OR REPLACE FUNCTION hearth.admin_add_purge(kind text, key text) RETURNS void
LANGUAGE sql SET search_path = hearth, pg_temp AS $$
	INSERT INTO job AS j (kind, key) VALUES (kind, key)
		ON CONFLICT (kind, key) DO UPDATE SET args = excluded.args, run_ts = 0, gen = j.gen + 1, attempts = 0
$$;

CREATE OR REPLACE FUNCTION admin.purge_history(room_id text, before timestamptz DEFAULT NULL, before_event text DEFAULT NULL,
	keep_local boolean DEFAULT false) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
DECLARE
	r room := admin_find_room(purge_history.room_id);
	upto bigint;
BEGIN
	IF (before IS NULL) = (before_event IS NULL) THEN
		RAISE EXCEPTION 'up to a time or up to an event, one of them' USING ERRCODE = 'invalid_parameter_value';
	ELSIF before_event IS NULL THEN
		upto := coalesce((SELECT min(e.room_pos) FROM event e WHERE e.room = r.nid
			AND e.ts >= (extract(epoch FROM before) * 1000)::bigint AND e.room_pos IS NOT NULL), r.last_room_pos + 1) - 1;
	ELSE
		upto := (SELECT e.room_pos - 1 FROM event e WHERE e.room = r.nid AND e.id = before_event);
		IF upto IS NULL THEN
			RAISE EXCEPTION 'no such event in the room''s timeline: %', before_event USING ERRCODE = 'no_data_found';
		END IF;
	END IF;
	PERFORM admin_add_purge('purge_history', format('%s:%s:%s', r.nid, upto, CASE WHEN keep_local THEN 'keep' ELSE 'all' END));
	RETURN (SELECT count(*) FROM event e WHERE e.room = r.nid AND e.room_pos <= upto);
END $$;
COMMENT ON FUNCTION admin.purge_history(text, timestamptz, text, boolean) IS
	'Deletes a room''s history before a time, or before an event, in the background; returns how many events leave the timeline. The present state stays. keep_local: what users of this server sent is only hidden.';

CREATE OR REPLACE FUNCTION admin.purge_room(room_id text, block boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
DECLARE
	r room := admin_find_room(purge_room.room_id);
BEGIN
	UPDATE room x SET purged = true, public = false, blocked = x.blocked OR block WHERE x.nid = r.nid;
	DELETE FROM alias a WHERE a.room = r.nid;
	PERFORM admin_add_purge('purge_room', r.nid::text);
END $$;
COMMENT ON FUNCTION admin.purge_room(text, boolean) IS
	'Deletes a room with all that is in it, in the background: its members leave, then it goes. block: nobody of this server gets into it again.';

REVOKE ALL ON FUNCTION admin.purge_history(text, timestamptz, text, boolean), admin.purge_room(text, boolean) FROM PUBLIC;
