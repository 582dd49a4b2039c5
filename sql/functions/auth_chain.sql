-- Some events and all that they are built on: what their auth_events name, what those name, and so on. By generations; the edges
-- stand in the PDU, an event's own (in room versions 1 and 2 as pairs of id and hash). Text of JSON is compared, never its value:
-- ids are stored as they stand in canonical JSON.
CREATE OR REPLACE FUNCTION auth_chain(events bigint[]) RETURNS SETOF bigint
LANGUAGE sql STABLE AS $$
WITH RECURSIVE c(nid) AS (
	SELECT unnest(events)
	UNION
	SELECT (SELECT a.nid FROM event a WHERE a.id = substr(x.t, 2, length(x.t) - 2)) FROM c
	CROSS JOIN LATERAL (SELECT flags, content, pdu FROM event WHERE nid = c.nid OFFSET 0) e
	CROSS JOIN LATERAL json_array_elements(as_json(CASE WHEN e.flags & 8 = 0 THEN e.pdu ELSE e.content END) -> 'auth_events') j(v)
	CROSS JOIN LATERAL (SELECT (CASE WHEN json_typeof(j.v) = 'array' THEN j.v -> 0 ELSE j.v END)::text AS t) x
)
SELECT nid FROM c WHERE nid IS NOT NULL
$$;
COMMENT ON FUNCTION auth_chain IS 'Events (nids) with their whole auth chains.';
