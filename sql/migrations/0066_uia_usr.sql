-- What a password has authorized and nobody has done yet ends when the password is changed.
CREATE INDEX uia_session_usr ON uia_session (usr) WHERE usr IS NOT NULL AND result IS NULL;
