/* ban_export.c - see ban_export.h. Changes go in portions, and between two of them the supervisor
 * does its other work. Now and then the kernel is asked whether anybody changed its rules since:
 * whoever loads them anew empties our sets. */
// SPDX-License-Identifier: Apache-2.0
#include "main/ban_export.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/snapshot.h"
#include "main/bundle.h"
#include "main/main_conf.h"
#include "proxy/route.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 10 * 1000, RETRY_MS = 10 * 1000, NEXT_MS = 5 };

/* ---- the directive ---- */

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || strchr("_-./", c))))
            return false;
    }
    return s.len > 0 && s.len < NFT_NAME_BYTES;
}

static bool name_read(struct conf_build *b, const struct conf_word *w, char to[NFT_NAME_BYTES])
{
    if (!is_name(w->text)) {
        diag_error(b->diag, w->pos, "'%.*s' is no name that nftables knows", SLICE_ARG(w->text));
        return false;
    }
    memset(to, 0, NFT_NAME_BYTES);
    memcpy(to, w->text.at, w->text.len);
    return true;
}

void ban_export_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct nft_sets *s = &((struct main_conf *)scope)->ban_sets;
    const struct conf_word *w = n->args;
    if (!slice_eq(w[0].text, SLICE("nftables"))) {
        diag_error(b->diag, w[0].pos, "bans are exported to nftables");
        diag_hint(b->diag, "write 'ban_export nftables inet TABLE SET4 SET6'");
        return;
    }
    s->family = nft_family(w[1].text);
    if (!s->family)
        diag_error(b->diag, w[1].pos, "a family of tables is due: inet, ip, ip6, bridge or netdev");
    else if (name_read(b, &w[2], s->table) && name_read(b, &w[3], s->v4))
        (void)name_read(b, &w[4], s->v6);
}

void ban_export_tell(const struct conf *c, struct text *bundle)
{
    const struct trust_conf *t = &c->proxy->trust;
    struct slice sets = {(const char *)&c->main->ban_sets, sizeof c->main->ban_sets};
    struct slice spared = {(const char *)t->prefixes, t->count * sizeof *t->prefixes};
    if (c->main->ban_sets.table[0])
        bundle_add(bundle,
                   &(struct bundle_entry){.kind = BUNDLE_BAN_EXPORT, .name = sets, .body = spared});
}

/* ---- who is never exported ---- */

static bool overlap(const struct addr_prefix *a, const struct addr_prefix *b)
{
    unsigned bits = a->bits < b->bits ? a->bits : b->bits, bytes = bits / 8, rest = bits % 8;
    if (memcmp(a->bytes, b->bytes, bytes) != 0)
        return false;
    return rest == 0 || ((a->bytes[bytes] ^ b->bytes[bytes]) & 0xff00 >> rest & 0xff) == 0;
}

/* Proxies in `trust`: their clients' packets would die with theirs. And this machine. */
static bool is_spared(const struct ban_export *e, const struct addr_prefix *who)
{
    static const struct addr_prefix own[] = {
        {.bytes = {[15] = 1}, .bits = 128},                             /* ::1 */
        {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 127}, .bits = 104}, /* 127.0.0.0/8 */
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (overlap(&own[i], who))
            return true;
    for (uint32_t i = 0; i < e->spared_count; i++)
        if (overlap(&e->spared[i], who))
            return true;
    return false;
}

/* ---- changes ---- */

static void batch_add(void *ctx, const struct ban *b)
{
    struct ban_export *e = ctx;
    if (!is_spared(e, &b->who))
        e->batch[e->batch_count++] = *b;
}

static bool batch_send(struct ban_export *e, int64_t now_ms, struct text *why)
{
    struct nft_element all[NFT_ELEMENTS_MAX];
    for (uint32_t i = 0; i < e->batch_count; i++) {
        int64_t left_ms = e->batch[i].until_ms - now_ms;
        all[i] = (struct nft_element){e->batch[i].who, left_ms > 0 ? left_ms : 0};
    }
    if (e->batch_count > 0 && !nft_change(&e->sets, all, e->batch_count, why))
        return false;
    e->batch_count = 0;
    return true;
}

