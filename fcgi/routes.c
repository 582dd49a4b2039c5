/* fcgi/routes.c - every endpoint, once. */
#include "fcgi/client/client.h"
#include "fcgi/federation/federation.h"
#include "fcgi/metrics.h"
#include "fcgi/routes.h"

#define GET	HTTP_GET
#define PUT	HTTP_PUT
#define POST	HTTP_POST
#define DEL	HTTP_DELETE

#define C3	"/_matrix/client/v3"
#define C1	"/_matrix/client/v1"

/* body: KB that are read at most, 0: none. Keep the chapters of the specification together. */
const struct route routes[] = {
	/* method, path,		who,	rate,	tx,	body,	handler,	operationId */

	/* ---- Server Discovery, Capabilities */
	{ GET, "/.well-known/matrix/client",		ANYONE, R_FREE, TX_NONE, 0, cl_get_wellknown, "getWellknown" },
	{ GET, "/.well-known/matrix/server",		ANYONE, R_FREE, TX_NONE, 0, fed_get_well_known, "getWellKnown" },
	{ GET, "/_matrix/client/versions",		ANYONE, R_FREE, TX_NONE, 0, cl_get_versions, "getVersions" },
	{ GET, C3 "/capabilities",			USER, R_READ, TX_NONE, 0, cl_get_capabilities, "getCapabilities" },

	/* ---- Login, Account management, Devices */
	{ GET, C3 "/login",				ANYONE, R_READ, TX_NONE, 0, cl_get_login_flows, "getLoginFlows" },
	{ POST, C3 "/login",				ANYONE, R_LOGIN, TX_NONE, 64, cl_login, "login" },
	{ POST, C3 "/refresh",				ANYONE, R_READ, TX_NONE, 64, cl_refresh, "refresh" },
	{ POST, C1 "/login/get_token",			USER, R_LOGIN, TX_NONE, 64, cl_generate_login_token, "generateLoginToken" },
	{ GET, C3 "/login/fallback",			ANYONE, R_FREE, TX_NONE, 0, cl_login_fallback, "" },
	{ POST, C3 "/logout",				LOCKED_USER, R_FREE, TX_RW, 64, cl_logout, "logout" },
	{ POST, C3 "/logout/all",			LOCKED_USER, R_FREE, TX_RW, 64, cl_logout_all, "logout_all" },
	{ POST, C3 "/register",				ANYONE, R_REGISTER, TX_NONE, 64, cl_register, "register" },
	{ GET, C3 "/register/available",		ANYONE, R_REGISTER, TX_NONE, 0, cl_check_username_availability, "checkUsernameAvailability" },
	{ GET, C1 "/register/m.login.registration_token/validity", ANYONE, R_REGISTER, TX_NONE, 0, cl_registration_token_validity, "registrationTokenValidity" },
	{ GET, "/_synapse/admin/v1/register",		ANYONE, R_REGISTER, TX_NONE, 0, synapse_register_nonce, "" },
	{ POST, "/_synapse/admin/v1/register",		ANYONE, R_REGISTER, TX_NONE, 64, synapse_register, "" },
	{ GET, C3 "/account/whoami",			GUEST, R_READ, TX_NONE, 0, cl_get_token_owner, "getTokenOwner" },
	{ GET, C3 "/auth/{authType}/fallback/web",	ANYONE, R_READ, TX_NONE, 0, cl_auth_fallback, "" },
	{ POST, C3 "/auth/{authType}/fallback/web",	ANYONE, R_LOGIN, TX_NONE, 16 | BODY_FORM, cl_auth_fallback_submit, "" },
	{ POST, C3 "/register/email/requestToken",	ANYONE, R_READ, TX_NONE, 64, cl_request_token_to_register_email, "requestTokenToRegisterEmail" },
	{ POST, C3 "/register/msisdn/requestToken",	ANYONE, R_READ, TX_NONE, 64, cl_request_token_to_register_msisdn, "requestTokenToRegisterMSISDN" },
	{ POST, C3 "/account/password/email/requestToken", ANYONE, R_READ, TX_NONE, 64, cl_request_token_to_reset_password_email, "requestTokenToResetPasswordEmail" },
	{ POST, C3 "/account/password/msisdn/requestToken", ANYONE, R_READ, TX_NONE, 64, cl_request_token_to_reset_password_msisdn, "requestTokenToResetPasswordMSISDN" },
	{ POST, C3 "/account/3pid/email/requestToken",	ANYONE, R_READ, TX_NONE, 64, cl_request_token_to_3pid_email, "requestTokenTo3PIDEmail" },
	{ POST, C3 "/account/3pid/msisdn/requestToken",	ANYONE, R_READ, TX_NONE, 64, cl_request_token_to_3pid_msisdn, "requestTokenTo3PIDMSISDN" },
	{ GET, C3 "/account/3pid",			USER, R_READ, TX_NONE, 0, cl_get_account_3pids, "getAccount3PIDs" },
	{ POST, C3 "/account/3pid",			USER, R_WRITE, TX_NONE, 64, cl_post_3pids, "post3PIDs" },
	{ POST, C3 "/account/3pid/add",			USER, R_LOGIN, TX_NONE, 64, cl_add_3pid, "add3PID" },
	{ POST, C3 "/account/3pid/bind",		USER, R_WRITE, TX_NONE, 64, cl_bind_3pid, "bind3PID" },
	{ POST, C3 "/account/3pid/delete",		USER, R_WRITE, TX_RW, 64, cl_delete_3pid_from_account, "delete3pidFromAccount" },
	{ POST, C3 "/account/3pid/unbind",		USER, R_WRITE, TX_NONE, 64, cl_unbind_3pid_from_account, "unbind3pidFromAccount" },
	{ GET, "/_matrix/client/unstable/hearth/email/confirm", ANYONE, R_READ, TX_NONE, 0, hearth_email_page, "" },
	{ POST, "/_matrix/client/unstable/hearth/email/confirm", ANYONE, R_READ, TX_NONE, 16 | BODY_FORM, hearth_email_confirm, "" },
	{ POST, "/_matrix/client/unstable/hearth/email/submit_token", ANYONE, R_LOGIN, TX_NONE, 64, hearth_email_submit_token, "" },
	{ POST, C3 "/account/password",			MAYBE_USER, R_LOGIN, TX_NONE, 64, cl_change_password, "changePassword" },
	{ POST, C3 "/account/deactivate",		MAYBE_USER, R_LOGIN, TX_NONE, 64, cl_deactivate_account, "deactivateAccount" },
	{ GET, C3 "/devices",				GUEST, R_FREE, TX_NONE, 0, cl_get_devices, "getDevices" },
	{ GET, C3 "/devices/{deviceId}",		GUEST, R_FREE, TX_NONE, 0, cl_get_device, "getDevice" },
	{ PUT, C3 "/devices/{deviceId}",		GUEST, R_FREE, TX_RW, 64, cl_update_device, "updateDevice" },
	{ DEL, C3 "/devices/{deviceId}",		USER, R_WRITE, TX_NONE, 64, cl_delete_device, "deleteDevice" },
	{ POST, C3 "/delete_devices",			USER, R_WRITE, TX_NONE, 256, cl_delete_devices, "deleteDevices" },

	/* ---- User data */
	{ GET, C3 "/profile/{userId}",			ANYONE, R_FREE, TX_NONE, 0, cl_get_user_profile, "getUserProfile" },
	{ GET, C3 "/profile/{userId}/{keyName}",	ANYONE, R_FREE, TX_NONE, 0, cl_get_profile_field, "getProfileField" },
	{ PUT, C3 "/profile/{userId}/{keyName}",	GUEST, R_WRITE, TX_RW, 128, cl_set_profile_field, "setProfileField" },
	{ DEL, C3 "/profile/{userId}/{keyName}",	GUEST, R_WRITE, TX_RW, 64, cl_delete_profile_field, "deleteProfileField" },
	{ GET, C3 "/user/{userId}/account_data/{type}",	USER, R_FREE, TX_NONE, 0, cl_get_account_data, "getAccountData" },
	{ PUT, C3 "/user/{userId}/account_data/{type}",	USER, R_FREE, TX_RW, 1024, cl_set_account_data, "setAccountData" },
	{ GET, C3 "/user/{userId}/rooms/{roomId}/account_data/{type}", USER, R_FREE, TX_NONE, 0, cl_get_account_data_per_room, "getAccountDataPerRoom" },
	{ PUT, C3 "/user/{userId}/rooms/{roomId}/account_data/{type}", USER, R_FREE, TX_RW, 1024, cl_set_account_data_per_room, "setAccountDataPerRoom" },
	{ GET, C3 "/user/{userId}/rooms/{roomId}/tags",	USER, R_FREE, TX_NONE, 0, cl_get_room_tags, "getRoomTags" },
	{ PUT, C3 "/user/{userId}/rooms/{roomId}/tags/{tag}", USER, R_FREE, TX_RW, 64, cl_set_room_tag, "setRoomTag" },
	{ DEL, C3 "/user/{userId}/rooms/{roomId}/tags/{tag}", USER, R_FREE, TX_RW, 0, cl_delete_room_tag, "deleteRoomTag" },
	{ POST, C3 "/user/{userId}/filter",		USER, R_FREE, TX_RW, 64, cl_define_filter, "defineFilter" },
	{ GET, C3 "/user/{userId}/filter/{filterId}",	USER, R_FREE, TX_NONE, 0, cl_get_filter, "getFilter" },

	{ POST, C3 "/user/{userId}/openid/request_token", USER, R_WRITE, TX_RW, 64, cl_request_open_id_token, "requestOpenIdToken" },

	/* ---- Push Rules */
	{ GET, C3 "/pushers",				USER, R_FREE, TX_NONE, 0, cl_get_pushers, "getPushers" },
	{ POST, C3 "/pushers/set",			USER, R_WRITE, TX_RW, 64, cl_post_pusher, "postPusher" },
	{ GET, C3 "/notifications",			USER, R_FREE, TX_RO, 0, cl_get_notifications, "getNotifications" },
	{ GET, C3 "/pushrules/",			USER, R_FREE, TX_NONE, 0, cl_get_push_rules, "getPushRules" },
	{ GET, C3 "/pushrules/global/",			USER, R_FREE, TX_NONE, 0, cl_get_push_rules_global, "getPushRulesGlobal" },
	{ GET, C3 "/pushrules/global/{kind}/",		USER, R_FREE, TX_NONE, 0, cl_get_push_rules_kind, "" },
	{ GET, C3 "/pushrules/global/{kind}/{ruleId}",	USER, R_FREE, TX_NONE, 0, cl_get_push_rule, "getPushRule" },
	{ GET, C3 "/pushrules/global/{kind}/{ruleId}/actions", USER, R_FREE, TX_NONE, 0, cl_get_push_rule_actions, "getPushRuleActions" },
	{ GET, C3 "/pushrules/global/{kind}/{ruleId}/enabled", USER, R_FREE, TX_NONE, 0, cl_is_push_rule_enabled, "isPushRuleEnabled" },
	{ PUT, C3 "/pushrules/global/{kind}/{ruleId}",	USER, R_WRITE, TX_RW, 64, cl_set_push_rule, "setPushRule" },
	{ DEL, C3 "/pushrules/global/{kind}/{ruleId}",	USER, R_FREE, TX_RW, 0, cl_delete_push_rule, "deletePushRule" },
	{ PUT, C3 "/pushrules/global/{kind}/{ruleId}/actions", USER, R_FREE, TX_RW, 64, cl_set_push_rule_actions, "setPushRuleActions" },
	{ PUT, C3 "/pushrules/global/{kind}/{ruleId}/enabled", USER, R_FREE, TX_RW, 64, cl_set_push_rule_enabled, "setPushRuleEnabled" },

	/* ---- Syncing */
	{ GET, C3 "/sync",				GUEST, R_FREE, TX_NONE, 0, cl_sync, "sync" },
	{ GET, C3 "/events",				GUEST, R_FREE, TX_NONE, 0, cl_get_events, "getEvents" },
	{ GET, C3 "/events/{eventId}",			USER, R_FREE, TX_RO, 0, cl_get_one_event, "getOneEvent" },
	{ GET, C3 "/initialSync",			USER, R_FREE, TX_NONE, 0, cl_initial_sync, "initialSync" },

	/* ---- Rooms */
	{ POST, C3 "/createRoom", USER, R_WRITE, TX_RW, 1024, cl_create_room, "createRoom" },
	{ GET, C3 "/joined_rooms", USER, R_FREE, TX_RO, 0, cl_get_joined_rooms, "getJoinedRooms" },
	{ POST, C3 "/join/{roomIdOrAlias}", GUEST, R_WRITE, TX_RW, 64, cl_join_room, "joinRoom" },
	{ POST, C3 "/rooms/{roomId}/join", GUEST, R_WRITE, TX_RW, 64, cl_join_room_by_id, "joinRoomById" },
	{ POST, C3 "/rooms/{roomId}/leave", GUEST, R_WRITE, TX_RW, 64, cl_leave_room, "leaveRoom" },
	{ POST, C3 "/rooms/{roomId}/invite", USER, R_WRITE, TX_RW, 64, cl_invite_user, "inviteUser" },
	{ POST, C3 "/rooms/{roomId}/kick", USER, R_FREE, TX_RW, 64, cl_kick, "kick" },
	{ POST, C3 "/rooms/{roomId}/ban", USER, R_FREE, TX_RW, 64, cl_ban, "ban" },
	{ POST, C3 "/rooms/{roomId}/unban", USER, R_FREE, TX_RW, 64, cl_unban, "unban" },
	{ POST, C3 "/rooms/{roomId}/forget", USER, R_WRITE, TX_RW, 64, cl_forget_room, "forgetRoom" },
	{ POST, C3 "/knock/{roomIdOrAlias}", USER, R_WRITE, TX_RW, 64, cl_knock_room, "knockRoom" },
	{ PUT, C3 "/rooms/{roomId}/send/{eventType}/{txnId}", GUEST, R_WRITE, TX_RW, 256, cl_send_message, "sendMessage" },
	{ POST, C3 "/rooms/{roomId}/send/{eventType}", GUEST, R_WRITE, TX_RW, 256, cl_send_message_post, "" },
	{ PUT, C3 "/rooms/{roomId}/redact/{eventId}/{txnId}", USER, R_WRITE, TX_RW, 64, cl_redact_event, "redactEvent" },
	{ POST, C3 "/rooms/{roomId}/redact/{eventId}", USER, R_WRITE, TX_RW, 64, cl_redact_event_post, "" },
	{ PUT, C3 "/rooms/{roomId}/state/{eventType}/{stateKey}", GUEST, R_WRITE, TX_RW, 256, cl_set_room_state_with_key, "setRoomStateWithKey" },
	{ GET, C3 "/rooms/{roomId}/state", GUEST, R_FREE, TX_RO, 0, cl_get_room_state, "getRoomState" },
	{ GET, C3 "/rooms/{roomId}/state/{eventType}/{stateKey}", GUEST, R_FREE, TX_RO, 0, cl_get_room_state_with_key, "getRoomStateWithKey" },
	{ GET, C3 "/rooms/{roomId}/members", GUEST, R_FREE, TX_RO, 0, cl_get_members_by_room, "getMembersByRoom" },
	{ GET, C3 "/rooms/{roomId}/joined_members", USER, R_FREE, TX_RO, 0, cl_get_joined_members_by_room, "getJoinedMembersByRoom" },
	{ GET, C3 "/rooms/{roomId}/messages", GUEST, R_FREE, TX_RO, 0, cl_get_room_events, "getRoomEvents" },
	{ GET, C3 "/rooms/{roomId}/event/{eventId}", GUEST, R_FREE, TX_RO, 0, cl_get_one_room_event, "getOneRoomEvent" },
	{ GET, C3 "/rooms/{roomId}/context/{eventId}", GUEST, R_FREE, TX_RO, 0, cl_get_event_context, "getEventContext" },
	{ GET, C3 "/rooms/{roomId}/aliases", USER, R_READ, TX_RO, 0, cl_get_local_aliases, "getLocalAliases" },
	{ GET, C3 "/directory/room/{roomAlias}", ANYONE, R_FREE, TX_RO, 0, cl_get_room_id_by_alias, "getRoomIdByAlias" },
	{ PUT, C3 "/directory/room/{roomAlias}", USER, R_FREE, TX_RW, 64, cl_set_room_alias, "setRoomAlias" },
	{ DEL, C3 "/directory/room/{roomAlias}", USER, R_FREE, TX_RW, 0, cl_delete_room_alias, "deleteRoomAlias" },
	{ GET, C3 "/directory/list/room/{roomId}", ANYONE, R_FREE, TX_RO, 0, cl_get_room_visibility_on_directory, "getRoomVisibilityOnDirectory" },
	{ PUT, C3 "/directory/list/room/{roomId}", USER, R_FREE, TX_RW, 64, cl_set_room_visibility_on_directory, "setRoomVisibilityOnDirectory" },

	{ GET, C1 "/rooms/{roomId}/relations/{eventId}", USER, R_FREE, TX_RO, 0, cl_get_relating_events, "getRelatingEvents" },
	{ GET, C1 "/rooms/{roomId}/relations/{eventId}/{relType}", USER, R_FREE, TX_RO, 0, cl_get_relating_events_with_rel_type, "getRelatingEventsWithRelType" },
	{ GET, C1 "/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}", USER, R_FREE, TX_RO, 0, cl_get_relating_events_with_rel_type_and_event_type, "getRelatingEventsWithRelTypeAndEventType" },
	{ GET, C1 "/rooms/{roomId}/threads", USER, R_READ, TX_RO, 0, cl_get_thread_roots, "getThreadRoots" },
	{ POST, C3 "/rooms/{roomId}/upgrade", USER, R_FREE, TX_RW, 64, cl_upgrade_room, "upgradeRoom" },
	{ GET, C1 "/rooms/{roomId}/hierarchy", USER, R_READ, TX_RO, 0, cl_get_space_hierarchy, "getSpaceHierarchy" },
	{ GET, C1 "/rooms/{roomId}/timestamp_to_event", USER, R_READ, TX_RO, 0, cl_get_event_by_timestamp, "getEventByTimestamp" },
	{ GET, C3 "/rooms/{roomId}/initialSync", GUEST, R_FREE, TX_RO, 0, cl_room_initial_sync, "roomInitialSync" },
	{ GET, C3 "/publicRooms", ANYONE, R_FREE, TX_RO, 0, cl_get_public_rooms, "getPublicRooms" },
	{ POST, C3 "/publicRooms", GUEST, R_FREE, TX_RO, 64, cl_query_public_rooms, "queryPublicRooms" },
	{ GET, C1 "/room_summary/{roomIdOrAlias}", MAYBE_USER, R_FREE, TX_RO, 0, cl_get_room_summary, "getRoomSummary" },

	/* ---- Receipts, Typing Notifications, Presence */
	{ POST, C3 "/rooms/{roomId}/receipt/{receiptType}/{eventId}", USER, R_WRITE, TX_RW, 64, cl_post_receipt, "postReceipt" },
	{ POST, C3 "/rooms/{roomId}/read_markers",	USER, R_WRITE, TX_RW, 64, cl_set_read_marker, "setReadMarker" },
	{ PUT, C3 "/rooms/{roomId}/typing/{userId}",	USER, R_WRITE, TX_RW, 64, cl_set_typing, "setTyping" },
	{ GET, C3 "/presence/{userId}/status",		USER, R_FREE, TX_NONE, 0, cl_get_presence, "getPresence" },
	{ PUT, C3 "/presence/{userId}/status",		USER, R_WRITE, TX_RW, 64, cl_set_presence, "setPresence" },

	/* ---- End-to-End Encryption, Send-to-Device messaging */
	{ POST, C3 "/keys/upload", GUEST, R_FREE, TX_RW, 1024, cl_upload_keys, "uploadKeys" },
	{ POST, C3 "/keys/query", GUEST, R_FREE, TX_NONE, 1024, cl_query_keys, "queryKeys" },
	{ POST, C3 "/keys/claim", GUEST, R_FREE, TX_RW, 1024, cl_claim_keys, "claimKeys" },
	{ GET, C3 "/keys/changes", USER, R_FREE, TX_RO, 0, cl_get_keys_changes, "getKeysChanges" },
	{ POST, C3 "/keys/device_signing/upload", USER, R_WRITE, TX_NONE, 256, cl_upload_cross_signing_keys, "uploadCrossSigningKeys" },
	{ POST, C3 "/keys/signatures/upload", USER, R_FREE, TX_RW, 1024, cl_upload_cross_signing_signatures, "uploadCrossSigningSignatures" },
	{ PUT, C3 "/sendToDevice/{eventType}/{txnId}", GUEST, R_FREE, TX_RW, 1024, cl_send_to_device, "sendToDevice" },
	{ POST, C3 "/room_keys/version", USER, R_WRITE, TX_RW, 256, cl_post_room_keys_version, "postRoomKeysVersion" },
	{ GET, C3 "/room_keys/version", USER, R_READ, TX_NONE, 0, cl_get_room_keys_version_current, "getRoomKeysVersionCurrent" },
	{ GET, C3 "/room_keys/version/{version}", USER, R_READ, TX_NONE, 0, cl_get_room_keys_version, "getRoomKeysVersion" },
	{ PUT, C3 "/room_keys/version/{version}", USER, R_WRITE, TX_RW, 256, cl_put_room_keys_version, "putRoomKeysVersion" },
	{ DEL, C3 "/room_keys/version/{version}", USER, R_WRITE, TX_RW, 64, cl_delete_room_keys_version, "deleteRoomKeysVersion" },
	{ PUT, C3 "/room_keys/keys", USER, R_WRITE, TX_RW, 1024, cl_put_room_keys, "putRoomKeys" },
	{ GET, C3 "/room_keys/keys", USER, R_READ, TX_RO, 0, cl_get_room_keys, "getRoomKeys" },
	{ DEL, C3 "/room_keys/keys", USER, R_WRITE, TX_RW, 64, cl_delete_room_keys, "deleteRoomKeys" },
	{ PUT, C3 "/room_keys/keys/{roomId}", USER, R_WRITE, TX_RW, 1024, cl_put_room_keys_by_room_id, "putRoomKeysByRoomId" },
	{ GET, C3 "/room_keys/keys/{roomId}", USER, R_READ, TX_RO, 0, cl_get_room_keys_by_room_id, "getRoomKeysByRoomId" },
	{ DEL, C3 "/room_keys/keys/{roomId}", USER, R_WRITE, TX_RW, 64, cl_delete_room_keys_by_room_id, "deleteRoomKeysByRoomId" },
	{ PUT, C3 "/room_keys/keys/{roomId}/{sessionId}", USER, R_WRITE, TX_RW, 256, cl_put_room_key_by_session_id, "putRoomKeyBySessionId" },
	{ GET, C3 "/room_keys/keys/{roomId}/{sessionId}", USER, R_READ, TX_RO, 0, cl_get_room_key_by_session_id, "getRoomKeyBySessionId" },
	{ DEL, C3 "/room_keys/keys/{roomId}/{sessionId}", USER, R_WRITE, TX_RW, 64, cl_delete_room_key_by_session_id, "deleteRoomKeyBySessionId" },

	/* ---- VoIP, third-party networks */
	{ GET, C3 "/voip/turnServer",			USER, R_READ, TX_NONE, 0, cl_get_turn_server, "getTurnServer" },
	{ GET, C3 "/thirdparty/protocols",		USER, R_FREE, TX_NONE, 0, cl_get_protocols, "getProtocols" },

	/* ---- Server administration */
	{ GET, C3 "/admin/whois/{userId}",		USER, R_FREE, TX_RO, 0, cl_get_who_is, "getWhoIs" },
	{ GET, C1 "/admin/lock/{userId}",		USER, R_FREE, TX_RO, 0, cl_get_admin_lock_user, "getAdminLockUser" },
	{ PUT, C1 "/admin/lock/{userId}",		USER, R_FREE, TX_RW, 64, cl_set_admin_lock_user, "setAdminLockUser" },
	{ GET, C1 "/admin/suspend/{userId}",		USER, R_FREE, TX_RO, 0, cl_get_admin_suspend_user, "getAdminSuspendUser" },
	{ PUT, C1 "/admin/suspend/{userId}",		USER, R_FREE, TX_RW, 64, cl_set_admin_suspend_user, "setAdminSuspendUser" },

	/* ---- Server-Server API: discovery and keys */
	{ GET, "/_matrix/federation/v1/version",	ANYONE, R_FREE, TX_NONE, 0, fed_get_version, "getVersion" },
	{ GET, "/_matrix/key/v2/server",		ANYONE, R_FREE, TX_NONE, 0, fed_get_server_key, "getServerKey" },
	{ GET, "/_matrix/federation/v1/openid/userinfo", ANYONE, R_READ, TX_NONE, 0, fed_exchange_open_id_token, "exchangeOpenIdToken" },

	/* ---- of our own */
	{ GET, "/_hearth/health",	ANYONE, R_FREE, TX_NONE, 0, hearth_health, "" },
};
const size_t nroutes = sizeof routes / sizeof *routes;

