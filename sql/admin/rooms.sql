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
			FROM hearth.state s JOIN hearth.event e ON e.nid = s.event
			WHERE s.room = r.nid AND s.line = 0 AND s.type IN (7, 8, 10, 11) AND s.key = 0
				AND s.until = 9223372036854775807) c;
COMMENT ON VIEW admin.rooms IS 'Every room that this server knows.';
