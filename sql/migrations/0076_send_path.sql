-- What a send need not look up: the id of the room's end, and whether the state that a worker remembers is still that of the room.
ALTER TABLE room ADD end_nid bigint, ADD end_id text COLLATE "C", ADD state_edits integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN room.end_nid IS 'The event whose id is end_id, which saves a send a look-up where it is the only forward extremity; else neither means anything';
COMMENT ON COLUMN room.state_edits IS 'Grows when a state event is changed (redacted), which makes no new version of the state';

CREATE FUNCTION state_edited() RETURNS trigger LANGUAGE plpgsql SET search_path = hearth AS $$
BEGIN
	UPDATE room SET state_edits = state_edits + 1 WHERE nid = NEW.room;
	RETURN NULL;
END $$;
CREATE TRIGGER state_edited AFTER UPDATE OF content ON event FOR EACH ROW WHEN (OLD.state_key IS NOT NULL) EXECUTE FUNCTION state_edited();
