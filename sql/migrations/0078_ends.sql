-- A room that falls apart and that nobody here may bring together: the oldest forward extremities are left out.
ALTER TABLE room ADD cut_ver bigint;
COMMENT ON COLUMN room.cut_ver IS 'Forward extremities were left out when line 0 had this version: it takes part in resolution in their stead';

-- Events in a filled hole whose state is not known (yet).
CREATE INDEX event_unknown ON event (room, room_pos) WHERE ver IS NULL AND room_pos IS NOT NULL;
-- Which events stand on a line, as event_line for event.line.
CREATE INDEX event_fork ON event (room, fork, room_pos) WHERE fork IS NOT NULL;
