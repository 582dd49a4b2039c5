-- Sessions that renew themselves, log-in tokens, OpenID tokens. Of every token only the SHA-256 is kept.

-- core/user/refresh.h. A device has one that is in force, and those that came of exchanging it and were not used yet.
CREATE TABLE refresh_token (
	hash		bytea PRIMARY KEY,
	family		bytea NOT NULL,		-- SHA-256 of what all refresh tokens of one log-in begin with: tells a used-up one
	device		bigint NOT NULL REFERENCES device ON DELETE CASCADE,
	pending		boolean NOT NULL,	-- neither it nor its access token was used yet
	revoked		boolean NOT NULL DEFAULT false,	-- a used-up one was shown: who has it must log in again
	since_ts	bigint NOT NULL		-- pending: when it was made, else since when it is in force
);
CREATE INDEX refresh_token_device ON refresh_token (device);
CREATE INDEX refresh_token_family ON refresh_token (family);
-- The refresh token that was given out with it.
ALTER TABLE access_token ADD pair bytea;

-- An expired access token tells a soft logout from an end for as long as its device is there, so no clean-up takes it: what
-- a device leaves behind goes when it gets the next one.
DROP INDEX access_token_expires;
DELETE FROM job WHERE kind = 'token_cleanup';

-- POST /login/get_token: good for one log-in, for a moment.
CREATE TABLE login_token (
	hash		bytea PRIMARY KEY,
	usr		bigint NOT NULL REFERENCES account ON DELETE CASCADE,
	expires_ts	bigint NOT NULL
);
CREATE INDEX login_token_ts ON login_token (expires_ts);
CREATE INDEX login_token_usr ON login_token (usr);

-- Proof towards third parties of who somebody is, and good for nothing else. It ends with the device that asked for it.
CREATE TABLE openid_token (
	hash		bytea PRIMARY KEY,
	device		bigint NOT NULL REFERENCES device ON DELETE CASCADE,
	expires_ts	bigint NOT NULL
);
CREATE INDEX openid_token_ts ON openid_token (expires_ts);
CREATE INDEX openid_token_device ON openid_token (device);
