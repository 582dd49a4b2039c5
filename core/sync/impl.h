/*
 * core/sync/impl.h - how a sync is computed; only for core/sync.
 *
 * A request becomes jobs, one per room that may have news for it. Rooms are loaded
 * once for all requests that have a job in them; each job then picks its timeline
 * and its state from what was loaded and is written out. No SQL after loading.
 *
 *	snapshot (position, tail of the streams, sessions)	one round trip
 *	light requests, all together:	load, COMMIT		one round trip
 *	a request alone:		what changed; per 25 to 100 rooms: load, complete (three pieces side by side)
 *
 * Light is a request whose token the ring covers, whose own memberships did not change,
 * and that has few rooms to look at.
 */
#ifndef HEARTH_SYNC_IMPL_H
#define HEARTH_SYNC_IMPL_H

#include "core/e2ee/inbox.h"
#include "core/e2ee/one_time.h"
#include "core/live/presence.h"
#include "core/room/visibility.h"
#include "core/sync/filter.h"
#include "core/sync/ring.h"
#include "core/sync/sync.h"

#define SCAN_MAX 1000		/* events looked through for one filtered timeline; then it is limited */
#define SCAN_STEP 200
#define SCAN_BYTES ((int64_t)1 << 20)	/* of contents that had to be read for it to be told what is hidden; then it is limited */
#define WHOLE_MAX 30		/* of timelines of more events, contents are loaded only when it is known which events are shown */
#define ANSWER_BYTES ((size_t)32 << 20)	/* of contents in the timelines of an answer; then each shows one event and is limited */
#define HOLE_GAP ((int64_t)1 << 39)	/* a step in room_pos over a hole is 2^40: no timeline crosses it */

/* An event as loaded, shared by its readers. */
struct sync_event {
	struct room_event ev;
	int64_t txn_device;	/* who sent it under which transaction id; txn_id NULL: not known or nobody here */
	const char *txn_id;
	bool lost;		/* of a timeline: state that resolution has overruled */
	bool late;		/* of a full state: it began behind the version asked for */
	const char *text[2];	/* the whole JSON without and with "membership":"join"; NULL until asked for */
	size_t text_n[2];
	int push_class;		/* only of timelines */
	size_t size;		/* octets of a content that is not loaded yet, at most */
	bool thin;		/* the row lacks content, or what belongs to it: load_rest_queue() */
};

/* A row of line 0: the key had this event for since <= version < until. */
struct sync_state {
	int64_t since, until, pos;
	int64_t type, key;
	struct sync_event *event;
};

/* Rows of tables receipt and typing. */
struct sync_receipt {
	int64_t usr, thread, ts, pos;
	int kind;
	const char *user, *event, *root;
};
struct sync_typist {
	int64_t usr, until, pos, start;
	const char *user;
};

struct sync_room {
	int64_t nid;
	/* what to load */
	int64_t lo;		/* events and state with pos >= lo; INT64_MIN: all */
	int64_t top;		/* events with room_pos <= top */
	int64_t lim;		/* newest events at most */
	bool want_state, want_lazy, want_heroes;
	int64_t heroes_lo;	/* heroes only if the room's names or members changed at or after it */
	bool want_live;		/* receipts with pos >= lo, and who typed after this time */
	int64_t clock;
	/* what was found */
	const char *id;		/* NULL: no such room */
	const struct room_version *rv;
	int64_t state_ver, last_room_pos, full_state_pos;
	int64_t joined, invited;
	bool public;		/* in the directory */
	bool named;		/* by its name or alias, so that heroes are not needed; known only of bare loads */
	int64_t member_since;	/* of bare loads for a reader who is in the room: since this version; 0: not known */
	int64_t purged_pos;	/* of the newest event that a purge took away; 0: none */
	struct sync_event **tl;	/* the timeline, newest first */
	size_t ntl;
	bool whole;		/* what is not in tl is older than the room or below lo */
	bool cut;		/* tl ends where SCAN_BYTES were used up: */
	int64_t judged;		/* octets of contents so far */
	struct sync_state *delta, *members;	/* changes of line 0 since lo; member rows of the timeline's senders */
	size_t ndelta, nmembers;
	struct sync_event **heroes;	/* members to name the room by; none if it has a name, or nothing about it changed */
	size_t nheroes;
	struct sync_receipt *receipts;
	size_t nreceipts;
	struct sync_typist *typists;
	size_t ntypists;
};

