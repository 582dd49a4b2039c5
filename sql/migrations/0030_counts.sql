-- Unread counts without a row per member (core/push/counts.h): running sums per room and thread, rows for those who are
-- mentioned, and how far each local user has read.

-- event.push_class and the sums were there and unused. What an event counts for (core/push/class.h): 0 never, 1 quiet, 2 other,
-- 3 call, 4 direct, 5 group, 6 all. n_a .. n_e: how many events of classes 2 .. 6 the main timeline held up to and including
-- this event, in every event's row; t_a .. t_e: the same of the event's own thread, in rows of threads alone. Redacted
-- events stay in the sums and are taken off by index event_uncounted. Events from before this migration count for nothing.
ALTER TABLE event ADD n_d int NOT NULL DEFAULT 0, ADD n_e int NOT NULL DEFAULT 0,
	ADD members int NOT NULL DEFAULT 0,	-- joined when it came: what room_member_count asks
	ADD t_a int, ADD t_b int, ADD t_c int, ADD t_d int, ADD t_e int;
CREATE INDEX event_uncounted ON event (room, room_pos) INCLUDE (thread, push_class) WHERE redacted_by IS NOT NULL AND push_class >= 2;
CREATE INDEX event_thread ON event (thread, room_pos) WHERE thread IS NOT NULL;

-- The sums of the main timeline up to the room's last event.
ALTER TABLE room ADD n_a int NOT NULL DEFAULT 0, ADD n_b int NOT NULL DEFAULT 0, ADD n_c int NOT NULL DEFAULT 0,
	ADD n_d int NOT NULL DEFAULT 0, ADD n_e int NOT NULL DEFAULT 0;

-- The sums of a thread up to its last event, whatever relates that one to the thread.
CREATE TABLE thread_count (
	root		bigint PRIMARY KEY,	-- event.nid
	room		bigint NOT NULL,
	last_pos	bigint NOT NULL,	-- room_pos
	n_a		int NOT NULL,
	n_b		int NOT NULL,
	n_c		int NOT NULL,
	n_d		int NOT NULL,
	n_e		int NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX thread_count_room ON thread_count (room, last_pos);

-- Local members whom an event names in m.mentions, unless its class is 0; gone with the event's redaction.
CREATE TABLE mention (
	usr		bigint NOT NULL,
	room		bigint NOT NULL,
	room_pos	bigint NOT NULL,	-- of the event
	event		bigint NOT NULL,
	thread		bigint,			-- as event.thread
	push_class	smallint NOT NULL,	-- of the event
	PRIMARY KEY (usr, room, room_pos)
);
CREATE INDEX mention_event ON mention (event);
CREATE INDEX mention_thread ON mention (thread) WHERE thread IS NOT NULL;

-- How far local users have read, by whatever says so: receipts of both kinds, what they sent themselves (but for member
-- events, which servers send for them), their own join. Never goes backwards.
CREATE TABLE read_up_to (
	usr		bigint NOT NULL,
	room		bigint NOT NULL,
	thread		bigint NOT NULL,	-- as in receipt: 0 unthreaded, -1 the main timeline, else the thread's root
	room_pos	bigint NOT NULL,
	PRIMARY KEY (usr, room, thread)
) WITH (fillfactor = 70);
INSERT INTO read_up_to (usr, room, thread, room_pos)
	SELECT usr, room, thread, max(room_pos) FROM (
		SELECT r.usr, r.room, r.thread, r.room_pos FROM receipt r JOIN account a ON a.usr = r.usr
		UNION ALL SELECT m.usr, m.room, 0, e.room_pos FROM local_member m
			JOIN event e ON e.pos = m.joined_pos AND e.room = m.room AND e.type = 2 AND e.state_key = m.usr
			WHERE m.membership = 2 AND e.room_pos IS NOT NULL) x
	GROUP BY 1, 2, 3;
