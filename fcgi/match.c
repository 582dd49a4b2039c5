/*
 * fcgi/match.c - from a method and a raw path to a row of routes[].
 *
 * The templates become a tree of segments, built once per process: below a
 * node are literal segments (sorted) and at most one that takes anything. A
 * literal is tried first; if nothing fits below it, the other. So a request
 * costs a few comparisons, whatever the number of endpoints.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/log.h"
#include "fcgi/path.h"
#include "fcgi/routes.h"

#define METHODS HTTP_OTHER

struct leaf {
	const struct route *route;
	const char *names[REQ_PARAMS_MAX];	/* in the order of the path that leads here */
	int nnames;
	const char *absent[REQ_PARAMS_MAX];	/* those that only the row's own path has */
	int nabsent;
};
struct node {
	const char *literal;
	struct node **kids;		/* sorted by literal */
	size_t nkids;
	struct node *any;
	struct leaf *leaves[METHODS];
};

static struct arena *tree_arena;
static struct node *root;

static int
node_cmp(const void *a, const void *b)
{
	return strcmp((*(struct node *const *)a)->literal, (*(struct node *const *)b)->literal);
}

static struct node *
kid_find(const struct node *n, const char *literal)
{
	struct node key = { .literal = literal }, *k = &key;
	struct node **hit = n->nkids ? bsearch(&k, n->kids, n->nkids, sizeof(k), node_cmp) : NULL;

	return hit ? *hit : NULL;
}

static struct node *
kid_add(struct node *n, const char *literal)
{
	struct node *kid = kid_find(n, literal);

	if (kid)
		return kid;
	kid = arena_zalloc(tree_arena, sizeof(*kid));
	kid->literal = literal;
	n->kids = arena_realloc(tree_arena, n->kids, n->nkids * sizeof(kid), (n->nkids + 1) * sizeof(kid));
	n->kids[n->nkids++] = kid;
	qsort(n->kids, n->nkids, sizeof(kid), node_cmp);
	return kid;
}

/* The name in "{name}", NULL for a literal segment. */
static const char *
param_name(struct slice seg)
{
	if (seg.n < 2 || seg.s[0] != '{')
		return NULL;
	assert(seg.s[seg.n - 1] == '}');
	return arena_strndup(tree_arena, seg.s + 1, seg.n - 2);
}

static int
param_names(const char *template, const char *names[REQ_PARAMS_MAX])
{
	struct slice seg[PATH_SEGMENTS_MAX];
	int n = path_split(template, strlen(template), seg), count = 0;
	const char *name;

	for (int i = 0; i < n; i++)
		if ((name = param_name(seg[i])) != NULL) {
			assert(count < REQ_PARAMS_MAX);
			names[count++] = name;
		}
	return count;
}

static struct leaf *
leaf_new(const struct route *rt, const char *template)
{
	struct leaf *l = arena_zalloc(tree_arena, sizeof(*l));
	const char *own[REQ_PARAMS_MAX];
	int n = param_names(rt->path, own);

	l->route = rt;
	l->nnames = param_names(template, l->names);
	for (int i = 0; i < n; i++) {
		bool there = false;

		for (int k = 0; k < l->nnames; k++)
			there |= strcmp(own[i], l->names[k]) == 0;
		if (!there)
			l->absent[l->nabsent++] = own[i];
	}
	return l;
}

static void
tree_add(const struct route *rt, const char *template)
{
	struct slice seg[PATH_SEGMENTS_MAX];
	int n = path_split(template, strlen(template), seg);
	struct node *at = root;

	assert(n > 0 && rt->method < METHODS);
	for (int i = 0; i < n; i++) {
		if (param_name(seg[i]) == NULL)
			at = kid_add(at, arena_strndup(tree_arena, seg[i].s, seg[i].n));
		else if (at->any)
			at = at->any;
		else
			at = at->any = arena_zalloc(tree_arena, sizeof(*at));
	}
	if (at->leaves[rt->method]) {
		log_error(NULL, "route_twice", LS("path", template));
		abort();
	}
	at->leaves[rt->method] = leaf_new(rt, template);
}

