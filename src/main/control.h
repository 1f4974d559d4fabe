/* control.h - the control socket: how `weir reload`, `stop` and `status` find and reach the weir
 * that runs a configuration file.
 *
 * Its path is derived from the absolute path of that file, in a folder that only the owner can
 * enter: /run/weir for root, $XDG_RUNTIME_DIR/weir, or /tmp/weir-UID. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/text.h"
#include "net/addr.h"

enum { CONTROL_FOLDER_BYTES = 80 };
/* The folder of all of this user's control sockets, NUL-terminated. */
void control_folder(char *to, size_t cap);
/* The address for a configuration file; the folder is made when it is missing. False: the folder
 * can not be made or is not safe; the reason is in *why. */
bool control_address(const char *config_path, struct addr *out, struct text *why);

struct control_answer {
    int status; /* HTTP */
    struct text body;
};

/* One request over the socket; waits for the answer. ERR_CONNECT_REFUSED: nobody is there. ERR_IO
 * (errno). The answer's body is to be released after ERR_OK. */
enum err control_request(const struct addr *a, const char *method, const char *path,
                         struct control_answer *out) MUST_CHECK;

/* Is somebody listening? */
bool control_alive(const struct addr *a);