enum section { SECT_JOIN, SECT_INVITE, SECT_KNOCK, SECT_LEAVE };
extern const char *const section_names[];

/* A row of local_member. */
struct sync_member {
	int64_t room;
	enum membership membership;
	int64_t event, room_pos, pos, sender, joined_pos;	/* 0: NULL */
	int64_t size, last_room_pos;	/* the room's joined members, and newest event */
	int64_t event_pos;	/* of the member event */
	const char *stripped, *oob_pdu, *sender_id;
	bool forgotten;
	bool blocked;		/* an invitation to someone who wants none */
};

struct sync_job {
	struct sync_room *room;
	int64_t room_nid;
	enum section section;
	bool fresh;		/* the stay began after since: the timeline is what the reader may see of the newest events */
	bool full;		/* all state, not what changed */
	const struct sync_member *member;	/* invite, knock, leave */
	int64_t weight;		/* how many events it may take to load, roughly */
	bool settled;		/* in the room, and his member event is probably older than the timeline */
	size_t nmember;		/* events of the timeline, from the newest on, before which he was in the room */
	const struct visibility *vis;	/* NULL: was joined all the time */
	const struct unread_room *unread;	/* counts; NULL: not asked for */
	/* picked */
	struct sync_event **shown;	/* oldest first */
	size_t nshown, bytes;	/* bytes: of their contents, about */
	bool limited, hid_state;	/* hid_state: the filter dropped state events from within the timeline */
	int64_t before;		/* prev_batch, as room_pos */
	int64_t v0, v1;		/* versions of the state at the timeline's start and end */
	int64_t vs;		/* full: the version that is to be loaded */
	struct sync_event **state;	/* full: loaded at the version asked for; invite, knock: the stripped ones */
	size_t nstate;
};

struct sync_data {		/* account data */
	int64_t usr, room, pos;
	const char *type, *content;
};

struct sync_req {
	struct sync_wait *w;
	enum err err;
	const struct filter *f;
	struct position since;	/* epoch 0: initial */
	bool initial, alone;
	bool covered;		/* by the ring: rooms, member_rooms and data_news are all there is */
	int64_t *joined;	/* all joined rooms, ascending; only of requests that run alone or wait */
	size_t njoined;
	const char **ignored;	/* users (esc), sorted */
	size_t nignored;
	bool ignored_known;
	int64_t *rooms;		/* joined rooms that may have news, ascending */
	size_t nrooms;
	int64_t *state_rooms;	/* those whose state changed, ascending */
	size_t nstate_rooms;
	int64_t *live_rooms;	/* those with receipts or typing, ascending; among rooms */
	size_t nlive_rooms;
	struct seen_user *seen;	/* whose presence may be news, ascending; only if the filter wants any */
	size_t nseen;
	const int64_t *quiet;	/* of joined: rooms that do not tell him presence; NULL: not asked yet */
	size_t nquiet;
	struct presence *presence;
	size_t npresence;
	int64_t *member_rooms;	/* rooms where the own membership changed */
	size_t nmember_rooms;
	bool data_news;
	bool rules_news;	/* push rules may have changed */
	struct push_reader *reader;	/* NULL: not known yet */
	struct unread_room *unread;	/* of rooms; only of light requests */
	bool ignored_news;	/* the list of ignored users may have changed: invitations may be shown again */
	int64_t *key_users;	/* users whose keys changed, ascending */
	size_t nkey_users;
	struct sync_job *jobs;
	size_t njobs;
	size_t told;		/* bytes of all timelines picked */
	struct sync_data *data;
	size_t ndata;
	bool lost;		/* its token was: initial */
	const struct inbox *inbox;	/* by keys_take() */
	const struct key_counts *counts;
	const char **changed, **left;	/* device_lists, sorted */
	size_t nchanged, nleft;

