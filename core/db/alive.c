/* core/db/alive.c - does the database answer? */
#include "core/db/db.h"

STMT(db_ping, "SELECT 1");

enum err
db_alive(struct ctx *cx)
{
	struct rows r;

	return db_row(cx, &r, &db_ping);
}
