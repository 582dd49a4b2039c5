-- How many bytes of session data a backup holds: bounded (core/e2ee/backup.h), for all of it is read at once.
ALTER TABLE key_backup ADD bytes bigint NOT NULL DEFAULT 0;
UPDATE key_backup b SET bytes = s.n FROM (SELECT usr, version, sum(octet_length(session_data))::bigint AS n FROM key_backup_session
	GROUP BY usr, version) s WHERE s.usr = b.usr AND s.version = b.version AND NOT b.deleted;
