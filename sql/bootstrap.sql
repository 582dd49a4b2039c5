-- Before the migrations, at every `hearth migrate`, as the role that connects: roles and schemas.
--
-- hearth_owner owns schemas hearth and admin, hearth_worker is what the processes log in as, hearth_admin may call what
-- is in schema admin. They are made where the connecting role may make roles; a single ordinary role that owns the
-- database does as well, and then owns everything. None gets a password here.
DO $$
DECLARE
	r text;
BEGIN
	IF (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
		FOREACH r IN ARRAY ARRAY['hearth_owner', 'hearth_worker', 'hearth_admin'] LOOP
			CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = r);
			BEGIN
				EXECUTE format('CREATE ROLE %I LOGIN', r);
			EXCEPTION WHEN duplicate_object OR unique_violation THEN
				NULL;	-- another database of this cluster is migrated at the same moment
			END;
		END LOOP;
		BEGIN
			-- A superuser is everybody; one who may only make roles has to be let in.
			IF NOT pg_has_role(current_user, 'hearth_owner', 'MEMBER') THEN
				EXECUTE format('GRANT hearth_owner TO %I', current_user);
			END IF;
			EXECUTE format('GRANT CREATE ON DATABASE %I TO hearth_owner', current_database());
		EXCEPTION WHEN insufficient_privilege THEN
			NULL;	-- then the connecting role owns the schemas
		END;
	END IF;
END $$;

-- From here on as the owner.
DO $$
DECLARE
	o name := (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'hearth');
BEGIN
	IF o IS NULL AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'hearth_owner')
		AND pg_has_role(current_user, 'hearth_owner', 'MEMBER')
		AND has_database_privilege('hearth_owner', current_database(), 'CREATE') THEN
		o := 'hearth_owner';
	END IF;
	IF o IS NOT NULL AND o <> current_user THEN
		IF NOT pg_has_role(current_user, o, 'MEMBER') THEN
			RAISE EXCEPTION 'schema hearth belongs to role %, and % may not act for it', o, current_user;
		END IF;
		EXECUTE format('SET ROLE %I', o);
	END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS hearth;
COMMENT ON SCHEMA hearth IS 'The homeserver''s data.';
CREATE SCHEMA IF NOT EXISTS admin;
COMMENT ON SCHEMA admin IS 'Administration: \df+ admin.* is its manual.';

CREATE TABLE IF NOT EXISTS hearth.schema_migration (
	name		text PRIMARY KEY,	-- "migrations/0001_streams.sql", "functions/…", "admin/…"
	checksum	text NOT NULL,		-- SHA-256
	applied		timestamptz NOT NULL DEFAULT clock_timestamp()
);
