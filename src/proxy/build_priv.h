/* build_priv.h - what the files that build sites out of the block tree share. Private to src/proxy.
 *
 * rows.c has the directives, policy.c inheritance, build.c listeners, sites and routes. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "base/mem.h"
#include "proxy/build.h"
#include "proxy/condition.h"
#include "proxy/tls_terms_priv.h"

enum { FILTERS_MAX = 64 };

struct builder {
    struct conf_build *b;
    struct conf *conf;
    struct proxy_conf *proxy;
    const struct filter_type *filters[FILTERS_MAX]; /* by stage, then by name */
    uint32_t filter_count;
    struct tls_terms tls_top;   /* what the `tls` lines of the top level say */
    struct tls_line *tls_lines; /* read so far: tls_build.c */
    struct tls_sealed *tls_sealed;
};

/* The directives of one filter that are in force in a block, and the conf made of them. */
struct filter_nodes {
    const struct conf_node **nodes;
    uint32_t count;
    const void *conf; /* NULL: none in force */
};

/* A `when` block as it was built once; every route that it applies to shares it. */
struct policy_when {
    struct when when;
    const struct conf_node *node;
    const void **confs; /* per filter of the builder; NULL: not in this block */
};

/* All that is in force in one block. What a block does not change is its parent's, shared. */
struct policy {
    struct settings settings; /* complete */
    struct filter_nodes *filters;
    const struct when **whens;
    uint32_t when_count;
    struct filter_chain chains[HOOK_COUNT];
    uint32_t use_count;
    size_t state_bytes;
};

static inline const struct policy_when *policy_when_of(const struct when *w)
{
    return (const struct policy_when *)(const void *)((const char *)w -
                                                      offsetof(struct policy_when, when));
}

/* The policies of the top level, from which sites derive. */
void policy_init(struct builder *bu, struct policy *p);
/* The policies of a site or route block inside another. */
void policy_derive(struct builder *bu, const struct policy *parent, const struct conf_node *block,
                   struct policy *out);
bool policy_has_target(const struct policy *p); /* its own, or one of a `when` */

/* access_log.c: the value of `to=`. False with the error in the diag. */
bool log_target_parse(struct conf_build *b, const struct conf_word *w, enum log_target *target,
                      struct slice *path);

/* Built-in values of every setting, before the top level's directives. */
void settings_defaults(struct conf_build *b, struct settings *s);

static inline bool node_is(const struct conf_node *n, const char *name)
{
    return slice_eq(n->words[0].text, slice_of(name));
}

/* Zeroed, in the snapshot's arena. Its budget is far above any sane configuration. */
static inline void *build_alloc(struct conf_build *b, size_t size)
{
    return mem_must(arena_zalloc(b->arena, size > 0 ? size : 1), size);
}

#define BUILD_NEW(b, type)      ((type *)build_alloc(b, sizeof(type)))
#define BUILD_ARRAY(b, type, n) ((type *)build_alloc(b, sizeof(type) * (n)))
