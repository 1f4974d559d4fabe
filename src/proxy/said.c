/* said.c - what FastCGI servers say on STDERR, into the error log.
 *
 * A script may write as much as it likes, so there are limits: of a request some lines, of a worker
 * some requests in a second. What was left out is counted and told with the next. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/text.h"
#include "proxy/fastcgi_priv.h"

enum { LINES_MAX = 8, LINE_BYTES = 1024, WINDOW_MS = 1000, REQUESTS_PER_WINDOW = 20 };

/* False: there was enough of it in this second. */
static bool gate_passes(struct said_gate *g, int64_t now_ms)
{
    if (now_ms - g->began_ms >= WINDOW_MS) {
        g->began_ms = now_ms;
        g->count = 0;
    }
    if (g->count >= REQUESTS_PER_WINDOW) {
        g->left_out++;
        return false;
    }
    g->count++;
    return true;
}

static void line_log(const struct exchange *x, struct slice line)
{
    char text[LINE_BYTES];
    size_t len = json_escape(text, sizeof text, line);
    log_write(LOG_WARN_, "fastcgi: %.*s host=%.*s server=%.*s id=%s", (int)len, text,
              SLICE_ARG(x->host), SLICE_ARG(x->server_name), x->id);
}

static void text_log(const struct exchange *x, const struct stream_said *said)
{
    struct slice rest = said->text, line;
    unsigned lines = 0;
    while (rest.len > 0 && lines < LINES_MAX && slice_cut(&rest, '\n', &line)) {
        line = slice_trim(line);
        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            continue;
        line_log(x, line);
        lines++;
    }
    uint64_t more = said->bytes - said->text.len + rest.len;
    if (more > 0)
        log_write(LOG_WARN_, "fastcgi: and %llu bytes more id=%s", (unsigned long long)more, x->id);
}

void said_log(struct exchange *x)
{
    const struct stream_said *said = x->origin->said;
    struct said_gate *g = &x->worker->said;
    if (!said || log_error_level() > LOG_WARN_ || !gate_passes(g, x->worker->loop.now_ms))
        return;
    if (g->left_out > 0)
        log_write(LOG_WARN_, "fastcgi: what was said of %u requests was left out", g->left_out);
    g->left_out = 0;
    text_log(x, said);
    if (said->status != 0)
        log_write(LOG_WARN_, "fastcgi: the application ended with status %u host=%.*s id=%s",
                  said->status, SLICE_ARG(x->host), x->id);
}
