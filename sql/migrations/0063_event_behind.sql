-- Events that came late: the state before them is a version of line 0 that was no longer the newest. A purge must leave it.
CREATE INDEX event_behind ON event (room, room_pos, ver) WHERE line = 0 AND ver > 0 AND ver < at_ver;
