-- Forks as lines in use: where the state after a state event goes on, when not on the line of the state before it.

-- The state after an event is (coalesce(fork, line), ver + 1) for a state event that was not rejected, else (line, ver). NULL for all
-- events of a linear room. A soft-failed event gets its fork only when another event cites it.
ALTER TABLE event ADD fork int;
COMMENT ON COLUMN event.fork IS 'The line on which the state after this event stands at ver + 1; NULL: on its own line';

-- The versions of a line that is a fork are numbered on from the version it is rooted on: its first is parent_ver + 1, or later where
-- the lines between were left out to keep the depth small.
COMMENT ON COLUMN line.depth IS 'How many lines lie between this one and line 0, itself counted; bounded';

-- A stretch of history that is not here. Events are missing between bottom_pos and the lowest event above: room_pos next_pos + 1.
-- The first event above the hole has room_pos top_pos; as the hole is filled from above, next_pos falls.
-- prev: the ids of the events that come next, going down; an empty array: nothing is missing (only the numbers are).
COMMENT ON COLUMN hole.top_pos IS 'room_pos of the event that came in over the hole';
COMMENT ON COLUMN hole.bottom_pos IS 'room_pos of the last event below; NULL: nothing is below';
COMMENT ON COLUMN hole.next_pos IS 'room_pos that the next event filled in gets; it falls';
COMMENT ON COLUMN hole.prev IS 'ids (esc) of the missing events next to what is here; empty: the hole is filled';