/* Once, until it works again. */
static void say_failed(struct ban_export *e, const struct text *why)
{
    if (!e->failing)
        log_write(LOG_ERROR_, "bans are not exported to nftables, which is tried again: %s",
                  why->at);
    e->failing = true;
    e->generation = 0;
}

static bool begin(struct ban_export *e, struct text *why)
{
    if (!nft_check(&e->sets, why))
        return false;
    if (e->failing)
        log_write(LOG_NOTICE_, "bans are exported to nftables again");
    e->failing = false;
    e->generation = nft_generation();
    bans_tell_again();
    return true;
}

/* One portion. How many bans it had; -1: it failed. */
static int portion(struct ban_export *e, int64_t now_ms, struct text *why)
{
    uint32_t now_at = nft_generation();
    if (e->generation != now_at)
        e->generation = 0; /* somebody else changed the rules */
    if (e->generation == 0 && !begin(e, why))
        return -1;
    uint32_t left = e->batch_count; /* of the last one, which failed */
    uint32_t taken = left ? left : bans_take_changes(NFT_ELEMENTS_MAX, batch_add, e);
    bool sends = e->batch_count > 0;
    if (!batch_send(e, now_ms, why))
        return -1;
    e->generation += sends;
    return (int)taken;
}

void ban_export_run(struct ban_export *e, int64_t now_ms)
{
    struct text why;
    if (!e->at_ms || now_ms < e->at_ms || !e->sets.table[0])
        return;
    text_init(&why);
    int count = portion(e, now_ms, &why);
    if (count < 0)
        say_failed(e, &why);
    e->at_ms = now_ms + (count < 0 ? RETRY_MS : count > 0 ? NEXT_MS : LOOK_MS);
    text_release(&why);
}

static void forget(void *ctx, const struct ban *b)
{
    (void)ctx, (void)b;
}

void ban_export_soon(struct ban_export *e, int64_t now_ms)
{
    if (!e->sets.table[0])
        (void)bans_take_changes(UINT32_MAX, forget, NULL); /* noted since there was a directive */
    else if (!e->failing)
        e->at_ms = now_ms;
}

/* ---- the configuration ---- */

static void withdraw_some(struct ban_export *e)
{
    struct text why;
    text_init(&why);
    if (!batch_send(e, INT64_MAX, &why)) /* for whom every ban is over */
        e->batch_count = 0;
    text_release(&why);
}

static void withdraw_one(void *ctx, const struct ban *b)
{
    struct ban_export *e = ctx;
    batch_add(e, b);
    if (e->batch_count == NFT_ELEMENTS_MAX)
        withdraw_some(e);
}

/* From sets that are not ours any more. What fails is over when its time is. */
static void withdraw(struct ban_export *e)
{
    e->batch_count = 0;
    if (e->sets.table[0])
        bans_each_known(withdraw_one, e);
    withdraw_some(e);
}

static bool entry_find(const struct bundle *b, struct bundle_entry *out)
{
    for (size_t at = 0; bundle_next(b, &at, out);)
        if (out->kind == BUNDLE_BAN_EXPORT && out->name.len == sizeof(struct nft_sets) &&
            out->body.len % sizeof(struct addr_prefix) == 0)
            return true;
    return false;
}

static bool same_spared(const struct ban_export *e, struct slice body)
{
    return slice_eq((struct slice){(const char *)e->spared, e->spared_count * sizeof *e->spared},
                    body);
}

void ban_export_set(struct ban_export *e, const struct bundle *b, int64_t now_ms)
{
    struct bundle_entry entry;
    struct nft_sets sets = {0};
    bool any = entry_find(b, &entry);
    if (any)
        memcpy(&sets, entry.name.at, sizeof sets);
    if (memcmp(&sets, &e->sets, sizeof sets) == 0 && (!any || same_spared(e, entry.body)))
        return;
    withdraw(e); /* also for the sake of proxies that are trusted now */
    free(e->spared);
    *e = (struct ban_export){.sets = sets, .at_ms = any ? now_ms : 0};
    if (!any)
        return;
    e->spared = (struct addr_prefix *)mem_dup(entry.body.at, entry.body.len);
    e->spared_count = (uint32_t)(entry.body.len / sizeof *e->spared);
    bans_record();
}

void ban_export_end(struct ban_export *e)
{
    free(e->spared);
    *e = (struct ban_export){0};
}
