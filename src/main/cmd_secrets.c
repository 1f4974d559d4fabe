/* cmd_secrets.c - hash-password, new-key: what stands in files of users and of keys, where neither
 * passwords nor keys do. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/keys.h"
#include "auth/password.h"
#include "base/base64.h"
#include "base/rand.h"
#include "main/command.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { BCRYPT_PASSWORD_MAX = 72, KEY_RANDOM_BYTES = 32 };

#define KEY_PREFIX "wk_" /* by which scanners for leaked keys know it */

/* One more than may be, so that too long a one is seen. */
struct secret {
    char bytes[PASSWORD_MAX + 2];
    size_t len;
};

static const char *secret_wrong(const struct secret *s)
{
    if (s->len == 0)
        return "the password is empty";
    if (s->len > PASSWORD_MAX)
        return "a password has at most 511 bytes";
    for (size_t i = 0; i < s->len; i++)
        if ((unsigned char)s->bytes[i] < 0x20 || s->bytes[i] == 0x7f)
            return "a password has no controls: no client could send it";
    return NULL;
}

/* Up to the end of the line. Byte by byte: what follows is not ours. */
static void line_read(struct secret *s)
{
    char c;
    s->len = 0;
    for (;;) {
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || c == '\n')
            break;
        if (s->len < sizeof s->bytes)
            s->bytes[s->len++] = c;
    }
    if (s->len > 0 && s->bytes[s->len - 1] == '\r')
        s->len--;
}

static void prompt_read(const char *prompt, struct secret *s)
{
    struct termios before, quiet;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        fprintf(stderr, "%s", prompt);
    }
    line_read(s);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fprintf(stderr, "\n");
    }
}

/* NULL, or why there is none. A terminal is asked twice. */
static const char *secret_read(struct secret *s)
{
    struct secret again;
    prompt_read("Password: ", s);
    const char *why = secret_wrong(s);
    if (why || !isatty(STDIN_FILENO))
        return why;
    prompt_read("Once again: ", &again);
    bool same = again.len == s->len && CRYPTO_memcmp(again.bytes, s->bytes, s->len) == 0;
    OPENSSL_cleanse(&again, sizeof again);
    return same ? NULL : "the two are not the same";
}

static const char *hash_print(enum password_kind kind, const struct secret *s)
{
    char hash[PASSWORD_HASH_MAX + 1];
    if (kind == PASSWORD_BCRYPT && s->len > BCRYPT_PASSWORD_MAX)
        return "bcrypt looks at 72 bytes of a password alone, this one has more";
    if (!password_hash_make(kind, (struct slice){s->bytes, s->len}, hash))
        return "this system's libcrypt does not have that kind of hash";
    printf("%s\n", hash);
    return fflush(stdout) == 0 ? NULL : "the hash can not be written";
}

static bool kind_find(const struct args *a, enum password_kind *kind)
{
    static const char *const words[] = {[PASSWORD_YESCRYPT] = "yescrypt",
                                        [PASSWORD_BCRYPT] = "bcrypt",
                                        [PASSWORD_SHA512] = "sha512"};
    const char *word = a->word_count > 0 ? a->words[0] : words[PASSWORD_YESCRYPT];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        *kind = (enum password_kind)i;
        if (strcmp(word, words[i]) == 0)
            return true;
    }
    return false;
}

int cmd_hash_password(const struct args *a)
{
    struct secret s;
    enum password_kind kind;
    if (!kind_find(a, &kind)) {
        fprintf(stderr, "weir: hash-password: expected yescrypt, bcrypt or sha512, not '%s'\n",
                a->words[0]);
        return EXIT_USAGE;
    }
    const char *why = secret_read(&s);
    if (!why)
        why = hash_print(kind, &s);
    OPENSSL_cleanse(&s, sizeof s);
    if (why)
        fprintf(stderr, "weir: hash-password: %s\n", why);
    return why ? EXIT_FAILED : EXIT_OK;
}

/* ---- keys ---- */

static bool is_word(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= 0x20 || *s == 0x7f)
            return false;
    return true;
}

int cmd_new_key(const struct args *a)
{
    uint8_t random[KEY_RANDOM_BYTES], digest[KEY_DIGEST_BYTES];
    char key[sizeof KEY_PREFIX + BASE64_CHARS(KEY_RANDOM_BYTES)] = KEY_PREFIX;
    size_t len = strlen(KEY_PREFIX);
    if (a->words[0][0] == '\0' || a->words[0][0] == '#' || !is_word(a->words[0])) {
        fprintf(stderr, "weir: new-key: a name has neither blanks nor controls, and no # first\n");
        return EXIT_USAGE;
    }
    rand_secret(random, sizeof random);
    len += base64_write(key + len, random, sizeof random, BASE64_URL);
    if (!api_key_digest((struct slice){key, len}, digest))
        return EXIT_FAILED;
    printf("%.*s\n%s ", (int)len, key, a->words[0]);
    for (size_t i = 0; i < sizeof digest; i++)
        printf("%02x", digest[i]);
    printf("\n");
    OPENSSL_cleanse(key, sizeof key);
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}
