-- Accounts from psql: \df+ admin.* is the manual. What these change counts at once, also for requests that are waiting:
-- the wake-up is the one that workers send each other (core/sync/wake.h), with "-" for the container.

-- The account that somebody means by a localpart or a user id.
CREATE OR REPLACE FUNCTION hearth.admin_find_user(who text) RETURNS hearth.account
LANGUAGE plpgsql STABLE SET search_path = hearth, pg_temp AS $$
DECLARE
	acc hearth.account;
	host text := (SELECT server_name FROM server);
	part text := lower(CASE WHEN left(who, 1) = '@' THEN substr(split_part(who, ':', 1), 2) ELSE who END);
BEGIN
	IF left(who, 1) <> '@' OR substr(who, strpos(who, ':') + 1) = host THEN
		SELECT * INTO acc FROM account WHERE localpart = part;
	END IF;
	IF acc.usr IS NULL THEN
		RAISE EXCEPTION 'no such user: %', who USING ERRCODE = 'no_data_found', HINT = 'SELECT user_id FROM admin.users';
	END IF;
	RETURN acc;
END $$;

CREATE OR REPLACE FUNCTION hearth.admin_wake_user(usr bigint) RETURNS void
LANGUAGE sql SET search_path = hearth, pg_temp AS $$
	SELECT pg_notify('wake', '- u' || usr)
$$;

-- bcrypt, because pgcrypto knows nothing stronger; the next login makes it yescrypt.
CREATE OR REPLACE FUNCTION hearth.admin_password_hash(password text) RETURNS text
LANGUAGE plpgsql SET search_path = hearth, pg_temp AS $$
BEGIN
	IF octet_length(password) NOT BETWEEN 1 AND 512 THEN
		RAISE EXCEPTION 'a password has 1 to 512 bytes' USING ERRCODE = 'invalid_password';
	END IF;
	RETURN hearth.crypt(password, hearth.gen_salt('bf', 12));
END $$;

CREATE OR REPLACE FUNCTION hearth.admin_password_made_up() RETURNS text
LANGUAGE sql SET search_path = hearth, pg_temp AS $$
	SELECT translate(encode(hearth.gen_random_bytes(15), 'base64'), '+/', '-_')
$$;

