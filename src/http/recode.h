/* recode.h - what the head of a response says otherwise when its body gets another content coding:
 * Vary, ETag, Content-Length; and when it may not get one (RFC 9110 7.7, 8.8, 12.5.5). Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "http/message.h"

/* Neither no-transform nor a digest of the bytes forbids it. `req`: the request's fields. */
bool recode_is_allowed(const struct headers *req, const struct headers *res);
/* The response depends on this field of the request: Vary names it, once. ERR_OVER_BUDGET, as all
 * below. */
enum err vary_add(struct headers *h, struct arena *a, struct slice name) MUST_CHECK;
/* The response depends on Accept-Encoding. */
enum err recode_vary(struct headers *h, struct arena *a) MUST_CHECK;
/* The tag becomes weak; length and Accept-Ranges are those of other bytes. */
enum err recode_fields(struct headers *h, struct arena *a) MUST_CHECK;
/* Of a 304: a client that asked by the weak tag got its copy from here, and is told that one.
 * `tags`: its If-None-Match, all lines joined, as it was before a cache made it its own; .at NULL:
 * none. */
enum err recode_not_modified(struct slice tags, struct headers *res, struct arena *a) MUST_CHECK;
