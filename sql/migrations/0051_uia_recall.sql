-- What a registration was begun with, for clients that go on with nothing but its session (core/user/uia.h: uia_recall).
ALTER TABLE uia_session
	ADD body	text,		-- canonical JSON, without auth and password
	ADD password_hash text;
