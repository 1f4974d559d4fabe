/* suspicion.h - requests by which a cache is made to tell one client what is another's, or what no
 * client asked for (cache deception and poisoning). Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/message.h"

/* Does a field of the request name another method or URL than its first line does? Some servers
 * obey, and their answer is not that of the key: it is neither stored nor taken from the store. */
bool suspicion_overrides(const struct headers *req);

/* May an answer that states no lifetime be kept for the one that the configuration gives, when its
 * request had cookies? Not under a path of which servers may make another: with encoded delimiters,
 * parameters or dot segments; and no page under the name of a file of another kind
 * ("/account/x.css"). `path` is without the query, as the server sees it. */
bool suspicion_of_path(struct slice path, const struct headers *res);
