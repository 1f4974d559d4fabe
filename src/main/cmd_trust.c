/* cmd_trust.c - trust: lets this machine believe in the local authority, or no longer. */
// SPDX-License-Identifier: Apache-2.0
#include "main/authority.h"
#include "main/command.h"
#include "main/trust.h"
#include "tls/local_ca.h"
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* Is there none yet? Anything else than a missing file is for local_ca_read_card() to say. */
static bool is_missing(const char *dir)
{
    struct stat st;
    struct text path;
    text_init(&path);
    text_addf(&path, "%s/ca.crt", dir);
    bool missing = lstat(path.at, &st) != 0;
    text_release(&path);
    return missing;
}

static bool make(const char *dir, struct text *why)
{
    struct local_ca *ca;
    if (!local_ca_open(dir, time(NULL), &ca, why))
        return false;
    local_ca_close(ca);
    return true;
}

static int trust_dir(const struct args *a, const char *dir, struct text *why)
{
    struct local_ca_card card;
    struct text said;
    const char *remove = a->values[OPTION_REMOVE];
    if (remove && is_missing(dir)) {
        text_addf(why, "there is no local CA in %s", dir);
        return EXIT_FAILED;
    }
    if ((is_missing(dir) && !make(dir, why)) || !local_ca_read_card(dir, &card, why))
        return EXIT_FAILED;
    text_init(&said);
    text_addf(&said, "The local CA is %s/ca.crt\nSHA-256 %s\n", dir, card.fingerprint);
    enum trust_result r = remove ? trust_remove(&card, dir, &said) : trust_add(&card, dir, &said);
    print_out(&said);
    text_release(&said);
    text_release(&card.cert_pem);
    return r == TRUST_DONE ? EXIT_OK : EXIT_FAILED;
}

int cmd_trust(const struct args *a)
{
    struct text dir, why;
    text_init(&dir);
    text_init(&why);
    int code = EXIT_FAILED;
    if (a->values[OPTION_DIR])
        text_add(&dir, slice_of(a->values[OPTION_DIR]));
    if (dir.len > 0 || authority_dir(&dir, &why))
        code = trust_dir(a, dir.at, &why);
    if (why.len > 0)
        fprintf(stderr, "weir: trust: %s\n", why.at);
    text_release(&dir);
    text_release(&why);
    return code;
}
