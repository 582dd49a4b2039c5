-- Which event was there at a time (GET .../timestamp_to_event).
CREATE INDEX event_room_ts ON event (room, ts, room_pos) WHERE room_pos IS NOT NULL;
