-- For the clean-up of guests that nobody has used for long (core/jobs/guests.c).
CREATE INDEX account_guest ON account (created_ts) WHERE kind = 'guest' AND deactivated_ts IS NULL;
CREATE INDEX account_guest_gone ON account (deactivated_ts) WHERE kind = 'guest' AND deactivated_ts IS NOT NULL;
