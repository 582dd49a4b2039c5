-- What an event cites, in psql: SELECT event_cites(e) FROM event e WHERE id = '$...'.

-- An object that has at least auth_events, prev_events and depth, wherever they stand: in the event's own bytes cites (core/event/event.h,
-- cites_pack()), in pdu, or with the rest in content. The columns are given one by one: as a whole the row would be read whole.
CREATE OR REPLACE FUNCTION event_cites(room_ bigint, flags_ int, content_ text, pdu_ text, cites_ bytea) RETURNS json LANGUAGE sql STABLE AS $$
SELECT CASE WHEN cites_ IS NULL THEN hearth.as_json(CASE WHEN flags_ & 8 = 0 THEN pdu_ ELSE content_ END) ELSE (
	SELECT json_build_object('auth_events', coalesce(json_agg(i.id ORDER BY i.n) FILTER (WHERE i.n <= get_byte(cites_, 8)), '[]'),
		'prev_events', coalesce(json_agg(i.id ORDER BY i.n) FILTER (WHERE i.n > get_byte(cites_, 8)), '[]'),
		'depth', ('x' || encode(substr(cites_, 1, 8), 'hex'))::bit(64)::bigint)
	FROM (SELECT n, '$' || CASE WHEN (SELECT version FROM hearth.room WHERE nid = room_) = '3' THEN h.b ELSE translate(h.b, '+/', '-_') END AS id
		FROM generate_series(1, (length(cites_) - 9) / 32) n
		CROSS JOIN LATERAL (SELECT rtrim(encode(substr(cites_, 32 * n - 22, 32), 'base64'), '=') AS b) h) i) END
$$;
COMMENT ON FUNCTION event_cites(bigint, int, text, text, bytea) IS 'auth_events, prev_events and depth of an event, by its columns.';

CREATE OR REPLACE FUNCTION event_cites(e event) RETURNS json LANGUAGE sql STABLE AS $$ SELECT hearth.event_cites(e.room, e.flags, e.content, e.pdu, e.cites) $$;
COMMENT ON FUNCTION event_cites(event) IS 'auth_events, prev_events and depth of an event.';

-- Some events and all that they are built on: what their auth_events name, what those name, and so on. By generations; the edges
-- stand in the PDU, an event's own (in room versions 1 and 2 as pairs of id and hash). Text of JSON is compared, never its value:
-- ids are stored as they stand in canonical JSON.
CREATE OR REPLACE FUNCTION auth_chain(events bigint[]) RETURNS SETOF bigint
LANGUAGE sql STABLE AS $$
WITH RECURSIVE c(nid) AS (
	SELECT unnest(events)
	UNION
	SELECT (SELECT a.nid FROM event a WHERE a.id = substr(x.t, 2, length(x.t) - 2)) FROM c
	CROSS JOIN LATERAL (SELECT room, flags, content, pdu, cites FROM event WHERE nid = c.nid OFFSET 0) e
	CROSS JOIN LATERAL json_array_elements(event_cites(e.room, e.flags, e.content, e.pdu, e.cites) -> 'auth_events') j(v)
	CROSS JOIN LATERAL (SELECT (CASE WHEN json_typeof(j.v) = 'array' THEN j.v -> 0 ELSE j.v END)::text AS t) x
)
SELECT nid FROM c WHERE nid IS NOT NULL
$$;
COMMENT ON FUNCTION auth_chain IS 'Events (nids) with their whole auth chains.';
