/* tests/db/e2ee/backup.c - key backups and cross-signing keys: two writers at once. */
#include "core/e2ee/backup.h"
#include "core/e2ee/cross_signing.h"
#include "core/jobs/jobs.h"
#include "tests/db/e2ee/device.h"

#define PUBLIC "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"	/* 32 bytes in unpadded base64 */

static struct client *alice, *two;

static void
setup(void)
{
	alice = client_new("alice");
	two = client_again(alice);
}

TestSuite(backup, .init = setup);

static enum err
put(struct ctx *cx, const char *version)
{
	struct json_out o;

	json_out_init(&o, cx->a);
	json_obj(&o, NULL);
	return backup_put(cx, version, "!r:x", "s",
	    jsonf(cx, "{'first_message_index':1,'forwarded_count':0,'is_verified':false,'session_data':{}}"), &o);
}

static enum err
create(struct ctx *cx)
{
	const char *version;

	return backup_create(cx, "alg", jsonf(cx, "{}"), &version);
}

static enum err
put_step(struct ctx *cx, void *arg)
{
	enum err e;

	db_begin(cx, TX_RW);
	e = put(cx, arg);
	return e == M_OK ? db_commit(cx) : (db_rollback(cx), e);
}

static enum err
create_step(struct ctx *cx, void *arg)
{
	enum err e;

	db_begin(cx, TX_RW);
	e = create(cx);
	return e == M_OK ? db_commit(cx) : (db_rollback(cx), e);
}

Test(backup, a_key_waits_for_a_new_version_and_is_then_refused)
{
	char one[] = "1";
	struct step *s;

	cr_assert_eq(CALL(alice, create(alice->cx)), M_OK);
	session_next(alice->cx);
	db_begin(alice->cx, TX_RW);
	cr_assert_eq(create(alice->cx), M_OK);
	s = step_start(two->cx, put_step, one);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(alice->cx), M_OK);
	cr_assert_eq(step_end(s), M_WRONG_ROOM_KEYS_VERSION);
	cr_assert_str_eq(two->cx->err_extra, "\"current_version\":\"2\"");
	cr_assert_eq(sql_int("SELECT count(*) FROM key_backup_session"), 0);
}

Test(backup, two_new_versions_at_once_are_two)
{
	struct step *s;

	db_begin(alice->cx, TX_RW);
	cr_assert_eq(create(alice->cx), M_OK);
	s = step_start(two->cx, create_step, NULL);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(alice->cx), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_str_eq(sql("SELECT string_agg(version::text, ',' ORDER BY version) FROM key_backup"), "1,2");
}

Test(backup, a_deleted_version_is_swept_in_pieces)
{
	cr_assert_eq(CALL(alice, create(alice->cx)), M_OK);
	sql("INSERT INTO key_backup_session SELECT %lld, 1, '!r', i::text, 0, 0, false, '{}' FROM generate_series(1, 2500) i",
	    (long long)alice->nid);
	cr_assert_eq(CALL(alice, backup_delete(alice->cx, "1")), M_OK);
	cr_assert_eq(CALL(alice, put(alice->cx, "1")), M_NOT_FOUND);
	session_next(two->cx);
	cr_assert_geq(jobs_run_due(two->cx), 3);
	cr_assert_eq(sql_int("SELECT count(*) FROM key_backup_session"), 0);
	cr_assert_eq(CALL(alice, create(alice->cx)), M_OK);
	cr_assert_eq(sql_int("SELECT max(version) FROM key_backup WHERE NOT deleted"), 2);
}

static enum err
put_all(struct ctx *cx, const char *rooms)
{
	struct json_out o;

	json_out_init(&o, cx->a);
	json_obj(&o, NULL);
	return backup_put(cx, "1", NULL, NULL, jsonf(cx, "{'rooms':%s}", rooms), &o);
}

static enum err
forget_room(struct ctx *cx, const char *room)
{
	struct json_out o;

	json_out_init(&o, cx->a);
	json_obj(&o, NULL);
	return backup_forget(cx, "1", room, NULL, &o);
}

#define KEY(first, data) "{'first_message_index':" first ",'forwarded_count':0,'is_verified':false,'session_data':'" data "'}"

static void
bytes_are_known(int64_t count)
{
	cr_assert_eq(sql_int("SELECT count(*) FROM key_backup_session"), count);
	cr_assert_eq(sql_int("SELECT count FROM key_backup"), count);
	cr_assert_eq(sql_int("SELECT bytes FROM key_backup"), sql_int("SELECT coalesce(sum(octet_length(session_data)), 0) FROM key_backup_session"));
}

