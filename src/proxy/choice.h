/* choice.h - a cookie of weir's own that keeps a client with what was chosen for it: one of the
 * servers of an upstream (`sticky cookie`), or one of the parts of a `split`.
 *
 * Its value names the choice by a keyed digest and is signed, so it tells nobody what stands behind
 * weir and nobody can make one up; every weir with the same secret reads it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "http/message.h"
#include "proxy/own_cookie.h"

struct exchange;

enum {
    CHOICE_ID_BYTES = 10,
    CHOICE_TIME_BYTES = 4,
    CHOICE_MAC_BYTES = 16,
    CHOICE_BYTES = CHOICE_ID_BYTES + CHOICE_TIME_BYTES + CHOICE_MAC_BYTES,
    CHOICE_CHARS = CHOICE_BYTES / 3 * 4, /* base64url without padding */
    CHOICE_KEY_BYTES = OWN_COOKIE_KEY_BYTES
};

/* --- as configured ----------------------------------------------------------------------------*/

enum choice_same_site { SAME_SITE_LAX, SAME_SITE_STRICT, SAME_SITE_NONE };
enum choice_secure { SECURE_OFF = CONF_OFF, SECURE_AUTO, SECURE_ON };

/* What the options of the cookie are read into: embedded in the options of the directive. */
struct choice_terms {
    struct slice name, path, domain, secret;
    int64_t ttl_ms; /* 0: until the browser ends */
    int64_t same_site, secure;
};

extern const struct conf_choice choice_same_sites[], choice_secures[];

/* The rows of the options, for a struct that has choice_terms as its member `m`. */
#define CHOICE_OPTIONS(scope, m, default_name)                                                     \
    {.name = "name",                                                                               \
     .where = IN_OPTIONS,                                                                          \
     .type = CONF_STRING,                                                                          \
     .offset = offsetof(scope, m.name),                                                            \
     .def = default_name,                                                                          \
     .usage = "NAME",                                                                              \
     .text = "Name of the cookie. Where a client meets several of them under one host name, each " \
             "needs a name (or a `path`) of its own."},                                            \
        {.name = "ttl",                                                                            \
         .where = IN_OPTIONS,                                                                      \
         .type = CONF_TIME,                                                                        \
         .offset = offsetof(scope, m.ttl_ms),                                                      \
         .min = 1000,                                                                              \
         .max = 400LL * 24 * 3600 * 1000,                                                          \
         .usage = "TIME",                                                                          \
         .text = "How long it keeps a client that stays away; it is given anew once half of the "  \
                 "time is over. Without it, until the browser is closed."},                        \
        {.name = "path",                                                                           \
         .where = IN_OPTIONS,                                                                      \
         .type = CONF_STRING,                                                                      \
         .offset = offsetof(scope, m.path),                                                        \
         .def = "/",                                                                               \
         .usage = "PATH",                                                                          \
         .text = "The part of the site that the client sends the cookie to."},                     \
        {.name = "domain",                                                                         \
         .where = IN_OPTIONS,                                                                      \
         .type = CONF_STRING,                                                                      \
         .offset = offsetof(scope, m.domain),                                                      \
         .usage = "HOST",                                                                          \
         .text =                                                                                   \
             "The cookie also goes to hosts below this one. Without it, only to the host that "    \
             "was asked."},                                                                        \
        {.name = "samesite",                                                                       \
         .where = IN_OPTIONS,                                                                      \
         .type = CONF_CHOICE,                                                                      \
         .choices = choice_same_sites,                                                             \
         .offset = offsetof(scope, m.same_site),                                                   \
         .def = "lax",                                                                             \
         .usage = "lax|strict|none",                                                               \
         .text = "Whether requests that other sites cause carry the cookie."},                     \
        {.name = "secure",                                                                         \
         .where = IN_OPTIONS,                                                                      \
         .type = CONF_CHOICE,                                                                      \
         .off_ok = true,                                                                           \
         .choices = choice_secures,                                                                \
         .offset = offsetof(scope, m.secure),                                                      \
         .def = "auto",                                                                            \
         .usage = "auto|on|off",                                                                   \
         .text = "Whether browsers send it over TLS only. `auto`: where the client came over "     \
                 "TLS."},                                                                          \
    {                                                                                              \
        .name = "secret", .where = IN_OPTIONS, .type = CONF_STRING,                                \
        .offset = offsetof(scope, m.secret), .secret = 1, .usage = "TEXT",                         \
        .text = "What the cookie is signed with. Several weirs behind one address need the same; " \
                "`${env.NAME}` and `${file:PATH}` keep it out of the configuration. Without it, "  \
                "a random one that weir makes once and keeps beside its local CA."                 \
    }

/* --- in force ---------------------------------------------------------------------------------*/

struct choice {
    uint8_t id[CHOICE_ID_BYTES];
    char value[CHOICE_CHARS]; /* of a cookie without a time */
};

/* Owner: the snapshot. */
struct choice_cookie {
    struct slice name;
    struct slice attributes; /* "; Path=/; HttpOnly..." */
    int64_t ttl_s;           /* 0: no time in it */
    int8_t secure;           /* enum choice_secure */
    uint8_t key[CHOICE_KEY_BYTES];
    struct choice *choices; /* in the order in which they were named */
    uint32_t *sorted;       /* their indexes, by id */
    uint32_t count;
};

/* Checks the terms and gets the key, which is another one for each `purpose`. False after errors
 * at `pos`. */
bool choice_cookie_init(struct conf_build *b, struct conf_pos pos, const struct choice_terms *t,
                        struct slice purpose, struct choice_cookie *out);
/* Names what can be chosen, once that is known. */
void choice_cookie_names(struct conf_build *b, struct choice_cookie *c, const struct slice *names,
                         uint32_t count);

enum { CHOICE_NONE = -1 };

/* The index of the choice that a cookie value tells; CHOICE_NONE when it is not one of ours, was
 * tampered with, or is over its time. *stale: it is good, but should be given anew. */
int32_t choice_value_read(const struct choice_cookie *c, struct slice value, int64_t unix_s,
                          bool *stale);
void choice_value_write(const struct choice_cookie *c, uint32_t index, int64_t unix_s,
                        char to[CHOICE_CHARS]);

/* What the request's cookies tell: the first that is good. */
int32_t choice_of_request(const struct choice_cookie *c, struct exchange *x, bool *stale);
/* The cookie is weir's own: the server does not get it. */
enum err choice_strip(const struct choice_cookie *c, struct exchange *x) MUST_CHECK;
/* Puts the cookie into x->res. Caches that serve many must not keep that answer, so it becomes
 * `private` unless it is already, or must not be stored at all. */
enum err choice_tell(const struct choice_cookie *c, struct exchange *x, uint32_t index) MUST_CHECK;
