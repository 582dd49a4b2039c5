-- What is due, by gateway (core/push/deliver.c): a look goes from gateway to gateway, however much waits for one of them. Those
-- that failed last apart, for they may be passed over.
CREATE INDEX pusher_gateway ON pusher (gateway, (failures > 0), due_ts) WHERE due_ts IS NOT NULL;
