-- tests/bench/rooms.sql - what benches fill rooms with, faster than by HTTP (psql -f, after users were made). Rows are of the shape
-- that the server writes; signatures and citations are those of the row copied from, which no bench reads.
CREATE SCHEMA bench;
SET search_path = hearth;

CREATE FUNCTION bench.id(sigil text, seed text) RETURNS text LANGUAGE sql IMMUTABLE
	RETURN sigil || left(md5(seed) || md5('x' || seed), 43);

-- n messages of 500 bytes of content, like the newest message of the room, one a second.
CREATE FUNCTION bench.messages(room_id text, n bigint) RETURNS void LANGUAGE plpgsql SET search_path = hearth AS $$
DECLARE
	r room;
	t event;
BEGIN
	SELECT * INTO STRICT r FROM room WHERE id = room_id FOR UPDATE;
	SELECT * INTO STRICT t FROM event WHERE room = r.nid AND type = 16 ORDER BY room_pos DESC LIMIT 1;
	INSERT INTO event (room, room_pos, ts, type, sender, ver, at_ver, id, content, pdu, cites)
		SELECT r.nid, r.last_room_pos + i, t.ts + i * 1000, 16, t.sender, r.state_ver, r.state_ver,
			bench.id('$', room_id || (r.last_room_pos + i)),
			'{"body":"' || lpad(i::text, 470, 'x') || '","msgtype":"m.text"}', t.pdu, t.cites FROM generate_series(1, n) i;
	UPDATE room SET last_room_pos = r.last_room_pos + n, last_pos = stream_pos(), depth = r.depth + n, extremities =
		ARRAY(SELECT nid FROM event WHERE room = r.nid AND room_pos = r.last_room_pos + n) WHERE nid = r.nid;
END $$;

-- Users u<first> … join, n of them.
CREATE FUNCTION bench.members(room_id text, first bigint, n bigint) RETURNS void LANGUAGE plpgsql SET search_path = hearth AS $$
DECLARE
	r room;
	t event;
BEGIN
	SELECT * INTO STRICT r FROM room WHERE id = room_id FOR UPDATE;
	SELECT * INTO STRICT t FROM event WHERE room = r.nid AND type = 2 ORDER BY room_pos LIMIT 1;
	INSERT INTO event (room, room_pos, ts, type, state_key, sender, ver, at_ver, id, content, pdu, cites)
		SELECT r.nid, r.last_room_pos + i, t.ts + i, 2, a.usr, a.usr, r.state_ver + i - 1, r.state_ver + i - 1,
			bench.id('$', room_id || (r.last_room_pos + i)), '{"displayname":"' || a.localpart || '","membership":"join"}', t.pdu, t.cites
		FROM generate_series(1, n) i JOIN account a ON a.localpart = 'u' || (first + i - 1);
	INSERT INTO state (room, since, type, key, event, membership)
		SELECT room, at_ver + 1, 2, state_key, nid, 2 FROM event WHERE room = r.nid AND room_pos > r.last_room_pos;
	INSERT INTO current_state (room, since, type, key, event, membership)
		SELECT room, at_ver + 1, 2, state_key, nid, 2 FROM event WHERE room = r.nid AND room_pos > r.last_room_pos;
	INSERT INTO local_member (usr, room, membership, event, room_pos, sender, joined_pos)
		SELECT state_key, room, 2, nid, room_pos, sender, stream_pos() FROM event WHERE room = r.nid AND room_pos > r.last_room_pos;
	UPDATE room SET last_room_pos = r.last_room_pos + n, last_pos = stream_pos(), depth = r.depth + n, state_ver = r.state_ver + n,
		joined = r.joined + n, extremities =
		ARRAY(SELECT nid FROM event WHERE room = r.nid AND room_pos = r.last_room_pos + n) WHERE nid = r.nid;
END $$;

-- n more rooms with the same events, state and members. Their ids, in order.
CREATE FUNCTION bench.copies(room_id text, n bigint) RETURNS SETOF text LANGUAGE plpgsql SET search_path = hearth, pg_temp AS $$
DECLARE
	r room;
