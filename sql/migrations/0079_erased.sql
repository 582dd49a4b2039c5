-- Whether an event's sender wished to be forgotten is asked with each event that is read: few are.
CREATE INDEX account_erased ON account (usr) WHERE erased;
