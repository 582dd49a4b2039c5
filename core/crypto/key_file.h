/*
 * core/crypto/key_file.h - the server's signing key on disk.
 *
 * One line, "ed25519 <version> <unpadded base64 of the seed>", as other
 * homeservers keep it, so that one can move with its key. Who loses it loses the
 * server's identity towards others: it belongs into the backup.
 */
#ifndef HEARTH_KEY_FILE_H
#define HEARTH_KEY_FILE_H

#include "core/crypto/crypto.h"

/*
 * Reads the key, or makes one (mode 0600) when there is no such file; several
 * processes may do so at once and get the same. NULL after logging why not.
 */
struct signing_key *signing_key_file(const char *path);

#endif
