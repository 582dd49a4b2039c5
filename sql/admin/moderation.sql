-- Moderation of accounts from psql; the same as the endpoints /_matrix/client/v1/admin/lock and /suspend.

CREATE OR REPLACE FUNCTION admin.lock(user_id text, locked boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
DECLARE
	acc account := admin_find_user(lock.user_id);
BEGIN
	UPDATE account a SET locked = lock.locked WHERE a.usr = acc.usr;
	PERFORM admin_wake_user(acc.usr);
END $$;
COMMENT ON FUNCTION admin.lock(text, boolean) IS
	'Locks an account: it can do nothing but log out, its sessions stay. admin.lock(user_id, false) lifts it.';

CREATE OR REPLACE FUNCTION admin.suspend(user_id text, suspended boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
DECLARE
	acc account := admin_find_user(suspend.user_id);
BEGIN
	UPDATE account a SET suspended = suspend.suspended WHERE a.usr = acc.usr;
END $$;
COMMENT ON FUNCTION admin.suspend(text, boolean) IS
	'Suspends an account: it can read, leave, redact its own messages and look after its devices, but say and change nothing. admin.suspend(user_id, false) lifts it.';

CREATE OR REPLACE FUNCTION admin.set_admin(user_id text, admin boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
DECLARE
	acc account := admin_find_user(set_admin.user_id);
BEGIN
	IF acc.kind = 'guest' THEN
		RAISE EXCEPTION 'a guest cannot administer: %', set_admin.user_id USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	UPDATE account a SET admin = set_admin.admin WHERE a.usr = acc.usr;
END $$;
COMMENT ON FUNCTION admin.set_admin(text, boolean) IS
	'Makes an account an administrator, who may use the administration endpoints and knows no rate limits; admin.set_admin(user_id, false) takes it back.';

CREATE OR REPLACE VIEW admin.connections AS
	SELECT n.body AS user_id, d.device_id, c.ip, c.user_agent, to_timestamp(c.seen_ts / 1000.0) AS last_seen
	FROM hearth.connection c JOIN hearth.device d ON d.nid = c.device JOIN hearth.name n ON n.nid = d.usr;
COMMENT ON VIEW admin.connections IS 'From where the devices of users were used in the last weeks.';

REVOKE ALL ON FUNCTION admin.lock(text, boolean), admin.suspend(text, boolean), admin.set_admin(text, boolean) FROM PUBLIC;
