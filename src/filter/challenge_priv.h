/* challenge_priv.h - what the parts of the filter `challenge` share: a challenge as configured, the
 * texts that are signed, and who of those who call themselves crawlers is one. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/snapshot.h"
#include "limit/addr_key.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/own_cookie.h"

/* --- texts that are signed (challenge_token.c) ------------------------------------------------ */

enum {
    CHALLENGE_BITS_MIN = 4,
    CHALLENGE_BITS_MAX = 28, /* hashes of SHA-256: 2^28, minutes of a browser */
    CHALLENGE_RANDOM_BYTES = 9,
    CHALLENGE_MAC_BYTES = 16,
    CHALLENGE_ASK_BYTES = 1 + 4 + CHALLENGE_RANDOM_BYTES + CHALLENGE_MAC_BYTES,
    CHALLENGE_ASK_CHARS = CHALLENGE_ASK_BYTES / 3 * 4,
    CHALLENGE_DIGITS_MAX = 15, /* of an answer; one block of SHA-256 with what was asked */
    CHALLENGE_PASS_BYTES = 1 + 4 + CHALLENGE_MAC_BYTES,
    CHALLENGE_PASS_CHARS = CHALLENGE_PASS_BYTES / 3 * 4,
    CHALLENGE_ANSWER_S = 600, /* so long after it was asked an answer is taken */
    CHALLENGE_AHEAD_S = 60,   /* other weirs with the same secret may be ahead of us */
};

/* Whom a text is for: it is worth nothing to anybody else. */
struct challenge_client {
    struct slice site, agent;
    struct addr_prefix who; /* zeroed: whoever it is */
};

/* What has been shown by it. */
struct challenge_proof {
    uint8_t bits;
    uint32_t at_s; /* when it was asked for, Unix time */
};

enum challenge_fault {
    CHALLENGE_GOOD,
    CHALLENGE_MALFORMED,
    CHALLENGE_LATE,
    CHALLENGE_EASY,   /* less was asked than is now */
    CHALLENGE_FORGED, /* not signed by us, or for somebody else */
    CHALLENGE_WRONG,  /* no solution */
};

typedef uint8_t challenge_key[OWN_COOKIE_KEY_BYTES];

void challenge_ask_write(const challenge_key key, const struct challenge_client *c,
                         const struct challenge_proof *p,
                         const uint8_t random[CHALLENGE_RANDOM_BYTES],
                         char to[CHALLENGE_ASK_CHARS]);
/* ASK "." DIGITS: SHA-256 of both together begins with so many zeros. *out when it is good. */
enum challenge_fault challenge_answer_read(const challenge_key key,
                                           const struct challenge_client *c, struct slice answer,
                                           int64_t unix_s, uint8_t least_bits,
                                           struct challenge_proof *out);
void challenge_pass_write(const challenge_key key, const struct challenge_client *c,
                          const struct challenge_proof *p, char to[CHALLENGE_PASS_CHARS]);
/* It is taken for less than valid_s after the time when it was asked for. */
enum challenge_fault challenge_pass_read(const challenge_key key, const struct challenge_client *c,
                                         struct slice pass, int64_t unix_s, int64_t valid_s,
                                         uint8_t least_bits, struct challenge_proof *out);

/* --- as configured (challenge_conf.c) --------------------------------------------------------- */

enum { CRAWLER_DOMAINS_MAX = 4, CRAWLERS_MAX = 32 };

struct crawler {
    const char *name;
    struct slice agent;                        /* part of its User-Agent, any letter case */
    struct slice domains[CRAWLER_DOMAINS_MAX]; /* that its addresses have names below */
};

extern const struct crawler crawlers_known[]; /* ends in {0} */

struct challenge_conf {
    bool on, when_busy, anybody; /* anybody: not bound to the client's address */
    uint8_t bits;
    struct addr_bits bound;
    int64_t valid_s, calm_ms;
    struct slice cookie, answer_cookie; /* names */
    struct slice cookie_attributes;
    struct slice page[4]; /* between what is filled in */
    struct slice page_policy;
    challenge_key key;
    struct conf_pos pos;
    struct slice text; /* for `weir explain` */
    bool knows_crawlers;
    const struct crawler *crawlers[CRAWLERS_MAX]; /* of the directive `crawler` */
    uint32_t crawler_count;
};

extern const struct directive challenge_rows[];

/* --- crawlers (challenge_crawlers.c) ---------------------------------------------------------- */

struct crawler_check;

/* The crawler that the request says it comes from; NULL: none. */
const struct crawler *crawler_claimed(const struct exchange *x, const struct challenge_conf *c);

enum crawler_verdict { CRAWLER_YES, CRAWLER_NO, CRAWLER_WAIT /* the exchange is woken */ };
/* Is it one? *check is NULL at first; call again after WAIT, and crawler_check_end() after all. */
enum crawler_verdict crawler_verify(struct exchange *x, const struct crawler *who,
                                    struct crawler_check **check);
void crawler_check_end(struct exchange *x, struct crawler_check *check); /* NULL: no effect */
/* Is `name` a name below the domain? A dot at its end does not matter. */
bool crawler_name_is_below(struct slice name, struct slice domain);

/* --- the page (challenge_page.c) -------------------------------------------------------------- */

extern const struct slice asset_challenge_page; /* made from challenge_page.html */

void challenge_page_init(struct conf_build *b, struct challenge_conf *c);
/* The response is the page. ERR_OVER_BUDGET. */
enum err challenge_page_show(struct exchange *x, const struct challenge_conf *c,
                             const struct challenge_client *who) MUST_CHECK;