BEGIN
	SELECT * INTO STRICT r FROM room WHERE id = room_id FOR UPDATE;
	CREATE TEMP TABLE made ON COMMIT DROP AS
		SELECT i, nextval(pg_get_serial_sequence('hearth.room', 'nid')) AS nid, bench.id('!', room_id || i || r.created_ts) AS id FROM generate_series(1, n) i;
	INSERT INTO room (nid, id, version, public, last_room_pos, state_ver, depth, joined, invited, created_ts)
		SELECT nid, id, r.version, r.public, r.last_room_pos, r.state_ver, r.depth, r.joined, r.invited, r.created_ts FROM made ORDER BY i;
	CREATE TEMP TABLE copied ON COMMIT DROP AS	-- the create event's id is that of the room
		SELECT e.nid AS old, nextval(pg_get_serial_sequence('hearth.event', 'nid')) AS nid, m.nid AS room, m.id AS room_id
		FROM made m CROSS JOIN (SELECT nid, room_pos FROM event WHERE room = r.nid ORDER BY room_pos) e ORDER BY m.i, e.room_pos;
	INSERT INTO event (nid, room, room_pos, ts, type, state_key, sender, ver, at_ver, id, content, pdu, cites)
		SELECT c.nid, c.room, e.room_pos, e.ts, e.type, e.state_key, e.sender, e.ver, e.at_ver,
			CASE WHEN e.type = 1 THEN '$' || substr(c.room_id, 2) ELSE bench.id('$', e.id || c.nid) END, e.content, e.pdu, e.cites
		FROM copied c JOIN event e ON e.nid = c.old ORDER BY c.nid;
	INSERT INTO state (room, since, type, key, event, membership)
		SELECT c.room, s.since, s.type, s.key, c.nid, s.membership FROM state s JOIN copied c ON c.old = s.event WHERE s.room = r.nid;
	INSERT INTO current_state (room, since, type, key, event, membership)
		SELECT c.room, s.since, s.type, s.key, c.nid, s.membership FROM current_state s JOIN copied c ON c.old = s.event WHERE s.room = r.nid;
	INSERT INTO local_member (usr, room, membership, event, room_pos, sender, joined_pos)
		SELECT m.usr, c.room, m.membership, c.nid, m.room_pos, m.sender, stream_pos() FROM local_member m JOIN copied c ON c.old = m.event WHERE m.room = r.nid;
	UPDATE room SET extremities = ARRAY[c.top] FROM (SELECT room, max(nid) AS top FROM copied GROUP BY 1) c WHERE nid = c.room;
	RETURN QUERY SELECT id FROM made ORDER BY i;
END $$;

-- Users u<first> …, n of them, get `devices` devices with published keys, `otks` one-time keys each, and a cross-signed identity.
CREATE FUNCTION bench.keys(first bigint, n bigint, devices bigint, otks bigint) RETURNS void LANGUAGE plpgsql SET search_path = hearth AS $$
BEGIN
	SET LOCAL session_replication_role = replica;	-- no news for anybody
	CREATE TEMP TABLE d ON COMMIT DROP AS SELECT a.usr, b.body AS user_id, 'DEVICE' || k AS device_id, nextval(pg_get_serial_sequence('hearth.device', 'nid')) AS nid
		FROM generate_series(first, first + n - 1) i JOIN account a ON a.localpart = 'u' || i JOIN name b ON b.nid = a.usr, generate_series(1, devices) k;
	INSERT INTO device (nid, usr, device_id, display_name, created_ts) SELECT nid, usr, device_id, 'A device of the bench', 0 FROM d;
	INSERT INTO device_key (device, body) SELECT nid, '{"algorithms":["m.olm.v1.curve25519-aes-sha2","m.megolm.v1.aes-sha2"],"device_id":"' || device_id
		|| '","keys":{"curve25519:' || device_id || '":"' || bench.id('', nid || 'c') || '","ed25519:' || device_id || '":"' || bench.id('', nid || 'e')
		|| '"},"user_id":"' || user_id || '"}' FROM d;
	INSERT INTO cross_signing_key (usr, usage, public, body) SELECT usr, u, bench.id('', usr || 'u' || u), '{"keys":{"ed25519:' || bench.id('', usr || 'u' || u)
		|| '":"' || bench.id('', usr || 'u' || u) || '"},"usage":["x"],"user_id":"' || user_id || '"}' FROM (SELECT DISTINCT usr, user_id FROM d) x, generate_series(1, 3) u;
	INSERT INTO key_signature (usr, key, signer, signer_key, signature)
		SELECT usr, device_id, usr, 'ed25519:' || k, bench.id('', nid || k) || bench.id('', k || nid)
		FROM d, LATERAL (VALUES (device_id), (bench.id('', usr || 'u2'))) v(k);
	INSERT INTO one_time_key (device, algorithm, key_id, body) SELECT nid, 'signed_curve25519', 'AAAA' || k, '{"key":"' || bench.id('', nid || 'o' || k)
		|| '","signatures":{"' || user_id || '":{"ed25519:' || device_id || '":"' || bench.id('', nid || 's' || k) || bench.id('', 's' || k || nid) || '"}}}'
		FROM d, generate_series(1, otks) k;
END $$;
