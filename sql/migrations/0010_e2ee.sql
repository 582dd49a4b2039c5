-- End-to-end encryption: keys of devices and users, messages to devices, backups of room keys. All names are esc strings
-- (core/base/json.h), all bodies canonical JSON.

-- The object that a device published, without `signatures` (table key_signature) and `unsigned`.
CREATE TABLE device_key (
	device		bigint PRIMARY KEY REFERENCES device ON DELETE CASCADE,
	body		text NOT NULL
);

-- Given out in the order of nid, each once: claiming is deleting.
CREATE TABLE one_time_key (
	nid		bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	device		bigint NOT NULL REFERENCES device ON DELETE CASCADE,
	algorithm	text COLLATE "C" NOT NULL,
	key_id		text COLLATE "C" NOT NULL,
	body		text NOT NULL,
	UNIQUE (device, algorithm, key_id)
);
CREATE INDEX one_time_key_next ON one_time_key (device, algorithm, nid);

CREATE TABLE fallback_key (
	device		bigint NOT NULL REFERENCES device ON DELETE CASCADE,
	algorithm	text COLLATE "C" NOT NULL,
	key_id		text COLLATE "C" NOT NULL,
	body		text NOT NULL,
	used		boolean NOT NULL DEFAULT false,
	PRIMARY KEY (device, algorithm)
);

-- News for a device: others have taken keys of it. Only ever inserted, so that claims do not wait for each other; a job
-- removes old rows, and a sync whose token is older than half of what is kept tells the counts in any case.
CREATE TABLE key_used (
	pos		bigint NOT NULL DEFAULT stream_pos(),
	usr		bigint NOT NULL,
	device		bigint NOT NULL,
	ts		bigint NOT NULL
);
CREATE INDEX key_used_device ON key_used (device, pos);
CREATE INDEX key_used_pos ON key_used (pos);
CREATE INDEX key_used_ts ON key_used (ts);

CREATE TABLE cross_signing_key (
	usr		bigint NOT NULL REFERENCES name,
	usage		smallint NOT NULL,	-- 1 master, 2 self_signing, 3 user_signing
	public		text COLLATE "C" NOT NULL,	-- unpadded base64: what the key id and the object's name are made of
	body		text NOT NULL,
	PRIMARY KEY (usr, usage)
);

-- All signatures of device keys and cross-signing keys. key: device id or public key of usr; signer_key: "ed25519:<id>".
CREATE TABLE key_signature (
	usr		bigint NOT NULL REFERENCES name,
	key		text COLLATE "C" NOT NULL,
	signer		bigint NOT NULL REFERENCES name,
	signer_key	text COLLATE "C" NOT NULL,
	signature	text NOT NULL,
	PRIMARY KEY (usr, key, signer, signer_key)
);
CREATE INDEX key_signature_signer ON key_signature (signer, signer_key);

-- Who changed devices or keys, and when last. observer 0: all who share a room see it; else this user alone (user-signing
-- keys and what they sign).
CREATE TABLE device_change (
	usr		bigint NOT NULL REFERENCES name,
	observer	bigint NOT NULL DEFAULT 0,
	pos		bigint NOT NULL DEFAULT stream_pos(),
	PRIMARY KEY (usr, observer)
);
CREATE INDEX device_change_pos ON device_change (pos);
CREATE INDEX device_change_observer ON device_change (observer, pos) WHERE observer <> 0;
CREATE TRIGGER pos BEFORE UPDATE ON device_change FOR EACH ROW EXECUTE FUNCTION stream_pos_touch();

-- Messages until they are acknowledged. Who inserts holds the device's row (FOR KEY SHARE): see device_changed().
CREATE TABLE to_device (
	device		bigint NOT NULL,
	pos		bigint NOT NULL DEFAULT stream_pos(),
	id		bigint GENERATED ALWAYS AS IDENTITY,
	usr		bigint NOT NULL,	-- the device's
	sender		bigint NOT NULL REFERENCES name,
	type		text NOT NULL,
	content		text NOT NULL,
	PRIMARY KEY (device, pos, id)
);
CREATE INDEX to_device_pos ON to_device (pos);
ALTER TABLE to_device ALTER content SET COMPRESSION lz4;

-- Every change of a device that others see, whoever makes it: login, rename, logout, also by hand.
CREATE FUNCTION device_changed() RETURNS trigger
	LANGUAGE plpgsql SET search_path = hearth, pg_temp
AS $$
DECLARE
	d device := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
	-- Device ids and public keys of cross-signing name keys in one space. Who uploads those locks the account, which this
	-- INSERT has waited for (foreign key), so one of the two sees the other.
	IF TG_OP = 'INSERT' AND EXISTS (SELECT FROM cross_signing_key c WHERE c.usr = d.usr AND c.public = d.device_id) THEN
		RAISE EXCEPTION 'this device id is a cross-signing key'
			USING ERRCODE = 'unique_violation', CONSTRAINT = 'device_id_is_key';
	END IF;
	INSERT INTO device_change (usr) VALUES (d.usr) ON CONFLICT (usr, observer) DO UPDATE SET pos = 0;
	IF TG_OP = 'DELETE' THEN
		DELETE FROM key_signature s WHERE s.usr = d.usr AND s.key = d.device_id;
		DELETE FROM key_signature s WHERE s.signer = d.usr AND s.signer_key = 'ed25519:' || d.device_id;
		-- May be many: a job removes them, in pieces.
		IF EXISTS (SELECT FROM to_device t WHERE t.device = d.nid) THEN
			INSERT INTO job (kind, key) VALUES ('to_device_purge', d.nid::text) ON CONFLICT DO NOTHING;
		END IF;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER seen AFTER INSERT OR DELETE OR UPDATE OF display_name ON device
	FOR EACH ROW EXECUTE FUNCTION device_changed();

-- Versions are never used again: a deleted one keeps its row; a job removes its sessions.
CREATE TABLE key_backup (
	usr		bigint NOT NULL REFERENCES account ON DELETE CASCADE,
	version		bigint NOT NULL,
	algorithm	text NOT NULL,
	auth_data	text NOT NULL,
	etag		bigint NOT NULL DEFAULT 0,
	count		bigint NOT NULL DEFAULT 0,
	deleted		boolean NOT NULL DEFAULT false,
	PRIMARY KEY (usr, version)
);

CREATE TABLE key_backup_session (
	usr		bigint NOT NULL,
	version		bigint NOT NULL,
	room		text COLLATE "C" NOT NULL,
	session		text COLLATE "C" NOT NULL,
	first_message_index bigint NOT NULL,
	forwarded_count	bigint NOT NULL,
	is_verified	boolean NOT NULL,
	session_data	text NOT NULL,
	PRIMARY KEY (usr, version, room, session),
	FOREIGN KEY (usr, version) REFERENCES key_backup ON DELETE CASCADE
);
