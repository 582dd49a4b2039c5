-- E-mail: addresses of accounts, their validation, consent to terms, and what authentication sessions remember of it.

-- Third-party identifiers that stand for an account. Whoever controls one with can_reset may set a new password.
CREATE TABLE threepid (
	medium		text COLLATE "C" NOT NULL CHECK (medium = 'email'),
	address		text COLLATE "C" NOT NULL,	-- canonical: core/base/email.h
	usr		bigint NOT NULL REFERENCES account ON DELETE CASCADE,
	validated_ts	bigint NOT NULL,
	added_ts	bigint NOT NULL,
	can_reset	boolean NOT NULL,		-- false: added with an access token alone (POST /account/3pid)
	PRIMARY KEY (medium, address)
);
CREATE INDEX threepid_usr ON threepid (usr);

-- Somebody proves that an address is his: what …/email/requestToken begins and the link of a mail ends.
CREATE TABLE email_session (
	sid		text COLLATE "C" PRIMARY KEY,
	purpose		text NOT NULL CHECK (purpose IN ('register', 'add', 'reset')),
	address		text COLLATE "C" NOT NULL,
	client_secret	bytea NOT NULL,			-- SHA-256
	send_attempt	bigint NOT NULL,		-- no mail for a number that is not larger
	token		text,				-- what the mail holds; NULL: it only informs (the address is known, or is not)
	next_link	text,
	created_ts	bigint NOT NULL,
	expires_ts	bigint NOT NULL,
	validated_ts	bigint,
	used_by		bigint,				-- the account for which it was used, once
	UNIQUE (purpose, address, client_secret)
);
CREATE INDEX email_session_expires ON email_session (expires_ts);

-- Which versions of which documents a user has accepted.
CREATE TABLE terms_consent (
	usr		bigint NOT NULL REFERENCES account ON DELETE CASCADE,
	policy		text COLLATE "C" NOT NULL,
	version		text COLLATE "C" NOT NULL,
	ts		bigint NOT NULL,
	PRIMARY KEY (usr, policy, version)
);

ALTER TABLE uia_session
	ADD flows	text[] NOT NULL DEFAULT '{}',	-- as they were offered: stages, parted by spaces
	ADD bound	boolean NOT NULL DEFAULT false,	-- params may not change any more
	ADD email_sid	text,				-- the email_session that m.login.email.identity rests on
	ADD terms	text;				-- the policies that were shown, as in the setting `terms`
UPDATE uia_session SET bound = completed <> '{}';
