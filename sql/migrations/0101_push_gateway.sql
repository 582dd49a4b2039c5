-- Gateways that cannot be reached, and those that are back (core/push/gateway.h).
CREATE TABLE push_gateway (
	gateway		text PRIMARY KEY,	-- as pusher.gateway
	failures	int NOT NULL,		-- tries in a row; 0: it is back
	failing_ts	bigint NOT NULL,	-- since when
	due_ts		bigint NOT NULL		-- not to be tried before; failures = 0: since when it is back
) WITH (fillfactor = 70);
CREATE INDEX push_gateway_due ON push_gateway (due_ts);
