-- After the migrations, at every `hearth migrate`, as the owner: least rights. Default privileges carry them over to the
-- tables of later migrations, so that a running worker can use them at once. Nobody else has USAGE on the schemas.
DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'hearth_worker') AND current_user <> 'hearth_worker' THEN
		GRANT USAGE ON SCHEMA hearth TO hearth_worker;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA hearth TO hearth_worker;
		GRANT USAGE ON ALL SEQUENCES IN SCHEMA hearth TO hearth_worker;
		ALTER DEFAULT PRIVILEGES IN SCHEMA hearth GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO hearth_worker;
		ALTER DEFAULT PRIVILEGES IN SCHEMA hearth GRANT USAGE ON SEQUENCES TO hearth_worker;
		-- What only the migrations and hearth_connect() write.
		REVOKE INSERT, UPDATE, DELETE ON hearth.stream_epoch, hearth.stream_life, hearth.schema_migration, hearth.server,
			hearth.signing_key FROM hearth_worker;
	END IF;
	IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'hearth_admin') AND current_user <> 'hearth_admin' THEN
		GRANT USAGE ON SCHEMA admin TO hearth_admin;
		GRANT SELECT ON ALL TABLES IN SCHEMA admin TO hearth_admin;
		GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA admin TO hearth_admin;
		ALTER DEFAULT PRIVILEGES IN SCHEMA admin GRANT SELECT ON TABLES TO hearth_admin;
		ALTER DEFAULT PRIVILEGES IN SCHEMA admin GRANT EXECUTE ON FUNCTIONS TO hearth_admin;
	END IF;
END $$;
