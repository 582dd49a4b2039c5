-- Is what is stored about rooms consistent? One row per fault; none is what one wants to see. Reads all of a room (or of
-- all rooms: for tests and for an administrator at night). NULL: every room.
CREATE OR REPLACE FUNCTION room_check(room_id text DEFAULT NULL) RETURNS TABLE (room text, fault text)
LANGUAGE sql STABLE SET search_path = hearth, pg_temp AS $$
WITH r AS (
	SELECT * FROM room WHERE (room_id IS NULL OR id = room_id) AND NOT purged
), e AS (
	SELECT e.room, e.nid, e.room_pos, e.at_ver, e.pos, e.id, e.thread,
		lag(e.room_pos) OVER w AS pos_before, lag(e.at_ver) OVER w AS ver_before
	FROM event e JOIN r ON r.nid = e.room WHERE e.room_pos IS NOT NULL
	WINDOW w AS (PARTITION BY e.room ORDER BY e.room_pos)
), s AS (
	SELECT s.*, lead(s.since) OVER w AS next_since, lag(s.event) OVER w AS event_before
	FROM state s JOIN r ON r.nid = s.room
	WINDOW w AS (PARTITION BY s.room, s.line, s.type, s.key ORDER BY s.since)
), l AS (	-- the versions that a line has; line 0 has no row of its own
	SELECT nid AS room, 0 AS line, NULL::int AS parent, NULL::bigint AS parent_ver, 0 AS depth, 0::bigint AS first_ver, state_ver AS last_ver FROM r
	UNION ALL SELECT l.room, l.line, l.parent, l.parent_ver, l.depth, l.parent_ver + 1, l.last_ver FROM line l JOIN r ON r.nid = l.room
), now AS (
	SELECT * FROM s WHERE line = 0 AND next_since IS NULL AND event IS NOT NULL
), c AS (	-- the sums for unread counts (core/push/counts.h), each from those before it; history may have been deleted
	SELECT c.*, lag(c.n) OVER w AS n_before, lag(c.t) OVER (PARTITION BY c.room, c.thread ORDER BY c.room_pos) AS t_before
	FROM (SELECT e.room, e.room_pos, e.thread, e.push_class, ARRAY[e.n_a, e.n_b, e.n_c, e.n_d, e.n_e]::bigint[] AS n,
			ARRAY[e.t_a, e.t_b, e.t_c, e.t_d, e.t_e]::bigint[] AS t
		FROM event e JOIN r ON r.nid = e.room WHERE e.room_pos IS NOT NULL) c
	WINDOW w AS (PARTITION BY c.room ORDER BY c.room_pos)
), me AS (
	SELECT ':' || server_name AS suffix FROM server
), faults(nid, fault) AS (
	SELECT e.room, format('room_pos %s follows %s without a hole', e.room_pos, e.pos_before) FROM e
		WHERE e.room_pos <> e.pos_before + 1 AND NOT EXISTS (SELECT 1 FROM hole h WHERE h.room = e.room
			AND h.next_pos = e.room_pos - 1 AND h.bottom_pos = e.pos_before)
	UNION ALL SELECT e.room, format('the timeline begins at room_pos %s without a hole', e.room_pos) FROM e
		WHERE e.pos_before IS NULL AND e.room_pos > 1 AND NOT EXISTS (SELECT 1 FROM hole h WHERE h.room = e.room
			AND h.top_pos <= e.room_pos)
	UNION ALL SELECT h.room, format('the hole below %s: an event stands in it or below it, where nothing is', h.top_pos)
		FROM hole h JOIN r ON r.nid = h.room WHERE h.kind <> 3 AND EXISTS (SELECT 1 FROM event x WHERE x.room = h.room AND x.room_pos <= h.next_pos
			AND x.room_pos > coalesce(h.bottom_pos, -9223372036854775808))
	UNION ALL SELECT h.room, format('the hole below %s: the event above it is missing', h.top_pos)
		FROM hole h JOIN r ON r.nid = h.room WHERE h.kind <> 3 AND NOT EXISTS (SELECT 1 FROM event x WHERE x.room = h.room AND x.room_pos = h.top_pos)
	UNION ALL SELECT x.room, format('event %s: flags %s and room_pos %s', x.nid, x.flags, x.room_pos) FROM event x JOIN r ON r.nid = x.room
		WHERE (x.flags & 7 = 0) <> (x.room_pos IS NOT NULL) OR x.room_pos IS NOT NULL AND x.at_ver IS NULL
	UNION ALL SELECT x.room, format('event %s stands at version %s of line %s, which is none', x.nid, x.ver, x.line) FROM event x
		JOIN r ON r.nid = x.room LEFT JOIN l ON l.room = x.room AND l.line = x.line
		WHERE x.ver IS NOT NULL AND NOT coalesce(x.ver BETWEEN l.first_ver AND l.last_ver, false)
	UNION ALL SELECT x.room, format('state event %s is not what begins at version %s of line %s', x.nid, x.ver + 1, coalesce(x.fork, x.line))
		FROM event x JOIN r ON r.nid = x.room LEFT JOIN state s ON s.room = x.room AND s.line = coalesce(x.fork, x.line)
			AND s.type = x.type AND s.key = x.state_key AND s.since = x.ver + 1
		WHERE x.state_key IS NOT NULL AND x.ver IS NOT NULL AND x.flags & 5 = 0 AND (x.room_pos IS NOT NULL OR x.fork IS NOT NULL)
		AND s.event IS DISTINCT FROM x.nid
	UNION ALL SELECT l.room, format('line %s is rooted on version %s of line %s, which is none', l.line, l.parent_ver, l.parent)
		FROM l LEFT JOIN l p ON p.room = l.room AND p.line = l.parent
		WHERE l.line <> 0 AND NOT coalesce(l.parent_ver BETWEEN p.first_ver AND p.last_ver AND l.depth = p.depth + 1, false)
	UNION ALL SELECT s.room, format('line %s: version %s is not between %s and %s', s.line, s.since, l.first_ver, l.last_ver)
		FROM s LEFT JOIN l ON l.room = s.room AND l.line = s.line
		WHERE NOT coalesce(s.since BETWEEN l.first_ver AND l.last_ver, false)
	UNION ALL SELECT e.room, format('at_ver falls from %s to %s at room_pos %s', e.ver_before, e.at_ver, e.room_pos) FROM e
		WHERE e.at_ver < e.ver_before
	UNION ALL SELECT r.nid, format('last_room_pos is %s, the last event has %s', r.last_room_pos, m.top) FROM r
		JOIN (SELECT e.room, max(e.room_pos) AS top FROM e GROUP BY 1) m ON m.room = r.nid WHERE m.top <> r.last_room_pos
	UNION ALL SELECT r.nid, 'no forward extremities' FROM r
		WHERE r.resident AND r.extremities = '{}'
	UNION ALL SELECT r.nid, format('forward extremity %s is no event of the room', x) FROM r, unnest(r.extremities) x
		WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.nid = x AND e.room = r.nid)
	UNION ALL SELECT r.nid, format('end_id is %s, the only forward extremity is %s', r.end_id, e.id) FROM r
		JOIN event e ON e.nid = r.end_nid WHERE r.extremities = ARRAY[r.end_nid] AND e.id IS DISTINCT FROM r.end_id
	UNION ALL SELECT r.nid, format('depth is %s, that of the forward extremities %s', r.depth, d.depth) FROM r
		CROSS JOIN LATERAL (SELECT max((event_cites(e) ->> 'depth')::bigint) AS depth
			FROM event e WHERE e.nid = ANY (r.extremities)) d WHERE d.depth <> r.depth
	UNION ALL SELECT coalesce(s.room, c.room), format('type %s key %s: the newest row is of version %s (event %s), current_state says %s (%s)',
			coalesce(s.type, c.type), coalesce(s.key, c.key), s.since, s.event, c.since, c.event)
		FROM (SELECT * FROM s WHERE line = 0 AND next_since IS NULL) s
		FULL JOIN (SELECT c.* FROM current_state c JOIN r ON r.nid = c.room) c ON (c.room, c.type, c.key) = (s.room, s.type, s.key)
		WHERE (s.since, s.event, s.membership) IS DISTINCT FROM (c.since, c.event, c.membership)
	-- below the first event that a purge left, versions are no longer told apart
	UNION ALL SELECT r.nid, format('nothing changed at version %s', v) FROM r, generate_series(1 + CASE
			WHEN EXISTS (SELECT 1 FROM hole h WHERE h.room = r.nid AND h.kind = 3)
			THEN (SELECT min(e.at_ver) FROM e WHERE e.room = r.nid) ELSE 0 END, r.state_ver) v
		WHERE NOT EXISTS (SELECT 1 FROM s WHERE s.room = r.nid AND s.line = 0 AND s.since = v)
	UNION ALL SELECT s.room, format('state row of type %s key %s version %s: event %s does not fit', s.type, s.key, s.since, s.event)
		FROM s LEFT JOIN event x ON x.nid = s.event WHERE s.event IS NOT NULL
		AND (x.room, x.type, x.state_key) IS DISTINCT FROM (s.room, s.type, s.key)
	UNION ALL SELECT s.room, format('event %s replaces %s and says %s', s.event, s.event_before, x.prev_state)
		FROM s JOIN event x ON x.nid = s.event WHERE s.line = 0 AND x.line = 0 AND x.fork IS NULL AND x.ver + 1 = s.since
		AND x.prev_state IS DISTINCT FROM s.event_before
	UNION ALL SELECT s.room, format('membership of key %s is %s, its event says %s', s.key, s.membership, m.membership)
		FROM s JOIN event x ON x.nid = s.event CROSS JOIN LATERAL (SELECT
			(CASE WHEN x.flags & 8 = 0 THEN as_json(x.content) ELSE as_json(x.content) -> 'content' END) ->> 'membership' AS membership) m
		WHERE s.type = 2 AND m.membership IS DISTINCT FROM (ARRAY['invite', 'join', 'knock', 'leave', 'ban'])[s.membership]
	UNION ALL SELECT s.room, format('type %s key %s: no event of the timeline tells of version %s, and the row does not say so', s.type, s.key, s.since)
		FROM s LEFT JOIN event x ON x.nid = s.event WHERE s.line = 0 AND NOT s.untold AND x.room_pos IS NULL
	UNION ALL SELECT r.nid, format('%s joined and %s invited are counted, there are %s and %s', r.joined, r.invited, c.joined, c.invited)
		FROM r CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE membership = 2) AS joined,
			count(*) FILTER (WHERE membership = 1) AS invited FROM now WHERE now.room = r.nid AND now.type = 2) c
		WHERE (r.joined, r.invited) <> (c.joined, c.invited)
	UNION ALL SELECT now.room, format('local user %s: member event %s, local_member has %s', n.body, now.event, m.event)
		FROM now JOIN name n ON n.nid = now.key CROSS JOIN me
		LEFT JOIN local_member m ON m.usr = now.key AND m.room = now.room
		WHERE now.type = 2 AND right(n.body, length(me.suffix)) = me.suffix
		AND (m.membership, m.event) IS DISTINCT FROM (now.membership, now.event)
	UNION ALL SELECT c.room, format('counted up to room_pos %s (thread %s, class %s) are %s events, before it %s', c.room_pos, c.thread, c.push_class,
			c.n, c.n_before) FROM c
		WHERE c.n_before IS NOT NULL AND c.n <> ARRAY(SELECT b + (c.thread IS NULL AND c.push_class = i + 1)::int FROM unnest(c.n_before) WITH ORDINALITY x(b, i) ORDER BY i)
	UNION ALL SELECT c.room, format('counted in thread %s up to room_pos %s (class %s) are %s events, before it %s', c.thread, c.room_pos,
			c.push_class, c.t, c.t_before) FROM c
		WHERE c.thread IS NOT NULL AND (c.t[1] IS NULL AND c.push_class >= 2 OR c.t[1] IS NOT NULL AND c.t_before[1] IS NOT NULL
		AND c.t <> ARRAY(SELECT b + (c.push_class = i + 1)::int FROM unnest(c.t_before) WITH ORDINALITY x(b, i) ORDER BY i))
	UNION ALL SELECT r.nid, format('counted in all are %s events, up to the last one %s', ARRAY[r.n_a, r.n_b, r.n_c, r.n_d, r.n_e]::bigint[], c.n)
		FROM r JOIN c ON c.room = r.nid AND c.room_pos = r.last_room_pos WHERE c.n <> ARRAY[r.n_a, r.n_b, r.n_c, r.n_d, r.n_e]::bigint[]
	UNION ALL SELECT r.nid, format('thread_count of %s has not the sums of the thread''s last event', l.thread) FROM r
		CROSS JOIN LATERAL (SELECT DISTINCT ON (c.thread) c.thread, c.room_pos, c.t FROM c
			WHERE c.room = r.nid AND c.thread IS NOT NULL AND c.t[1] IS NOT NULL ORDER BY c.thread, c.room_pos DESC) l
		LEFT JOIN thread_count k ON k.root = l.thread
		WHERE (k.last_pos, ARRAY[k.n_a, k.n_b, k.n_c, k.n_d, k.n_e]::bigint[]) IS DISTINCT FROM (l.room_pos, l.t)
	UNION ALL SELECT m.room, format('mention of user %s at room_pos %s does not fit event %s', m.usr, m.room_pos, m.event)
		FROM mention m JOIN r ON r.nid = m.room LEFT JOIN event x ON x.nid = m.event
		WHERE (x.room, x.room_pos, x.thread, x.push_class) IS DISTINCT FROM (m.room, m.room_pos, m.thread, m.push_class)
		OR x.redacted_by IS NOT NULL OR x.push_class = 0
	UNION ALL SELECT p.room, format('user %s has read thread %s up to %s, read_up_to does not know', p.usr, p.thread, p.room_pos)
		FROM receipt p JOIN r ON r.nid = p.room JOIN account a ON a.usr = p.usr
		LEFT JOIN read_up_to u ON (u.usr, u.room, u.thread) = (p.usr, p.room, p.thread) WHERE u.room_pos IS NULL OR u.room_pos < p.room_pos
	UNION ALL SELECT m.room, format('local_member %s is of no member event that holds', m.usr)
		FROM local_member m JOIN r ON r.nid = m.room WHERE m.event IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM now WHERE now.room = m.room AND now.type = 2 AND now.key = m.usr)
	UNION ALL SELECT e.room, format('event %s relates to event %s, which is not there', e.nid, x.target)
		FROM e JOIN event_relation x ON x.event = e.nid WHERE x.target IS NOT NULL AND NOT EXISTS (SELECT 1 FROM event t WHERE t.nid = x.target)
	UNION ALL SELECT e.room, format('event %s is said to be in thread %s, which is not there', e.nid, e.thread)
		FROM e WHERE e.thread IS NOT NULL AND NOT EXISTS (SELECT 1 FROM event t WHERE t.nid = e.thread)
	UNION ALL SELECT t.room, format('thread %s counts %s events, there are %s', t.root, t.n, c.n) FROM thread t JOIN r ON r.nid = t.room
		CROSS JOIN LATERAL (SELECT count(*) AS n FROM event_relation x WHERE x.target = t.root AND x.rel_type = 27) c WHERE c.n <> t.n
)
SELECT r.id, f.fault FROM faults f JOIN r ON r.nid = f.nid ORDER BY 1, 2
$$;
COMMENT ON FUNCTION room_check IS 'Faults in what is stored about a room (by id) or all rooms: order, state versions, counters, members, sums for unread counts.';
