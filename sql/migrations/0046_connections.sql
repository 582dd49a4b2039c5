-- From where a device was last used, for its owner and for administrators (core/user/seen.h). At most 20 addresses a device.
CREATE TABLE connection (
	device		bigint NOT NULL REFERENCES device ON DELETE CASCADE,
	ip		text COLLATE "C" NOT NULL,
	user_agent	text NOT NULL,
	seen_ts		bigint NOT NULL,
	PRIMARY KEY (device, ip)
);
CREATE INDEX connection_ts ON connection (seen_ts);