static bool
in_r0(const char *path)
{
	for (size_t i = 0; i < nroutes_not_r0; i++)
		if (strcmp(routes_not_r0[i], path) == 0)
			return false;
	return true;
}

/* Adds the template, and for a v3 one its r0 form. */
static void
tree_add_forms(const struct route *rt, const char *template)
{
	static const char *const v3[] = { "/_matrix/client/v3/", "/_matrix/media/v3/" };

	tree_add(rt, template);
	for (size_t i = 0; i < sizeof(v3) / sizeof(*v3); i++) {
		size_t n = strlen(v3[i]);

		if (strncmp(template, v3[i], n) == 0 && in_r0(rt->path))
			tree_add(rt, arena_printf(tree_arena, "%.*sr0/%s", (int)n - 3, v3[i], template + n));
	}
}

void
routes_init(void)
{
	if (root)
		return;
	tree_arena = arena_new();	/* lives as long as the process */
	root = arena_zalloc(tree_arena, sizeof(*root));
	for (size_t i = 0; i < nroutes; i++) {
		tree_add_forms(&routes[i], routes[i].path);
		for (size_t k = 0; k < nroute_aliases; k++)
			if (strcmp(route_aliases[k].path, routes[i].path) == 0)
				tree_add_forms(&routes[i], route_aliases[k].also);
	}
}

struct walk {
	struct req *r;
	struct slice *seg;	/* decoded */
	int nseg;
	const char *value[PATH_SEGMENTS_MAX];
	bool known;		/* the path exists, with whatever method */
};

/* Only a state key may be empty ("/state/m.room.name/"). */
static bool
leaf_fits(const struct leaf *l, const struct walk *w)
{
	for (int i = 0; i < l->nnames; i++)
		if (*w->value[i] == '\0' && strcmp(l->names[i], "stateKey") != 0)
			return false;
	return true;
}

static const struct leaf *
walk_end(const struct node *n, struct walk *w)
{
	for (int m = 0; m < METHODS; m++) {
		const struct leaf *l = n->leaves[m];

		if (!l || !leaf_fits(l, w))
			continue;
		w->known = true;
		if ((int)w->r->method == m)
			return l;
	}
	return NULL;
}

static const struct leaf *
walk(const struct node *n, struct walk *w, int depth, int nvalues)
{
	const struct leaf *l;
	struct node *kid;

	if (depth == w->nseg)
		return walk_end(n, w);
	kid = kid_find(n, w->seg[depth].s);
	if (kid && (l = walk(kid, w, depth + 1, nvalues)) != NULL)
		return l;
	if (!n->any)
		return NULL;
	w->value[nvalues] = w->seg[depth].s;
	return walk(n->any, w, depth + 1, nvalues + 1);
}

static void
params_set(struct req *r, const struct leaf *l, const struct walk *w)
{
	r->route = l->route;
	r->nparams = 0;
	for (int i = 0; i < l->nnames; i++) {
		r->params[r->nparams].name = l->names[i];
		r->params[r->nparams++].value = esc_from_raw(r->cx.a, w->value[i], strlen(w->value[i]));
	}
	for (int i = 0; i < l->nabsent; i++) {
		r->params[r->nparams].name = l->absent[i];
		r->params[r->nparams++].value = "";
	}
}

enum err
route_find(struct req *r, const char *raw_path, size_t n)
{
	struct slice seg[PATH_SEGMENTS_MAX];
	struct walk w = { .r = r, .seg = seg };
	const struct leaf *l;

	w.nseg = path_split(raw_path, n, seg);
	if (w.nseg < 0)
		return M_UNRECOGNIZED;
	for (int i = 0; i < PATH_SEGMENTS_MAX; i++)
		w.value[i] = "";
	for (int i = 0; i < w.nseg; i++)
		if (!url_decode(r->cx.a, seg[i], false, &seg[i]))
			return E_BAD_REQUEST;
	if ((l = walk(root, &w, 0, 0)) == NULL)
		return w.known ? E_BAD_METHOD : M_UNRECOGNIZED;
	params_set(r, l, &w);
	return M_OK;
}
