-- Rooms by size: sync workers keep a list of the large ones, in which presence is not told (setting presence_room_max). It does not
-- keep a message from being a HOT update: the number of members stays.
CREATE INDEX room_joined ON room (joined);

-- A client that has seen somebody type must hear that it ended, also when the database crashed in between. Rows are written
-- without waiting for the disk.
ALTER TABLE typing SET LOGGED;
COMMENT ON TABLE typing IS 'Who types, until when. Of each room one row stays for good: it tells those who were away for long that it ended.';
