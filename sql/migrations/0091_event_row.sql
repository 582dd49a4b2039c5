-- Event ids are long and random: in a b-tree each cost 90 bytes, in a hash index 36. An exclusion constraint keeps them unique.
ALTER TABLE event DROP CONSTRAINT event_id_key;
ALTER TABLE event ADD CONSTRAINT event_id_key EXCLUDE USING hash (id WITH =);

-- What changes with every membership, and so must not stand in an index: how many are in a room. Only the order of magnitude does.
ALTER TABLE room ADD magnitude smallint NOT NULL GENERATED ALWAYS AS (CASE WHEN joined > 0 THEN floor(log(joined::float8) / log(2::float8)) ELSE 0 END::smallint) STORED;
DROP INDEX room_joined;
CREATE INDEX room_magnitude ON room (magnitude);
DROP INDEX event_room_ts;
CREATE INDEX event_room_ts ON event (room, ts) WHERE room_pos IS NOT NULL;
ALTER TABLE local_member RESET (fillfactor);	-- every change moves pos, which is indexed: nothing is rewritten in place

-- What an event of this server cites: core/event/event.h, cites_pack(). pdu does not repeat it.
ALTER TABLE event ADD cites bytea;
ALTER TABLE event ALTER cites SET STORAGE PLAIN;
