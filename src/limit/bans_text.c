/* bans_text.c - see bans_text.h. Read strictly: the supervisor, which has rights, reads what its
 * worker, which talks to clients, wrote. */
// SPDX-License-Identifier: Apache-2.0
#include "limit/bans_text.h"
#include "base/num.h"
#include "limit/addr_key.h"

enum { TIMES_MAX = 1000000 };

/* A ban by hand takes a year at most; the clock may have been set since. */
static const int64_t AHEAD_MAX_MS = (int64_t)2 * 366 * 24 * 3600 * 1000;

void ban_line_write(struct text *to, const struct ban *b, struct ban_clocks c)
{
    char who[ADDR_TEXT_BYTES];
    size_t len = addr_prefix_write(who, &b->who);
    int64_t until = b->until_ms ? b->until_ms - c.now_ms + c.unix_ms : 0;
    text_addf(to, "%.*s %lld %u\n", (int)len, who, (long long)(until > 0 ? until : 0), b->times);
}

static struct slice word_cut(struct slice *line)
{
    size_t len = slice_find(*line, ' ');
    struct slice word = slice_head(*line, len);
    *line = slice_from(*line, len < line->len ? len + 1 : len);
    return word;
}

static bool who_read(struct slice word, struct addr_prefix *who)
{
    struct addr a;
    size_t len = slice_find(word, '/');
    if (addr_parse_ip(slice_head(word, len), &a) != ERR_OK)
        return false;
    *who = addr_prefix_of(&a, (struct addr_bits){ADDR_BITS_V4, ADDR_BITS_V6});
    return a.sa.sa_family == AF_INET ? len == word.len
                                     : slice_eq(slice_from(word, len), SLICE("/64"));
}

static bool line_read(struct slice line, struct ban_clocks c, struct ban *b)
{
    uint64_t until = 0, times = 0;
    struct slice who = word_cut(&line), end = word_cut(&line);
    if (!who_read(who, &b->who) || num_parse_u64(end, &until) != ERR_OK ||
        num_parse_u64(line, &times) != ERR_OK || times > TIMES_MAX ||
        until > (uint64_t)(c.unix_ms + AHEAD_MAX_MS))
        return false;
    b->until_ms = until ? (int64_t)until - c.unix_ms + c.now_ms : 0;
    if (until && b->until_ms <= 0) /* before this machine was started */
        b->until_ms = 1;
    b->times = (uint32_t)times;
    return true;
}

bool ban_lines_read(struct slice lines, struct ban_clocks c,
                    void (*each)(void *ctx, const struct ban *b), void *ctx)
{
    struct ban b;
    while (lines.len > 0) {
        size_t len = slice_find(lines, '\n');
        if (!line_read(slice_head(lines, len), c, &b))
            return false;
        each(ctx, &b);
        lines = slice_from(lines, len < lines.len ? len + 1 : len);
    }
    return true;
}