const struct route_alias route_aliases[] = {
	{ "/_matrix/client/unstable/im.nheko.summary/rooms/{roomIdOrAlias}/summary", C1 "/room_summary/{roomIdOrAlias}" },
	{ "/_matrix/client/unstable/im.nheko.summary/summary/{roomIdOrAlias}", C1 "/room_summary/{roomIdOrAlias}" },
	{ C3 "/rooms/{roomId}/state/{eventType}", C3 "/rooms/{roomId}/state/{eventType}/{stateKey}" },
	/* as before v1.1; tools and clients of then still ask so */
	{ "/_matrix/client/unstable/keys/device_signing/upload", C3 "/keys/device_signing/upload" },
	{ "/_matrix/client/unstable/keys/signatures/upload", C3 "/keys/signatures/upload" },
};
const size_t nroute_aliases = sizeof route_aliases / sizeof *route_aliases;

/*
 * What a suspended user may do beside reading ("Account suspension"): look after his sessions, keys and settings, leave, redact
 * what he said. The handlers of send and redact see to it that it is no more. What is not listed here he may not, so a new
 * endpoint is closed to him until somebody decides.
 */
const char *const routes_while_suspended[] = {
	C3 "/logout", C3 "/logout/all", C1 "/login/get_token", C3 "/account/password", C3 "/account/deactivate",
	C3 "/account/3pid/add", C3 "/devices/{deviceId}", C3 "/delete_devices",
	C3 "/user/{userId}/account_data/{type}", C3 "/user/{userId}/rooms/{roomId}/account_data/{type}",
	C3 "/user/{userId}/rooms/{roomId}/tags/{tag}", C3 "/user/{userId}/filter",
	C3 "/pushrules/global/{kind}/{ruleId}", C3 "/pushrules/global/{kind}/{ruleId}/actions",
	C3 "/pushrules/global/{kind}/{ruleId}/enabled", C3 "/pushers/set",
	C3 "/rooms/{roomId}/leave", C3 "/rooms/{roomId}/forget",
	C3 "/rooms/{roomId}/redact/{eventId}/{txnId}", C3 "/rooms/{roomId}/redact/{eventId}",
	C3 "/rooms/{roomId}/send/{eventType}/{txnId}", C3 "/rooms/{roomId}/send/{eventType}",
	C3 "/rooms/{roomId}/receipt/{receiptType}/{eventId}", C3 "/rooms/{roomId}/read_markers",
	C3 "/publicRooms", C3 "/search", C3 "/user_directory/search",	/* questions with a body */
	"/_matrix/client/unstable/org.matrix.simplified_msc3575/sync",
	C3 "/keys/upload", C3 "/keys/query", C3 "/keys/claim", C3 "/keys/device_signing/upload", C3 "/keys/signatures/upload",
	C3 "/sendToDevice/{eventType}/{txnId}",
	C3 "/room_keys/version", C3 "/room_keys/version/{version}", C3 "/room_keys/keys", C3 "/room_keys/keys/{roomId}",
	C3 "/room_keys/keys/{roomId}/{sessionId}",
};
const size_t nroutes_while_suspended = sizeof routes_while_suspended / sizeof *routes_while_suspended;

const char *const routes_not_r0[] = {
	C3 "/knock/{roomIdOrAlias}",
	C3 "/refresh",
	C3 "/login/sso/redirect/{idpId}",
};
const size_t nroutes_not_r0 = sizeof routes_not_r0 / sizeof *routes_not_r0;
