-- What lets somebody register where the setting registration is "token". Made in psql: admin.create_registration_token().
CREATE TABLE registration_token (
	token		text COLLATE "C" PRIMARY KEY CHECK (token ~ '^[A-Za-z0-9._~-]{1,64}$'),
	uses_allowed	int CHECK (uses_allowed > 0),	-- NULL: any number
	used		int NOT NULL DEFAULT 0,
	expires_ts	bigint,				-- NULL: never
	created_ts	bigint NOT NULL
);
-- The token that a session proved; its use counts when the account is made.
ALTER TABLE uia_session ADD token text;
