-- tests/bench/fixture.sql - users u1 .. u:users with the tokens t1 .. (psql -v users=N -v server=name). Only for benches.
SET search_path = hearth;
INSERT INTO name (body) SELECT '@u' || i || ':' || :'server' FROM generate_series(1, :users) i;
INSERT INTO account (usr, localpart, created_ts)
	SELECT nid, 'u' || i, 0 FROM generate_series(1, :users) i JOIN name ON body = '@u' || i || ':' || :'server';
INSERT INTO device (usr, device_id, created_ts) SELECT usr, 'BENCH', 0 FROM account WHERE localpart ~ '^u[0-9]+$';
INSERT INTO access_token (hash, device, usr, created_ts)
	SELECT sha256(convert_to('t' || substr(localpart, 2), 'UTF8')), d.nid, d.usr, 0
	FROM account a JOIN device d USING (usr) WHERE localpart ~ '^u[0-9]+$';
ANALYZE;
