-- What is alive in rooms: receipts, who is typing, presence.

-- How far users have read. One row per user, kind and thread; it never goes backwards in the room's order.
CREATE TABLE receipt (
	room		bigint NOT NULL REFERENCES room,
	usr		bigint NOT NULL REFERENCES name,
	thread		bigint NOT NULL,	-- 0: unthreaded, -1: the main timeline, else event.nid of the thread's root
	kind		smallint NOT NULL,	-- 1 m.read, 2 m.read.private
	event		bigint NOT NULL,
	room_pos	bigint NOT NULL,	-- of the event
	ts		bigint NOT NULL,
	pos		bigint NOT NULL DEFAULT stream_pos(),
	PRIMARY KEY (room, usr, thread, kind)
) WITH (fillfactor = 80);
CREATE INDEX receipt_pos ON receipt (pos);
CREATE INDEX receipt_room_pos ON receipt (room, pos);
CREATE TRIGGER pos BEFORE UPDATE ON receipt FOR EACH ROW EXECUTE FUNCTION stream_pos_touch();

-- Who types, until when. Who stopped keeps a row that has ended, so that it is news; a job removes it after a week. Going
-- on typing changes until and pos, but not start: it is no news to those who have seen the start. Unlogged: a crash ends
-- all typing.
CREATE UNLOGGED TABLE typing (
	room		bigint NOT NULL,
	usr		bigint NOT NULL,
	until		bigint NOT NULL,	-- ms since 1970
	pos		bigint NOT NULL DEFAULT stream_pos(),
	start		bigint NOT NULL DEFAULT stream_pos(),	-- pos when it began
	PRIMARY KEY (room, usr)
) WITH (fillfactor = 70);
CREATE INDEX typing_pos ON typing (pos);
CREATE INDEX typing_room ON typing (room, until);
CREATE INDEX typing_until ON typing (until);
CREATE TRIGGER pos BEFORE UPDATE ON typing FOR EACH ROW EXECUTE FUNCTION stream_pos_touch();

-- What others see of a user. Written only when it changes; merged from his devices.
CREATE TABLE presence (
	usr		bigint PRIMARY KEY REFERENCES name,
	state		smallint NOT NULL DEFAULT 0,	-- 0 offline, 1 unavailable, 2 online
	status_msg	text,				-- esc
	active_ts	bigint NOT NULL DEFAULT 0,	-- the last activity, as of the last change
	pos		bigint NOT NULL DEFAULT stream_pos()
);
CREATE INDEX presence_pos ON presence (pos);
CREATE INDEX presence_up ON presence (usr) WHERE state <> 0;
CREATE TRIGGER pos BEFORE UPDATE ON presence FOR EACH ROW EXECUTE FUNCTION stream_pos_touch();

-- Signs of life of devices, about one write in half a minute. Unlogged: after a crash they come again by themselves.
CREATE UNLOGGED TABLE presence_device (
	device		bigint PRIMARY KEY,
	usr		bigint NOT NULL,
	state		smallint NOT NULL,	-- what the device says, as in presence
	until		bigint NOT NULL,	-- ms since 1970: without a further sign of life it counts as offline then
	active_ts	bigint NOT NULL		-- when its user last did something
) WITH (fillfactor = 50);
CREATE INDEX presence_device_usr ON presence_device (usr);
CREATE INDEX presence_device_until ON presence_device (until);
