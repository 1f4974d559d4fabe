/* ask_url.c - URLs of directives that ask: which upstream, which host, which path. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/ask.h"
#include "proxy/build.h"

/* Bytes before the path: scheme and authority, or the name of an upstream. */
static size_t authority_end(struct slice s)
{
    static const struct slice schemes[] = {SLICE_INIT("http://"), SLICE_INIT("https://")};
    size_t from = 0;
    for (int i = 0; i < 2; i++)
        if (slice_starts(s, schemes[i]))
            from = schemes[i].len;
    return from + slice_find(slice_from(s, from), '/');
}

static struct conf_word word_head(const struct conf_word *w, size_t len)
{
    struct conf_word head = *w;
    head.text = slice_head(w->text, len);
    if (w->pos.len == w->text.len)
        head.pos.len = (uint32_t)len;
    return head;
}

/* Without a port where it is the scheme's own. */
static struct slice host_of(struct slice authority)
{
    static const struct slice https = SLICE_INIT("https://"), http = SLICE_INIT("http://");
    bool tls = slice_starts(authority, https);
    if (!tls && !slice_starts(authority, http))
        return slice_find(authority, ':') < authority.len ? authority : SLICE("");
    struct slice host = slice_from(authority, tls ? https.len : http.len);
    struct slice standard = tls ? SLICE(":443") : SLICE(":80");
    return slice_ends(host, standard) ? slice_head(host, host.len - standard.len) : host;
}

bool ask_url_read(struct conf_build *b, const struct conf_word *w, struct ask_url *out)
{
    struct target t;
    bool is_unix = slice_starts(w->text, SLICE("unix:"));
    size_t end = is_unix ? w->text.len : authority_end(w->text);
    struct conf_word server = word_head(w, end);
    if (!upstream_target(b, &server, &t))
        return false;
    *out = (struct ask_url){.upstream = t.upstream,
                            .host = is_unix ? SLICE("") : host_of(server.text),
                            .path = slice_from(w->text, end)};
    if (out->path.len == 0)
        out->path = SLICE("/");
    return true;
}
