-- How many are in a room that the directory shows; NULL for all others. The index of the directory stands on this instead of on `joined`:
-- a change of membership rewrites the row of a room that is not listed in place.
ALTER TABLE room ADD listed int GENERATED ALWAYS AS (CASE WHEN public AND NOT blocked AND joined > 0 THEN joined END) STORED;
DROP INDEX room_directory;
CREATE INDEX room_directory ON room (listed, nid) WHERE listed IS NOT NULL;

-- Whoever looks up a user's rooms here reads the rows for their membership anyway.
DROP INDEX current_state_member;
CREATE INDEX current_state_member ON current_state (key) WHERE type = 2;
-- Rows are rewritten in place where a page has room for one more: what was before is cleared away as they come.
ALTER TABLE current_state SET (fillfactor = 92);
ALTER TABLE read_up_to SET (fillfactor = 92);
