-- Which one-time key was claimed (a hash: core/e2ee/one_time.h), as long as the row is kept: an upload that is tried again
-- because its answer was lost must not bring it back. NULL: the use of a fallback key.
ALTER TABLE key_used ADD key bytea;
