/* ocsp_http_fuzz_priv.h - what holds for anything a responder (or whoever sits between) may send,
 * and for any URL; run by the fuzzer on made-up bytes and by a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "tls/ocsp_http.h"

static inline void ocsp_fuzz_url(struct slice text)
{
    struct ocsp_url u;
    struct text question;
    if (!ocsp_url_parse(text, &u))
        return;
    ASSERT(u.host.len > 0 && u.port > 0);
    text_init(&question);
    ocsp_http_write(&u, SLICE(""), &question);
    int lines = 0;
    for (size_t i = 0; i < question.len; i++)
        lines += question.at[i] == '\n';
    ASSERT(lines == 6); /* nothing of the URL begins a line */
    text_release(&question);
}

/* Nothing but "more" comes before what the whole is. */
static inline enum ocsp_http ocsp_fuzz_http(const void *at, size_t len)
{
    struct slice bytes = {at, len}, body = SLICE_NONE, part;
    struct text why;
    text_init(&why);
    enum ocsp_http whole = ocsp_http_read(bytes, OCSP_HTTP_ENDED, &body, &why);
    ASSERT(whole != OCSP_HTTP_MORE && (whole == OCSP_HTTP_BAD) == (why.len > 0));
    if (whole == OCSP_HTTP_DONE && body.len > 0)
        ASSERT(body.len <= OCSP_BODY_BYTES_MAX && body.at > bytes.at &&
               body.at + body.len <= bytes.at + len);
    for (size_t cut = 0; cut < len; cut += 1 + len / 32) {
        enum ocsp_http r = ocsp_http_read(slice_head(bytes, cut), OCSP_HTTP_OPEN, &part, &why);
        ASSERT(r != OCSP_HTTP_DONE || slice_eq(part, body));
    }
    text_release(&why);
    ocsp_fuzz_url(bytes);
    return whole;
}