	struct json_out o;
	struct json_out receipts;	/* SYNC_INITIAL: an array of its own */
	bool news;
	int section;		/* the one that is open, or -1 */
	const char *body;
	size_t body_n;
};

/* What the requests of one snapshot share. */
struct sync_run {
	struct ctx *cx;
	struct ring *ring;
	struct position now;
	int64_t seen;
	struct buf *scratch;	/* of one reader alone: his events are rendered in it, one after the other. NULL: they may have more readers */
};

/* What this process knows of the streams goes: it is as a worker that has just started. */
void sync_forget(void);

/* Events and state below it are new for no one who has seen p. */
int64_t position_lo(const struct position *p);

/* ---- load.c */
/* Queues what the rooms (ascending by nid) ask for; takes it after db_run(). */
struct load {
	struct sync_room *rooms;
	size_t n;
	const struct sync_req *alone;	/* whose rows are bare; NULL: for many, and whole */
	struct rows room, tl, delta, members, heroes;
	struct sync_event **unnamed;	/* taken from bare rows: load_names() */
	size_t nunnamed;
};
/*
 * For one request alone: timelines without what costs a look-up per event, and without the content of events that may not be shown;
 * load_names(), load_heroes_queue() and load_rest_queue() get it. NULL: whole.
 */
void load_queue(struct ctx *cx, struct load *l, struct sync_room *rooms, size_t n, const struct sync_req *alone);
void load_take(struct ctx *cx, struct load *l);
/* Of a bare load, whose rooms are taken: the heroes of those that have no name. */
void load_heroes_queue(struct ctx *cx, struct load *l);
void load_heroes_take(struct ctx *cx, struct load *l);
/* The senders of what was taken. Before anything looks at them. At most one round trip, mostly none. */
enum err load_names(struct ctx *cx, struct load *l);
/* More of the timelines of some of its rooms (that have events, and are not cut): SCAN_STEP events below what is there. One round trip. */
enum err load_older(struct ctx *cx, struct load *l, struct sync_room **some, size_t n);

/* The state of jobs' rooms at vs, without member events if lazy. Taking fills each job's state; load_names() after it. */
struct full_load {
	struct sync_job **now, **then;	/* those that want the state of now; of an earlier version */
	size_t nnow, nthen;
	struct rows rnow, rthen;
};
void load_full_queue(struct ctx *cx, const struct load *l, struct full_load *f, struct sync_job **jobs, size_t n, bool lazy);
void load_full_take(struct load *l, struct full_load *f);
/* The events that invitations and knocks show, of jobs without member->stripped. Fills each job's state. */
void load_stripped_queue(struct ctx *cx, struct rows *r, struct sync_job **jobs, size_t n);
void load_jobs_take(struct load *l, struct rows *r, struct sync_job **jobs, size_t n);
/* Member rows of (room, user) at versions, added to the rooms' members. */
struct member_at {
	int64_t room, usr, ver;
};
void load_members_queue(struct ctx *cx, const struct load *l, struct rows *r, const struct member_at *v, size_t n);
void load_members_take(struct load *l, struct rows *r);
/* What bare rows leave out, beside names, of events of timelines. The lists are of the caller, and sorted by taking. */
struct load_rest {
	struct sync_event **own, **shown;	/* sent by the reader: their transaction ids; shown: does anything relate to them? */
	struct sync_event **thin;		/* shown, and thin */
	size_t nown, nshown, nthin;
	struct rows txn, relation, body;
};
void load_rest_queue(struct ctx *cx, struct load_rest *l, const struct sync_req *q);
void load_rest_take(struct load_rest *l, int64_t device);

