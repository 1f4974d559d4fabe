/* conf_sample_priv.h - a small schema that has one of everything, and a tree as text: for the tests
 * and the fuzzer of this folder. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/rows_priv.h"

/* name arg "quoted" 'raw' { child; child } */
static inline void test_dump(const struct conf_node *block, struct text *out)
{
    static const char marks[][2] = {"", "\"", "'"};
    CONF_NODE_EACH(n, block)
    {
        if (n != block->children)
            text_add(out, SLICE("; "));
        for (uint32_t i = 0; i < n->word_count; i++) {
            const char *mark = marks[n->words[i].quote];
            text_addf(out, "%s%s%.*s%s", i ? " " : "", mark, SLICE_ARG(n->words[i].text), mark);
        }
        if (n->has_block) {
            text_add(out, SLICE(" { "));
            test_dump(n, out);
            text_add(out, n->children ? SLICE(" }") : SLICE("}"));
        }
    }
}

struct test_site {
    int64_t workers, window_ms, body_bytes, rate, share, level;
    bool http2, strict;
    struct slice title;
    int64_t weight, every_ms;
    bool backup;
    struct slice key;
    uint32_t applied;
};

static const struct conf_choice test_levels[] = {{"low", 1, "little"}, {"high", 2, "much"}, {0}};

static const struct directive test_server_options[] = {
    {.name = "weight",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .min = 1,
     .max = 256,
     .def = "1",
     .offset = offsetof(struct test_site, weight),
     .usage = "N",
     .text = "Share of requests."},
    {.name = "every",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .min = 100,
     .max = 3600000,
     .def = "5s",
     .offset = offsetof(struct test_site, every_ms),
     .usage = "TIME",
     .text = "How often."},
    {.name = "backup",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = offsetof(struct test_site, backup),
     .usage = "",
     .text = "Only when others are down."},
    {.name = "key",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct test_site, key),
     .usage = "TEXT",
     .text = "A text."},
    {0},
};

static inline void test_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct test_site *s = scope;
    s->applied++;
    if (n->row->options)
        conf_options(b, n, s);
    conf_apply_block(b, s, n);
}

static const struct directive test_rows[] = {
    {.name = "site",
     .where = IN_TOP,
     .repeat = true,
     .block_due = true,
     .args_min = 1,
     .args_max = 255,
     .opens = IN_SITE,
     .apply = test_apply,
     .usage = "NAME... { ... }",
     .text = "A virtual host.",
     .example = "site a.example { title x }"},
    {.name = "route",
     .where = IN_SITE | IN_ROUTE,
     .repeat = true,
     .args_min = 1,
     .args_max = 2,
     .opens = IN_ROUTE,
     .apply = test_apply,
     .usage = "PATH { ... }",
     .text = "A part of a site."},
    {.name = "upstream",
     .where = IN_TOP,
     .repeat = true,
     .args_min = 1,
     .args_max = 1,
     .opens = IN_UPSTREAM,
     .apply = test_apply,
     .usage = "NAME { ... }",
     .text = "Servers."},
    {.name = "server",
     .where = IN_SERVERS,
     .repeat = true,
     .args_min = 1,
     .args_max = 1,
     .options = test_server_options,
     .apply = test_apply,
     .usage = "ADDRESS [weight=N] [backup]",
     .text = "One server.",
     .example = "server 10.0.0.1:80 weight=2 backup"},
    {.name = "workers",
     .where = IN_TOP,
     .type = CONF_COUNT,
     .min = 1,
     .max = 64,
     .def = "2",
     .offset = offsetof(struct test_site, workers),
     .usage = "N",
     .text = "Threads."},
    {.name = "window",
     .where = IN_TOP | IN_SITE,
     .type = CONF_TIME,
     .off_ok = true,
     .min = 1000,
     .max = 60000,
     .def = "10s",
     .offset = offsetof(struct test_site, window_ms),
     .usage = "TIME",
     .text = "A time.",
     .example = "window 20s"},
    {.name = "body",
     .where = IN_SITE | IN_ROUTE,
     .type = CONF_SIZE,
     .min = 1024,
     .max = 1 << 30,
     .def = "1M",
     .offset = offsetof(struct test_site, body_bytes),
     .usage = "SIZE",
     .text = "A size."},
    {.name = "rate",
     .where = IN_SITE,
     .type = CONF_RATE,
     .min = 1000,
     .max = 1000000,
     .def = "10r/s",
     .offset = offsetof(struct test_site, rate),
     .usage = "RATE",
     .text = "A rate."},
    {.name = "share",
     .where = IN_SITE,
     .type = CONF_PERCENT,
     .max = 10000,
     .def = "20%",
     .offset = offsetof(struct test_site, share),
     .usage = "PERCENT",
     .text = "A share."},
    {.name = "level",
     .where = IN_SITE,
     .type = CONF_CHOICE,
     .choices = test_levels,
     .def = "low",
     .offset = offsetof(struct test_site, level),
     .usage = "low|high",
     .text = "A choice."},
    {.name = "http2",
     .where = IN_SITE,
     .type = CONF_FLAG,
     .def = "on",
     .offset = offsetof(struct test_site, http2),
     .usage = "on|off",
     .text = "A flag."},
    {.name = "strict",
     .where = IN_SITE,
     .type = CONF_MARK,
     .offset = offsetof(struct test_site, strict),
     .usage = "",
     .text = "A mark."},
    {.name = "title",
     .where = IN_SITE | IN_ROUTE,
     .type = CONF_STRING,
     .def = "none",
     .offset = offsetof(struct test_site, title),
     .usage = "TEXT",
     .text = "A text."},
    {.name = "header",
     .where = IN_SITE,
     .args_min = 2,
     .args_max = 2,
     .key_args = 1,
     .apply = test_apply,
     .usage = "NAME VALUE",
     .text = "A policy with a key."},
    {.name = "check",
     .where = IN_UPSTREAM,
     .options = test_server_options,
     .apply = test_apply,
     .usage = "[every=TIME]",
     .text = "Options only."},
    {0},
};

static const struct conf_table test_tables[] = {{"core", conf_core_rows}, {"test", test_rows}};
static const struct conf_schema test_schema = {test_tables, 2};
