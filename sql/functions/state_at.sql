-- States on lines (table line): a line says what changed since the version of its parent that it is rooted on, and
-- what it does not say, its parent says. So a state is looked up along a path of lines, from its own down to line 0.

-- The state of line 0 at a version. A key that has not changed since then is not looked up. Two passes over the keys, for one with
-- a choice for each row costs several times as much.
CREATE OR REPLACE FUNCTION state_of_room(room_ bigint, ver_ bigint) RETURNS TABLE (type bigint, key bigint, since bigint, event bigint, membership smallint)
LANGUAGE sql STABLE AS $$
SELECT type, key, since, event, membership FROM current_state WHERE room = room_ AND since <= ver_ AND event IS NOT NULL
UNION ALL SELECT c.type, c.key, s.since, s.event, s.membership FROM current_state c
CROSS JOIN LATERAL (SELECT since, event, membership FROM state WHERE room = room_ AND line = 0 AND type = c.type AND key = c.key AND since <= ver_
	ORDER BY since DESC LIMIT 1) s
WHERE c.room = room_ AND c.since > ver_ AND s.event IS NOT NULL
$$;
COMMENT ON FUNCTION state_of_room IS 'The state of a room (line 0) at a version. In FROM it becomes part of the statement, conditions and all.';

-- What a line says at a version; event NULL: that the key is absent.
CREATE OR REPLACE FUNCTION state_of_line(room_ bigint, line_ int, ver_ bigint) RETURNS TABLE (type bigint, key bigint, event bigint)
LANGUAGE sql STABLE AS $$
SELECT type, key, event FROM state_of_room(room_, ver_) WHERE line_ = 0
UNION ALL (SELECT DISTINCT ON (type, key) type, key, event FROM state WHERE room = room_ AND line = line_ AND line_ <> 0 AND since <= ver_
	ORDER BY type, key, since DESC)
$$;
COMMENT ON FUNCTION state_of_line IS 'The rows of a line (a fork, or 0) that hold at a version of it.';

-- The path of a state: the lines with the version that holds on each. step 0 is its own line. One look-up for each, however many lines
-- the room has.
CREATE OR REPLACE FUNCTION state_path(room_ bigint, line_ int, ver_ bigint) RETURNS TABLE (line int, ver bigint, step int)
LANGUAGE sql STABLE ROWS 3 AS $$
WITH RECURSIVE p(line, ver, step) AS (
	SELECT line_, ver_, 0
	UNION ALL SELECT l.parent, l.parent_ver, p.step + 1 FROM p
	CROSS JOIN LATERAL (SELECT parent, parent_ver FROM line WHERE room = room_ AND line = p.line OFFSET 0) l WHERE p.line <> 0
)
SELECT * FROM p
$$;
COMMENT ON FUNCTION state_path IS 'The lines by which a state is looked up, from its own to line 0.';

-- The event that a key has in a state; NULL: none.
CREATE OR REPLACE FUNCTION state_value(room_ bigint, line_ int, ver_ bigint, type_ bigint, key_ bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
SELECT s.event FROM state_path(room_, line_, ver_) p
CROSS JOIN LATERAL (SELECT event FROM state WHERE room = room_ AND line = p.line AND type = type_ AND key = key_ AND since <= p.ver
	ORDER BY since DESC LIMIT 1) s
ORDER BY p.step LIMIT 1
$$;
COMMENT ON FUNCTION state_value IS 'The event (nid) that a state has for a type and key.';

-- A whole state.
CREATE OR REPLACE FUNCTION state_at(room_ bigint, line_ int, ver_ bigint) RETURNS TABLE (type bigint, key bigint, event bigint)
LANGUAGE sql STABLE AS $$
WITH p AS MATERIALIZED (SELECT * FROM state_path(room_, line_, ver_))
SELECT s.type, s.key, s.event FROM p
CROSS JOIN LATERAL (SELECT * FROM state_of_line(room_, p.line, p.ver) OFFSET 0) s
WHERE s.event IS NOT NULL AND NOT EXISTS (SELECT 1 FROM p q JOIN LATERAL (SELECT 1 FROM state t WHERE t.room = room_ AND t.line = q.line
	AND t.type = s.type AND t.key = s.key AND t.since <= q.ver LIMIT 1) t ON true WHERE q.step < p.step)
$$;
COMMENT ON FUNCTION state_at IS 'A state of a room, as (type, key, event).';

-- Where several states differ: the keys for which not all have the same event, with the event of each (0: none). Looks up only what
-- changed since the states parted, not what they have in common.
CREATE OR REPLACE FUNCTION state_diff(room_ bigint, lines bigint[], vers bigint[]) RETURNS TABLE (type bigint, key bigint, events bigint[])
LANGUAGE sql STABLE AS $$
WITH RECURSIVE p(n, line, ver, step) AS (
	SELECT o, l::int, v, 0 FROM unnest(lines, vers) WITH ORDINALITY u(l, v, o)
	UNION ALL SELECT p.n, l.parent, l.parent_ver, p.step + 1 FROM p
	CROSS JOIN LATERAL (SELECT parent, parent_ver FROM line WHERE room = room_ AND line = p.line OFFSET 0) l WHERE p.line <> 0
), span AS (	-- of each line, what is not common to all
	SELECT line, CASE WHEN count(DISTINCT n) = cardinality(lines) THEN min(ver) ELSE -1 END AS lo, max(ver) AS hi FROM p GROUP BY line
), k AS (
	SELECT DISTINCT s.type, s.key FROM span
	CROSS JOIN LATERAL (SELECT type, key FROM current_state WHERE room = room_ AND since > span.lo AND span.line = 0 AND span.hi > span.lo
		UNION ALL SELECT type, key FROM state WHERE room = room_ AND line = span.line AND span.line <> 0
		AND since > span.lo AND since <= span.hi AND span.hi > span.lo OFFSET 0) s
), v AS MATERIALIZED (
	SELECT k.type, k.key, ARRAY(SELECT coalesce((SELECT s.event FROM p
		CROSS JOIN LATERAL (SELECT event FROM state WHERE room = room_ AND line = p.line AND type = k.type AND key = k.key AND since <= p.ver
			ORDER BY since DESC LIMIT 1) s
		WHERE p.n = g ORDER BY p.step LIMIT 1), 0) FROM generate_series(1, cardinality(lines)) g) AS events FROM k
)
SELECT * FROM v WHERE NOT v.events <@ v.events[1:1]
$$;
COMMENT ON FUNCTION state_diff IS 'The keys in which states (line, ver) of a room differ.';

-- What a state that another server told of (events, by nid; rejected ones count for nothing) changes of a state here. event NULL: the key has none.
CREATE OR REPLACE FUNCTION state_given(room_ bigint, line_ int, ver_ bigint, events bigint[]) RETURNS TABLE (type bigint, key bigint, event bigint)
LANGUAGE sql STABLE AS $$
SELECT coalesce(a.type, g.type), coalesce(a.key, g.key), g.nid FROM state_at(room_, line_, ver_) a
FULL JOIN (SELECT e.type, e.state_key AS key, e.nid FROM unnest(events) u(nid)
	CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = u.nid AND flags & 1 = 0 OFFSET 0) e) g ON g.type = a.type AND g.key = a.key
WHERE a.event IS DISTINCT FROM g.nid
$$;
COMMENT ON FUNCTION state_given IS 'The changes from a state to that which a list of state events is.';
