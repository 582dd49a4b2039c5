-- What a key is on forks, whichever: who may see an event on one is asked by two keys (core/room/visibility.c).
CREATE INDEX state_fork ON state (room, type, key) WHERE line <> 0;
