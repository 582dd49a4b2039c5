/* fcgi/client/login.h - what logging in, registering and the shared secret's door have in common. */
#ifndef HEARTH_CLIENT_LOGIN_H
#define HEARTH_CLIENT_LOGIN_H

#include "core/user/session.h"
#include "fcgi/req.h"

enum err body_device(struct req *r, struct session_wish *w);
enum err reply_session(struct req *r, const struct session *s);

#endif
