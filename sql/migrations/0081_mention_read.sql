-- Mentions go when they are read (core/push/counts.c); those that were read before that.
DELETE FROM mention m WHERE m.room_pos <= (SELECT max(room_pos) FROM read_up_to r
	WHERE r.usr = m.usr AND r.room = m.room AND r.thread IN (0, coalesce(m.thread, -1)));
