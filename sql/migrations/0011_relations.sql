-- Relations between events, threads, and the order of the room directory.

INSERT INTO name (nid, body) VALUES (25, 'm.annotation'), (26, 'm.replace'), (27, 'm.thread'), (28, 'm.reference');

-- One row per event whose content relates it to another one of its room; gone with the event's redaction. Columns of the
-- event are copied, so that no count and no page of relations has to look at the events left out.
CREATE TABLE event_relation (
	event		bigint PRIMARY KEY REFERENCES event,
	target		bigint,			-- event.nid; NULL: not known here (target_id says which)
	rel_type	bigint NOT NULL,	-- name.nid
	type		bigint NOT NULL,	-- of the event
	sender		bigint NOT NULL,	-- of the event
	room_pos	bigint,			-- of the event
	ts		bigint NOT NULL,	-- of the event
	key		text COLLATE "C",	-- of an annotation, esc
	target_id	text COLLATE "C"
);
CREATE INDEX event_relation_target ON event_relation (target, rel_type, room_pos);
CREATE INDEX event_relation_all ON event_relation (target, room_pos);
-- Has this user said so already?
CREATE INDEX event_relation_annotation ON event_relation (target, sender, key) WHERE rel_type = 25;
-- The latest edit by the event's own sender.
CREATE INDEX event_relation_replace ON event_relation (target, sender, ts) WHERE rel_type = 26;
-- For events that come after what relates to them.
CREATE INDEX event_relation_unknown ON event_relation (target_id) WHERE target IS NULL;

-- Threads by their roots, so that a list of threads and a count cost the same for long ones.
CREATE TABLE thread (
	root		bigint PRIMARY KEY REFERENCES event,
	room		bigint NOT NULL REFERENCES room,
	n		bigint NOT NULL,	-- events in it, without the root
	latest_pos	bigint NOT NULL		-- room_pos of the latest
);
CREATE INDEX thread_room ON thread (room, latest_pos);
-- Who wrote how much into it; also what is taken off the count for who ignores him.
CREATE TABLE thread_user (
	root		bigint NOT NULL REFERENCES event,
	usr		bigint NOT NULL REFERENCES name,
	n		bigint NOT NULL,
	PRIMARY KEY (root, usr)
);

-- The directory: most members first. Only what is published is in it.
CREATE INDEX room_directory ON room (joined, nid) WHERE public AND NOT blocked;
