-- tests/bench/memberships.sql - makes users :first .. :first + :n - 1 members of 50 of the 1,000 newest rooms each:
-- user i of rooms i % 20 + 20 k, so that one message in each of 20 rooms wakes all. The member events are
-- those of the room's creator: this bench reads none of them. User :first - 1, who sends, is in those 20. Prints the 20 rooms.
SET search_path = hearth;
CREATE TEMP TABLE r AS SELECT row_number() OVER (ORDER BY nid) - 1 AS i, nid, id, state_ver FROM (SELECT * FROM room ORDER BY nid DESC LIMIT 1000) x;
CREATE TEMP TABLE m AS
	SELECT a.usr, r.nid AS room, r.state_ver,
		(SELECT event FROM current_state s WHERE s.room = r.nid AND s.type = 2 ORDER BY since LIMIT 1) AS event
	FROM generate_series(-1, :n - 1) u JOIN account a ON a.localpart = 'u' || (u + :first)
	CROSS JOIN generate_series(0, 49) k JOIN r ON r.i = CASE WHEN u < 0 THEN k ELSE u % 20 + 20 * k END;
INSERT INTO local_member (usr, room, membership, event, room_pos) SELECT usr, room, 2, event, 1 FROM m ON CONFLICT DO NOTHING;
INSERT INTO state (room, since, type, key, event, membership) SELECT room, state_ver, 2, usr, event, 2 FROM m ON CONFLICT DO NOTHING;
INSERT INTO current_state (room, since, type, key, event, membership) SELECT room, state_ver, 2, usr, event, 2 FROM m ON CONFLICT DO NOTHING;
UPDATE room SET joined = joined + c.n FROM (SELECT room, count(*) AS n FROM m GROUP BY room) c WHERE nid = c.room;
ANALYZE;
SELECT id FROM r WHERE i < 20 ORDER BY i;