Test(backup, a_backup_is_bounded)
{
	struct conf conf = *test_conf();

	alice->cx->conf = &conf;
	conf.key_backup_max_mb = 1;
	cr_assert_eq(CALL(alice, create(alice->cx)), M_OK);
	cr_assert_eq(CALL(alice, put_all(alice->cx, "{'!r':{'sessions':{'a':" KEY("5", "xx") ",'b':" KEY("5", "\xc3\xa4") "}}}")), M_OK);
	bytes_are_known(2);
	/* one is better, one is worse, one is new */
	cr_assert_eq(CALL(alice, put_all(alice->cx, "{'!r':{'sessions':{'a':" KEY("4", "longer") ",'b':" KEY("6", "worse") "}},"
	    "'!q':{'sessions':{'a':" KEY("0", "new") "}}}")), M_OK);
	bytes_are_known(3);
	cr_assert_eq(sql_int("SELECT etag FROM key_backup"), 2);
	cr_assert_eq(CALL(alice, forget_room(alice->cx, "!q")), M_OK);
	bytes_are_known(2);
	/* as if it were full */
	sql("UPDATE key_backup SET bytes = 1048576");
	cr_assert_eq(CALL(alice, put_all(alice->cx, "{'!r':{'sessions':{'c':" KEY("5", "x") "}}}")), M_TOO_LARGE);
	cr_assert_eq(sql_int("SELECT count(*) FROM key_backup_session"), 2);
	cr_assert_eq(sql_int("SELECT bytes FROM key_backup"), 1048576);
	cr_assert_eq(CALL(alice, put_all(alice->cx, "{'!r':{'sessions':{'a':" KEY("3", "x") "}}}")), M_OK, "a better one that is no larger");
	conf.key_backup_max_mb = 2;
	cr_assert_eq(CALL(alice, put_all(alice->cx, "{'!r':{'sessions':{'c':" KEY("5", "x") "}}}")), M_OK);
}

/* ---- cross-signing */

static enum err
put_master(struct ctx *cx)
{
	struct cross_upload u;
	enum err e = cross_signing_read(cx, jsonf(cx, "{'master_key':{'user_id':'@alice:localhost','usage':['master'],"
	    "'keys':{'ed25519:" PUBLIC "':'" PUBLIC "'}}}"), &u);

	return e == M_OK ? cross_signing_put(cx, &u, false) : e;
}

static enum err
put_master_step(struct ctx *cx, void *arg)
{
	enum err e;

	db_begin(cx, TX_RW);
	e = put_master(cx);
	return e == M_OK ? db_commit(cx) : (db_rollback(cx), e);
}

STMT(t_device_named,
    "INSERT INTO device (usr, device_id, created_ts) VALUES ($1, '" PUBLIC "', 0)");

static enum err
make_device(struct ctx *cx, void *arg)
{
	return db_exec(cx, NULL, &t_device_named, P_I64(alice->nid));
}

Test(backup, a_device_id_and_a_public_key_meet_the_device_first)
{
	struct step *s;

	db_begin(alice->cx, TX_RW);
	cr_assert_eq(make_device(alice->cx, NULL), M_OK);
	s = step_start(two->cx, put_master_step, NULL);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(alice->cx), M_OK);
	cr_assert_eq(step_end(s), M_FORBIDDEN);
	cr_assert_eq(sql_int("SELECT count(*) FROM cross_signing_key"), 0);
}

Test(backup, a_device_id_and_a_public_key_meet_the_key_first)
{
	struct step *s;

	db_begin(alice->cx, TX_RW);
	cr_assert_eq(put_master(alice->cx), M_OK);
	s = step_start(two->cx, make_device, NULL);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(alice->cx), M_OK);
	cr_assert_eq(step_end(s), E_CONFLICT);
	cr_assert_eq(sql_int("SELECT count(*) FROM device WHERE device_id = '" PUBLIC "'"), 0);
}

Test(backup, what_hangs_on_a_device_goes_with_it)
{
	long long nid = alice->device, before;

	sql("INSERT INTO device_key VALUES (%lld, '{}')", nid);
	sql("INSERT INTO one_time_key (device, algorithm, key_id, body) VALUES (%lld, 'a', 'b', '{}')", nid);
	sql("INSERT INTO fallback_key (device, algorithm, key_id, body) VALUES (%lld, 'a', 'b', '{}')", nid);
	sql("INSERT INTO key_signature SELECT usr, device_id, usr, 'ed25519:x', 's' FROM device WHERE nid = %lld", nid);
	sql("INSERT INTO key_signature SELECT usr, 'master', usr, 'ed25519:' || device_id, 's' FROM device WHERE nid = %lld", nid);
	before = sql_int("SELECT pos FROM device_change");
	sql("DELETE FROM device WHERE nid = %lld", nid);
	cr_assert_eq(sql_int("SELECT (SELECT count(*) FROM device_key) + (SELECT count(*) FROM one_time_key)"
	    " + (SELECT count(*) FROM fallback_key) + (SELECT count(*) FROM key_signature)"), 0);
	cr_assert_gt(sql_int("SELECT pos FROM device_change"), before, "others hear of it");
}
