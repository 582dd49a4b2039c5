-- E-mail addresses of accounts, and what people have accepted: \df+ admin.*, \dv+ admin.*

CREATE OR REPLACE VIEW admin.emails AS
	SELECT n.body AS user_id, t.address, t.can_reset, to_timestamp(t.validated_ts / 1000.0) AS validated, to_timestamp(t.added_ts / 1000.0) AS added
	FROM hearth.threepid t JOIN hearth.name n ON n.nid = t.usr WHERE t.medium = 'email';
COMMENT ON VIEW admin.emails IS 'Which e-mail addresses stand for which accounts. can_reset: its owner may set a new password.';

CREATE OR REPLACE VIEW admin.terms_consents AS
	SELECT n.body AS user_id, c.policy, c.version, to_timestamp(c.ts / 1000.0) AS accepted
	FROM hearth.terms_consent c JOIN hearth.name n ON n.nid = c.usr;
COMMENT ON VIEW admin.terms_consents IS 'Who has accepted which version of which document (setting terms), and when.';

CREATE OR REPLACE FUNCTION admin.add_email(user_id text, address text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
DECLARE
	acc account := admin_find_user(add_email.user_id);
	canonical text := lower(add_email.address);
	ms bigint := extract(epoch FROM clock_timestamp()) * 1000;
BEGIN
	IF acc.deactivated_ts IS NOT NULL THEN
		RAISE EXCEPTION 'this account is deactivated: %', add_email.user_id USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	IF canonical !~ '^[-a-z0-9!#$%&''*+/=?^_`{|}~.]+@[a-z0-9-]+(\.[a-z0-9-]+)*$' OR octet_length(canonical) > 254 THEN
		RAISE EXCEPTION 'not an e-mail address: %', add_email.address
			USING ERRCODE = 'invalid_parameter_value', HINT = 'what is beyond ASCII only its owner can add';
	END IF;
	INSERT INTO threepid AS t (medium, address, usr, validated_ts, added_ts, can_reset) VALUES ('email', canonical, acc.usr, ms, ms, true)
		ON CONFLICT ON CONSTRAINT threepid_pkey DO UPDATE SET can_reset = true WHERE t.usr = acc.usr;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'another account has this address: %', canonical USING ERRCODE = 'unique_violation', HINT = 'admin.emails';
	END IF;
END $$;
COMMENT ON FUNCTION admin.add_email(text, text) IS
	'Adds an e-mail address to an account, without asking its owner: it can log in by it, and set a new password.';

CREATE OR REPLACE FUNCTION admin.delete_email(address text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = hearth, pg_temp AS $$
	WITH d AS (DELETE FROM threepid t WHERE t.medium = 'email' AND t.address = lower(delete_email.address) RETURNING 1)
	SELECT EXISTS (SELECT FROM d)
$$;
COMMENT ON FUNCTION admin.delete_email(text) IS 'Removes an e-mail address from whatever account has it. false: none has.';

REVOKE ALL ON FUNCTION admin.add_email(text, text), admin.delete_email(text) FROM PUBLIC;
