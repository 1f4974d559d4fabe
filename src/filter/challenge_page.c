/* challenge_page.c - the page that a challenge shows: challenge_page.html, with what is asked
 * filled in.
 *
 * Its policy (CSP) names the hashes of its script and its style and allows nothing else, so what is
 * asked stands in attributes. Nobody may keep or change it: the next client is asked another
 * question, and compressing it for each client of a flood would cost more than all the rest. */
// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"
#include "base/num.h"
#include "base/rand.h"
#include "base/text.h"
#include "filter/challenge_priv.h"
#include <openssl/sha.h>

/* --- when it is built ------------------------------------------------------------------------- */

/* The part of *rest before `mark`, which must be there; *rest goes on behind it. */
static struct slice cut_before(struct slice *rest, const char *mark)
{
    const char *at = memmem(rest->at, rest->len, mark, strlen(mark));
    ASSERT(at);
    struct slice part = {rest->at, (size_t)(at - rest->at)};
    *rest = slice_from(*rest, part.len + strlen(mark));
    return part;
}

static struct slice between(const char *begin, const char *end)
{
    struct slice rest = asset_challenge_page;
    cut_before(&rest, begin);
    return cut_before(&rest, end);
}

static void hash_add(struct text *t, const char *directive, struct slice s)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    char text[BASE64_CHARS(SHA256_DIGEST_LENGTH)];
    SHA256((const unsigned char *)s.at, s.len, hash);
    size_t len = base64_write(text, hash, sizeof hash, BASE64);
    text_addf(t, "; %s 'sha256-%.*s'", directive, (int)len, text);
}

static struct slice policy_make(struct conf_build *b)
{
    struct text t;
    text_init(&t);
    text_add(&t, SLICE("default-src 'none'"));
    hash_add(&t, "script-src", between("<script>", "</script>"));
    hash_add(&t, "style-src", between("<style>", "</style>"));
    text_add(&t, SLICE("; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"));
    struct slice all = arena_dup(b->arena, text_slice(&t));
    text_release(&t);
    return all;
}

void challenge_page_init(struct conf_build *b, struct challenge_conf *c)
{
    struct slice rest = asset_challenge_page;
    c->page[0] = cut_before(&rest, "@ask@");
    c->page[1] = cut_before(&rest, "@bits@");
    c->page[2] = cut_before(&rest, "@cookie@");
    c->page[3] = rest;
    c->page_policy = policy_make(b);
}

/* --- when it is shown ------------------------------------------------------------------------- */

static struct slice page_make(struct exchange *x, const struct challenge_conf *c,
                              const struct challenge_client *who)
{
    struct challenge_proof p = {c->bits, (uint32_t)(x->worker->loop.unix_ms / 1000)};
    uint8_t random[CHALLENGE_RANDOM_BYTES];
    char ask[CHALLENGE_ASK_CHARS], bits[NUM_U64_MAX_BYTES];
    rand_secret(random, sizeof random);
    challenge_ask_write(c->key, who, &p, random, ask);
    size_t bits_len = num_write_u64(bits, c->bits);
    return ARENA_CONCAT(&x->arena, c->page[0], (struct slice){ask, sizeof ask}, c->page[1],
                        (struct slice){bits, bits_len}, c->page[2], c->cookie, c->page[3]);
}

static enum err fields_add(struct exchange *x, const struct challenge_conf *c)
{
    const struct {
        struct slice name, value;
    } fields[] = {
        {SLICE("Cache-Control"), SLICE("no-store, no-transform")},
        {SLICE("Content-Security-Policy"), c->page_policy},
        {SLICE("Referrer-Policy"), SLICE("same-origin")},
        {SLICE("X-Content-Type-Options"), SLICE("nosniff")},
        {SLICE("X-Robots-Tag"), SLICE("noindex, nofollow")},
    };
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        TRY(headers_add(&x->res.headers, &x->arena, fields[i].name, fields[i].value));
    return ERR_OK;
}

enum err challenge_page_show(struct exchange *x, const struct challenge_conf *c,
                             const struct challenge_client *who)
{
    struct slice page = page_make(x, c, who);
    if (!page.at)
        return ERR_OVER_BUDGET;
    TRY(exchange_respond(x, 403, SLICE("text/html; charset=utf-8"), page));
    return fields_add(x, c);
}
