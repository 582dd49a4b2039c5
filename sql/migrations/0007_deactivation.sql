-- What a user wished when he deactivated his account: that his messages be forgotten as far as possible ("erase").
ALTER TABLE account ADD erased boolean NOT NULL DEFAULT false;
