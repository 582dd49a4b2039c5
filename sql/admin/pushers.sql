-- Pushers from psql: who is told of events, and whether his gateway can be reached.

CREATE OR REPLACE VIEW admin.pushers AS
	SELECT n.body AS user_id, d.device_id, p.app_id, p.app_display_name, p.device_display_name, p.gateway,
		(SELECT count(*) FROM hearth.push q WHERE q.pusher = p.nid) AS waiting, p.unread,
		to_timestamp(p.success_ts / 1000.0) AS last_success, to_timestamp(p.failing_ts / 1000.0) AS failing_since,
		p.failures, p.error,
		CASE WHEN p.failures > 0 OR g.failures > 0 THEN to_timestamp(greatest(p.due_ts, g.due_ts) / 1000.0) END AS next_try,
		to_timestamp(p.created_ts / 1000.0) AS created, to_timestamp(p.updated_ts / 1000.0) AS updated
	FROM hearth.pusher p JOIN hearth.name n ON n.nid = p.usr JOIN hearth.device d ON d.nid = p.device
		LEFT JOIN hearth.push_gateway g ON g.gateway = p.gateway AND g.failures > 0;
CREATE OR REPLACE VIEW admin.push_gateways AS
	SELECT gateway, to_timestamp(failing_ts / 1000.0) AS failing_since, failures,
		CASE WHEN failures > 0 THEN to_timestamp(due_ts / 1000.0) END AS next_try,
		CASE WHEN failures = 0 THEN to_timestamp(due_ts / 1000.0) END AS back_since
	FROM hearth.push_gateway;
COMMENT ON VIEW admin.push_gateways IS
	'Push gateways that do not answer, and those that answer again (back_since, for a day). All their pushers wait until next_try.';
COMMENT ON VIEW admin.pushers IS
	'Where users want to be told of events. waiting: events that the gateway has yet to be told of; failing_since, failures, error, next_try: while it cannot be reached. A pusher ends with its session: admin.logout(user_id, device_id).';