struct sync_room *room_find(struct sync_room *rooms, size_t n, int64_t nid);

/* ---- ephemeral.c */
struct live_load {
	struct rows receipts, typing;
};
/* This request wants receipts and typing of the room; fresh: those of now. The room's clock begins as INT64_MAX. */
void live_want(struct sync_room *m, const struct sync_req *q, bool fresh);
/* Those of the rooms (ascending by nid) that want them. users: the readers, whose private receipts are loaded too. */
void live_queue(struct ctx *cx, struct live_load *l, const struct sync_room *rooms, size_t n, const int64_t *users, size_t nusers);
void live_take(struct ctx *cx, struct live_load *l, struct sync_room *rooms, size_t n);
/* Joined rooms that may have receipts or typing for q, where the ring does not tell. */
void live_rooms_queue(struct ctx *cx, struct rows *r, const struct sync_req *q);
/* What there is to tell; 0: nothing. live_write() writes the section `ephemeral` of it. */
int live_news(const struct sync_run *run, const struct sync_req *q, const struct sync_job *j);
void live_write(const struct sync_run *run, struct sync_req *q, const struct sync_job *j, int has);
void live_events(const struct sync_run *run, struct sync_req *q, const struct sync_job *j, int has);	/* only the events in it */

/* ---- counts.c: unread counts */
/* For light requests, around the db_run() that ends the transaction. Those whose events must be looked at are marked alone. */
struct counts_load {
	struct sync_req **q;
	size_t n;
	int64_t *users;		/* whose rules are asked for */
	size_t nusers;
	struct rows readers;
	struct unread_room *v;
	struct unread_load unread;
};
void counts_queue(struct sync_run *run, struct counts_load *l, struct sync_req **q, size_t n);
void counts_take(struct sync_run *run, struct counts_load *l);
/* For a request alone: its rules; the rooms in which a change of them can make a difference (one column); the counts of some jobs. */
void counts_alone_queue(struct sync_run *run, struct rows *r, const struct sync_req *q);
void counts_alone_take(struct sync_run *run, struct rows *r, struct sync_req *q);
void counts_rooms_queue(struct sync_run *run, struct rows *r, const struct sync_req *q);
void counts_piece_queue(struct sync_run *run, struct unread_load *l, struct sync_req *q, struct sync_job *jobs, size_t n);
bool counts_news(const struct sync_req *q, const struct sync_job *j);	/* are they worth an answer? */
void counts_section(struct sync_req *q, const struct sync_job *j);	/* writes them */

/* ---- presence.c */
struct seen_user {
	int64_t usr;
	bool met;	/* he joined a room of the reader: his presence is news as it is */
};
bool presence_wanted(const struct sync_run *run, const struct sync_req *q);
bool presence_told(const struct sync_run *run, struct sync_req *q, int64_t room);	/* of the members of this one of its joined rooms? */
void presence_see(struct arena *a, struct sync_req *q, int64_t usr, bool met);	/* adds to q->seen, in any order */
void presence_seen(struct sync_req *q);	/* sorts it */
/* For light requests, around the db_run() that ends the transaction. */
struct presence_load {
	struct rows rooms, presence;
	int64_t *usr;		/* all who are seen, ascending */
	const int64_t **joined;	/* their rooms, ascending */
	size_t *njoined, n;
};
void presence_queue(struct sync_run *run, struct presence_load *l, struct sync_req **q, size_t n);
void presence_take(struct sync_run *run, struct presence_load *l, struct sync_req **q, size_t n);
/* For a request alone, whose jobs are made. One round trip at most. */
enum err presence_alone(struct sync_run *run, struct sync_req *q);
void presence_section(struct sync_run *run, struct sync_req *q);	/* writes it */
void presence_events(struct sync_run *run, struct sync_req *q);		/* only the events in it */

