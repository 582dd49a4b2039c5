-- As it was: of events with one timestamp, and a server may send very many, no request sorts them all.
DROP INDEX event_room_ts;
CREATE INDEX event_room_ts ON event (room, ts, room_pos) WHERE room_pos IS NOT NULL;
