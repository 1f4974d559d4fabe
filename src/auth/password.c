/* password.c - see password.h. The hashing is libcrypt's; here is which of its many kinds are good
 * enough, and that nothing of a password stays behind. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/password.h"
#include "base/num.h"
#include <crypt.h>
#include <openssl/crypto.h>
#include <string.h>

enum {
    BCRYPT_BYTES = 60,
    BCRYPT_LAST = 53,
    SHA256_LAST = 43,
    SHA512_LAST = 86,
    YESCRYPT_LAST = 43
};
enum { BCRYPT_PASSWORD_MAX = 72 }; /* it does not look at more */

#define HASH_HINT "make one with 'weir hash-password'"

/* --- which are taken -------------------------------------------------------------------------- */

static bool is_crypt_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '/';
}

static bool all_crypt_chars(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_crypt_char(s.at[i]))
            return false;
    return s.len > 0;
}

/* The part after the last '$': the digest, for bcrypt with the salt before it. */
static struct slice last_part(struct slice hash)
{
    size_t at = hash.len;
    while (at > 0 && hash.at[at - 1] != '$')
        at--;
    return slice_from(hash, at);
}

static const char *ends_wrong(struct slice hash, size_t due)
{
    struct slice last = last_part(hash);
    return last.len == due && all_crypt_chars(last) ? NULL : "is a broken hash: its end is missing";
}

/* "$2b$12$": the cost is the power of two of rounds. */
static const char *bcrypt_refused(struct slice hash)
{
    uint64_t cost;
    if (hash.len != BCRYPT_BYTES || hash.at[6] != '$' ||
        num_parse_u64((struct slice){hash.at + 4, 2}, &cost) != ERR_OK)
        return "is a broken bcrypt hash";
    if (cost < 5)
        return "is a bcrypt hash of a cost below 5, which is too quick to guess";
    if (cost > 16)
        return "is a bcrypt hash of a cost above 16, which takes too long for each login";
    return ends_wrong(hash, BCRYPT_LAST);
}

/* "$6$rounds=5000$salt$...", "$6$salt$..." */
static const char *sha_refused(struct slice hash, size_t due)
{
    struct slice rest = slice_from(hash, 3), part;
    uint64_t rounds = 5000;
    if (slice_starts(rest, SLICE("rounds="))) {
        slice_cut(&rest, '$', &part);
        if (num_parse_u64(slice_from(part, strlen("rounds=")), &rounds) != ERR_OK)
            return "is a broken hash: its rounds are no number";
    }
    if (rounds < 5000)
        return "is a hash of less than 5000 rounds, which is too quick to guess";
    if (rounds > 5000000)
        return "is a hash of more than 5000000 rounds, which takes too long for each login";
    return ends_wrong(hash, due);
}

static bool is_des(struct slice hash)
{
    return hash.len == 13 && all_crypt_chars(hash);
}

static const char *other_refused(struct slice hash)
{
    if (slice_starts(hash, SLICE("$apr1$")) || slice_starts(hash, SLICE("$1$")))
        return "is an MD5 hash, which is too quick to guess";
    if (slice_starts(hash, SLICE("{SHA}")) || slice_starts(hash, SLICE("{SSHA}")))
        return "is a plain SHA-1 hash, which is too quick to guess";
    if (is_des(hash))
        return "is a DES hash, which is too quick to guess";
    return "is not a hash of a kind that is known here";
}

static const char *refusal(struct slice h)
{
    bool bcrypt = slice_starts(h, SLICE("$2a$")) || slice_starts(h, SLICE("$2b$")) ||
                  slice_starts(h, SLICE("$2y$"));
    if (h.len == 0)
        return "is missing";
    if (h.len > PASSWORD_HASH_MAX)
        return "is too long for a hash";
    if (bcrypt)
        return bcrypt_refused(h);
    if (slice_starts(h, SLICE("$y$")))
        return ends_wrong(h, YESCRYPT_LAST);
    if (slice_starts(h, SLICE("$5$")))
        return sha_refused(h, SHA256_LAST);
    return slice_starts(h, SLICE("$6$")) ? sha_refused(h, SHA512_LAST) : other_refused(h);
}

/* What looks right may still be broken in its middle: libcrypt says. */
static bool is_broken(struct slice hash)
{
    char text[PASSWORD_HASH_MAX + 1];
    memcpy(text, hash.at, hash.len);
    text[hash.len] = '\0';
    int found = strlen(text) == hash.len ? crypt_checksalt(text) : CRYPT_SALT_INVALID;
    OPENSSL_cleanse(text, sizeof text);
    return found == CRYPT_SALT_INVALID || found == CRYPT_SALT_METHOD_DISABLED;
}

const char *password_hash_refused(struct slice hash, const char **hint)
{
    const char *why = refusal(hash);
    *hint = HASH_HINT;
    if (!why && is_broken(hash))
        why = "is a broken hash, or of a kind that this system's libcrypt does not have";
    return why;
}

/* --- hashing ---------------------------------------------------------------------------------- */

/* `use` gets the hash, which is gone when it returns. */
static bool hash_with(struct slice password, const char *setting,
                      bool (*use)(const char *hash, void *ctx), void *ctx)
{
    struct crypt_data data;
    char phrase[PASSWORD_MAX + 1];
    if (password.len > PASSWORD_MAX || memchr(password.at ? password.at : "", 0, password.len))
        return false;
    memset(&data, 0, sizeof data);
    memcpy(phrase, password.at ? password.at : "", password.len);
    phrase[password.len] = '\0';
    const char *hash = crypt_rn(phrase, setting, &data, sizeof data);
    bool good = hash && use(hash, ctx);
    OPENSSL_cleanse(phrase, sizeof phrase);
    OPENSSL_cleanse(&data, sizeof data);
    return good;
}

static bool is_same(const char *hash, void *ctx)
{
    const char *due = ctx;
    size_t len = strlen(hash);
    return len == strlen(due) && CRYPTO_memcmp(hash, due, len) == 0;
}

bool password_verify(struct slice password, const char *hash)
{
    return hash_with(password, hash, is_same, (char *)hash);
}

static bool copy_hash(const char *hash, void *ctx)
{
    size_t len = strlen(hash);
    if (len > PASSWORD_HASH_MAX)
        return false;
    memcpy(ctx, hash, len + 1);
    return true;
}

bool password_hash_make(enum password_kind kind, struct slice password,
                        char to[PASSWORD_HASH_MAX + 1])
{
    static const struct {
        const char *prefix;
        unsigned long cost; /* 0: the library's own choice */
    } kinds[] = {[PASSWORD_YESCRYPT] = {"$y$", 0},
                 [PASSWORD_BCRYPT] = {"$2b$", 12},
                 [PASSWORD_SHA512] = {"$6$", 500000}};
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (password.len == 0 || (kind == PASSWORD_BCRYPT && password.len > BCRYPT_PASSWORD_MAX))
        return false;
    return crypt_gensalt_rn(kinds[kind].prefix, kinds[kind].cost, NULL, 0, setting,
                            (int)sizeof setting) &&
           hash_with(password, setting, copy_hash, to);
}
