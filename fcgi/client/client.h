/*
 * fcgi/client/client.h - the handlers of the client-server API.
 *
 * Named cl_ + the specification's operationId in snake case, so that the
 * specification greps to the code and back. Declared here, listed in
 * fcgi/routes.c, each chapter in its own file of this folder.
 */
#ifndef HEARTH_CLIENT_H
#define HEARTH_CLIENT_H

#include "fcgi/req.h"

/* ---- login.c, register.c, admin_register.c */
handler_fn cl_get_login_flows, cl_login, cl_login_fallback, cl_logout, cl_logout_all, cl_refresh, cl_generate_login_token;
handler_fn cl_register, cl_check_username_availability, cl_registration_token_validity;
handler_fn synapse_register_nonce, synapse_register;

/* ---- account.c */
handler_fn cl_get_token_owner, cl_change_password, cl_deactivate_account, cl_get_capabilities;
handler_fn cl_get_devices, cl_get_device, cl_update_device, cl_delete_device, cl_delete_devices;

/* ---- openid.c, admin.c */
handler_fn cl_request_open_id_token;
handler_fn cl_get_who_is, cl_get_admin_lock_user, cl_set_admin_lock_user, cl_get_admin_suspend_user, cl_set_admin_suspend_user;

/* ---- threepid.c, email_page.c, fallback.c */
handler_fn cl_request_token_to_register_email, cl_request_token_to_3pid_email, cl_request_token_to_reset_password_email;
handler_fn cl_request_token_to_register_msisdn, cl_request_token_to_3pid_msisdn, cl_request_token_to_reset_password_msisdn;
handler_fn cl_get_account_3pids, cl_post_3pids, cl_add_3pid, cl_bind_3pid, cl_delete_3pid_from_account, cl_unbind_3pid_from_account;
handler_fn hearth_email_submit_token, hearth_email_page, hearth_email_confirm;
handler_fn cl_auth_fallback, cl_auth_fallback_submit;

/* ---- profile.c, account_data.c, filter.c, push_rules.c */
handler_fn cl_get_user_profile, cl_get_profile_field, cl_set_profile_field, cl_delete_profile_field;
handler_fn cl_get_account_data, cl_set_account_data, cl_get_account_data_per_room, cl_set_account_data_per_room;
handler_fn cl_get_room_tags, cl_set_room_tag, cl_delete_room_tag;
handler_fn cl_define_filter, cl_get_filter;
handler_fn cl_get_push_rules, cl_get_push_rules_global, cl_get_push_rule, cl_get_push_rule_actions, cl_is_push_rule_enabled;
handler_fn cl_get_notifications;
handler_fn cl_get_push_rules_kind, cl_set_push_rule, cl_delete_push_rule, cl_set_push_rule_enabled, cl_set_push_rule_actions;

/* ---- pushers.c */
handler_fn cl_get_pushers, cl_post_pusher;

/* ---- misc.c, wellknown.c */
handler_fn cl_get_versions, cl_get_turn_server, cl_get_protocols, cl_get_wellknown;

/* ---- room.c, membership.c */
handler_fn cl_create_room, cl_get_joined_rooms;
handler_fn cl_join_room, cl_join_room_by_id, cl_leave_room, cl_invite_user, cl_kick, cl_ban, cl_unban, cl_forget_room, cl_knock_room;

/* ---- send.c, messages.c, state.c, directory.c */
handler_fn cl_send_message, cl_send_message_post, cl_redact_event, cl_redact_event_post, cl_set_room_state_with_key;
handler_fn cl_get_room_events, cl_get_one_room_event, cl_get_one_event, cl_get_event_context, cl_get_event_by_timestamp, cl_room_initial_sync;
handler_fn cl_get_room_state, cl_get_room_state_with_key, cl_get_members_by_room, cl_get_joined_members_by_room;
handler_fn cl_get_room_id_by_alias, cl_set_room_alias, cl_delete_room_alias, cl_get_local_aliases;
handler_fn cl_get_room_visibility_on_directory, cl_set_room_visibility_on_directory;

/* ---- upgrade.c */
handler_fn cl_upgrade_room;

/* ---- spaces.c */
handler_fn cl_get_space_hierarchy;

/* ---- relations.c */
handler_fn cl_get_relating_events, cl_get_relating_events_with_rel_type, cl_get_relating_events_with_rel_type_and_event_type;
handler_fn cl_get_thread_roots;

/* ---- public_rooms.c */
handler_fn cl_get_public_rooms, cl_query_public_rooms, cl_get_room_summary;

/* ---- keys.c, to_device.c, room_keys.c */
handler_fn cl_upload_keys, cl_query_keys, cl_claim_keys, cl_get_keys_changes;
handler_fn cl_upload_cross_signing_keys, cl_upload_cross_signing_signatures;
handler_fn cl_send_to_device;
handler_fn cl_post_room_keys_version, cl_get_room_keys_version_current;
handler_fn cl_get_room_keys_version, cl_put_room_keys_version, cl_delete_room_keys_version;
handler_fn cl_put_room_keys, cl_get_room_keys, cl_delete_room_keys;
handler_fn cl_put_room_keys_by_room_id, cl_get_room_keys_by_room_id, cl_delete_room_keys_by_room_id;
handler_fn cl_put_room_key_by_session_id, cl_get_room_key_by_session_id, cl_delete_room_key_by_session_id;

/* ---- sync.c, receipts.c, presence.c */
handler_fn cl_sync, cl_get_events, cl_initial_sync;
handler_fn cl_post_receipt, cl_set_read_marker, cl_set_typing;
handler_fn cl_get_presence, cl_set_presence;

#endif