/* ---- timeline.c */
/* False: the events loaded do not suffice, older ones are needed. */
bool timeline_pick(struct arena *a, const struct sync_req *q, struct sync_job *j);
bool ignores(const struct sync_req *q, const char *user);
/* The member event of usr at a version, among what was loaded. */
struct sync_event *member_at(const struct sync_room *room, int64_t usr, int64_t ver);
/* What `state` (or `state_after`) holds, unfiltered by types. *out is arena memory. */
size_t state_pick(struct arena *a, const struct sync_req *q, const struct sync_job *j, struct sync_event ***out);

/* ---- light.c, alone.c: both end the transaction on M_OK */
/* Requests that need no more than one load. Those for which it did not suffice are marked alone instead of answered. */
enum err sync_light(struct sync_run *run, struct sync_req **q, size_t n);
enum err sync_alone(struct sync_run *run, struct sync_req *q);
/* ---- piece.c: loads the jobs of a request alone and writes them. Jobs without a room to show drop out. */
enum err pieces_run(struct sync_run *run, struct sync_req *q);

/* Finishes a request: its answer, or E_PARK. */
void sync_done(struct sync_run *run, struct sync_req *q);

/* Account data and ignored users. Take after db_run(). */
void data_queue(struct ctx *cx, struct rows *r, const int64_t *users, size_t n, int64_t lo);
void data_take(struct ctx *cx, struct rows *r, struct sync_req *q);	/* those of its user that are new for it */
void ignored_queue(struct ctx *cx, struct rows *r, const int64_t *users, size_t n);
void ignored_take(struct sync_run *run, struct rows *r, struct sync_req *q);

/* ---- keys.c: what core/e2ee adds */
/* Messages and key counts travel with the snapshot, for a request without news is not to cost a second round trip. */
struct keys_load {
	struct sync_req **q;
	size_t n;
	struct inbox *inbox;
	struct key_counts *counts;
	struct rows inbox_rows, counts_rows;
};
void keys_queue(struct ctx *cx, struct keys_load *k, struct sync_req **q, size_t n);
void keys_take(struct sync_run *run, struct keys_load *k);
void keys_purge(struct sync_run *run, struct sync_req **q, size_t n);	/* after COMMIT: drops what was acknowledged */
/* The device lists travel with the rooms. alone: n is 1, and they are asked from the database, not drawn from the ring. */
struct lists_load {
	struct sync_req **q;
	size_t n;
	struct rows members, names, lists;
};
void lists_queue(struct ctx *cx, struct lists_load *l, struct sync_req **q, size_t n, bool alone);
void lists_take(struct ctx *cx, struct lists_load *l);
void keys_write(struct sync_req *q);
void keys_write_counts(struct sync_req *q);

/* ---- answer.c */
void answer_open(struct sync_run *run, struct sync_req *q);
/* Writes a room if there is news in it. Scratch memory is taken from a. */
void answer_job(struct sync_run *run, struct arena *a, struct sync_req *q, struct sync_job *j);
void answer_close(struct sync_run *run, struct sync_req *q);

/* ---- events.c: the same for the old stream of events, and (initial.c) for what began it */
void events_open(struct sync_run *run, struct sync_req *q);
void events_job(struct sync_run *run, struct arena *a, struct sync_req *q, struct sync_job *j);
void events_close(struct sync_req *q);
/* The account data of a room (0: global) as elements of an open array; id: the room is named in each. */
void events_data(struct sync_req *q, int64_t room, const char *id);
void initial_open(struct sync_run *run, struct sync_req *q);
void initial_job(struct sync_run *run, struct arena *a, struct sync_req *q, struct sync_job *j);
void initial_rest(struct sync_req *q);	/* what follows the rooms */

#endif
