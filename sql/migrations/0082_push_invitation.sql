COMMENT ON COLUMN push.event IS 'event.nid; 0: an invitation from another server to room, whose event is local_member.oob_pdu';
