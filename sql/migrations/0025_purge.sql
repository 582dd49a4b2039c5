-- Deleting a room's history, or a whole room (core/room/purge.h).

-- purged_pos: stream position of the newest event that a purge took out of the timeline; whoever had not seen it has a gap.
-- purged: the room is being deleted, or was: nobody gets in and nobody sees it.
ALTER TABLE room ADD purged_pos bigint, ADD purged boolean NOT NULL DEFAULT false;

-- Which forks do remaining events still need? Events of forks are few.
CREATE INDEX event_line ON event (room, line, room_pos) WHERE line <> 0;