CREATE OR REPLACE FUNCTION admin.create_user(localpart text, password text DEFAULT NULL, admin boolean DEFAULT false,
	OUT user_id text, OUT made_up_password text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
DECLARE
	part text := lower(create_user.localpart);
	nid bigint;
BEGIN
	user_id := '@' || part || ':' || (SELECT s.server_name FROM server s);
	IF part !~ '^[a-z0-9._=/+-]+$' OR octet_length(user_id) > 255 THEN
		RAISE EXCEPTION 'not a user name: %', create_user.localpart
			USING ERRCODE = 'invalid_parameter_value', HINT = 'a-z, 0-9 and . _ = - / +; the whole id at most 255 bytes';
	END IF;
	IF password IS NULL THEN
		made_up_password := admin_password_made_up();
		password := made_up_password;
	END IF;
	INSERT INTO name AS n (body) VALUES (user_id) ON CONFLICT (body) DO UPDATE SET body = excluded.body
		RETURNING n.nid INTO nid;
	INSERT INTO account AS a (usr, localpart, password_hash, admin, created_ts)
		VALUES (nid, part, admin_password_hash(password), create_user.admin, extract(epoch FROM clock_timestamp()) * 1000)
		ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the user exists: %', user_id USING ERRCODE = 'unique_violation';
	END IF;
	INSERT INTO profile (usr, key, value) VALUES (nid, 'displayname', to_json(part)::text);
END $$;
COMMENT ON FUNCTION admin.create_user(text, text, boolean) IS
	'Makes an account. Without a password one is made up and returned, so that none stands in a log. admin: may use the administration endpoints.';

CREATE OR REPLACE FUNCTION admin.reset_password(user_id text, password text DEFAULT NULL, logout boolean DEFAULT true,
	OUT made_up_password text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
DECLARE
	acc account := admin_find_user(reset_password.user_id);
BEGIN
	IF acc.deactivated_ts IS NOT NULL THEN
		RAISE EXCEPTION 'this account is deactivated: %', reset_password.user_id USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	IF password IS NULL THEN
		made_up_password := admin_password_made_up();
		password := made_up_password;
	END IF;
	UPDATE account SET password_hash = admin_password_hash(password) WHERE usr = acc.usr;
	-- What the old password, or a mail, has authorized; as account_set_password() has it.
	DELETE FROM uia_session WHERE usr = acc.usr AND result IS NULL;
	DELETE FROM email_session WHERE purpose = 'reset' AND used_by IS NULL
		AND address IN (SELECT t.address FROM threepid t WHERE t.usr = acc.usr AND t.medium = 'email');
	IF logout THEN
		DELETE FROM device WHERE usr = acc.usr;
		PERFORM admin_wake_user(acc.usr);
	END IF;
	DELETE FROM login_token WHERE usr = acc.usr;
END $$;
COMMENT ON FUNCTION admin.reset_password(text, text, boolean) IS
	'Sets a new password; without one it is made up and returned. Ends all sessions of the user unless logout is false.';

CREATE OR REPLACE FUNCTION admin.logout(user_id text, device_id text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
DECLARE
	acc account := admin_find_user(logout.user_id);
	n integer;
BEGIN
	DELETE FROM device d WHERE d.usr = acc.usr AND (logout.device_id IS NULL OR d.device_id = logout.device_id);
	GET DIAGNOSTICS n = ROW_COUNT;
	DELETE FROM login_token t WHERE t.usr = acc.usr AND logout.device_id IS NULL;
	PERFORM admin_wake_user(acc.usr);
	RETURN n;
END $$;
COMMENT ON FUNCTION admin.logout(text, text) IS
	'Ends the sessions of a user, or the one of a device; returns how many. Requests that wait with them are answered 401 at once.';

CREATE OR REPLACE FUNCTION admin.deactivate(user_id text, erase boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
DECLARE
	acc account := admin_find_user(deactivate.user_id);
BEGIN
	UPDATE account a SET deactivated_ts = coalesce(a.deactivated_ts, extract(epoch FROM clock_timestamp()) * 1000),
		erased = a.erased OR deactivate.erase WHERE a.usr = acc.usr;
	DELETE FROM device d WHERE d.usr = acc.usr;
	DELETE FROM threepid t WHERE t.usr = acc.usr;
	DELETE FROM profile p WHERE p.usr = acc.usr;
	INSERT INTO job AS j (kind, key) VALUES ('deactivate', acc.usr::text)
		ON CONFLICT (kind, key) DO UPDATE SET args = excluded.args, run_ts = 0, gen = j.gen + 1, attempts = 0;
	PERFORM admin_wake_user(acc.usr), admin_wake_user(0);	-- 0: those who run jobs
END $$;
COMMENT ON FUNCTION admin.deactivate(text, boolean) IS
	'Ends an account for ever: its sessions end, a job leaves its rooms. The name stays taken, the profile goes. erase: remembered as the wish to be forgotten.';

CREATE OR REPLACE FUNCTION admin.create_registration_token(token text DEFAULT NULL, uses integer DEFAULT NULL,
	valid_for interval DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
DECLARE
	ms bigint := extract(epoch FROM clock_timestamp()) * 1000;
BEGIN
	token := coalesce(token, admin_password_made_up());
	INSERT INTO registration_token (token, uses_allowed, expires_ts, created_ts)
		VALUES (token, uses, ms + (extract(epoch FROM valid_for) * 1000)::bigint, ms);
	RETURN token;
END $$;
COMMENT ON FUNCTION admin.create_registration_token(text, integer, interval) IS
	'Makes a token for the setting registration = token, and returns it; without one it is made up. uses: how many may register by it (any number), valid_for: how long (for ever).';

CREATE OR REPLACE FUNCTION admin.delete_registration_token(token text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
	WITH d AS (DELETE FROM registration_token t WHERE t.token = delete_registration_token.token RETURNING 1)
	SELECT EXISTS (SELECT FROM d)
$$;
COMMENT ON FUNCTION admin.delete_registration_token(text) IS 'Nobody can register by this token any more. false: there is no such token.';

CREATE OR REPLACE VIEW admin.registration_tokens AS
	SELECT t.token, t.uses_allowed, t.used, to_timestamp(t.expires_ts / 1000.0) AS expires, to_timestamp(t.created_ts / 1000.0) AS created
	FROM hearth.registration_token t;
COMMENT ON VIEW admin.registration_tokens IS 'Tokens that let people register, used up and expired ones too.';

CREATE OR REPLACE VIEW admin.users AS
	SELECT n.body AS user_id, a.kind, a.admin, a.locked, a.suspended,
		to_timestamp(a.created_ts / 1000.0) AS created, to_timestamp(a.deactivated_ts / 1000.0) AS deactivated,
		hearth.json_text((SELECT p.value FROM hearth.profile p WHERE p.usr = a.usr AND p.key = 'displayname')) AS displayname,
		a.password_hash IS NOT NULL AS has_password,
		(SELECT count(*) FROM hearth.device d WHERE d.usr = a.usr) AS devices,
		(SELECT to_timestamp(max(d.last_seen_ts) / 1000.0) FROM hearth.device d WHERE d.usr = a.usr) AS last_seen,
		(SELECT count(*) FROM hearth.local_member m WHERE m.usr = a.usr AND m.membership = 2) AS rooms
	FROM hearth.account a JOIN hearth.name n ON n.nid = a.usr;
COMMENT ON VIEW admin.users IS 'Every account of this server.';

CREATE OR REPLACE VIEW admin.devices AS
	SELECT n.body AS user_id, d.device_id, d.display_name,
		to_timestamp(d.created_ts / 1000.0) AS created, to_timestamp(d.last_seen_ts / 1000.0) AS last_seen, d.last_seen_ip,
		(SELECT count(*) FROM hearth.access_token t WHERE t.device = d.nid) AS tokens
	FROM hearth.device d JOIN hearth.name n ON n.nid = d.usr;
COMMENT ON VIEW admin.devices IS 'Every session; admin.logout(user_id, device_id) ends one.';

REVOKE ALL ON FUNCTION admin.create_user(text, text, boolean), admin.reset_password(text, text, boolean),
	admin.logout(text, text), admin.deactivate(text, boolean),
	admin.create_registration_token(text, integer, interval), admin.delete_registration_token(text) FROM PUBLIC;
