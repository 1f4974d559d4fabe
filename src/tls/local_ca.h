/* local_ca.h - an authority of weir's own, for sites that nobody gave a certificate.
 *
 * It lives in a directory that only its owner may enter: ca.crt, ca.key, and a file leaf-*.pem with
 * certificate and key for each set of names. Two processes may use it at once (a lock file, and
 * files that appear whole). It signs for servers only (pathlen 0, serverAuth) and is trusted by
 * nobody until somebody says so (`weir trust`). Control plane only. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "tls/cert.h"

enum {
    LOCAL_CA_DAYS = 3650,
    LOCAL_CA_LEAF_DAYS = 90,
    LOCAL_CA_RENEW_DAYS = 30, /* a leaf that lasts no longer is made anew */
    LOCAL_CA_NAMES_MAX = 100, /* of one leaf */
    LOCAL_CA_ID_CHARS = 8
};

struct local_ca;

/* /var/lib/weir/ca for root, else $XDG_DATA_HOME/weir/ca or ~/.local/share/weir/ca. False with
 * *why when the environment tells neither. */
bool local_ca_default_dir(struct text *dir, struct text *why);

/* What others may know of an authority: enough to trust it. */
struct local_ca_card {
    char id[LOCAL_CA_ID_CHARS + 1];
    char fingerprint[2 * TLS_FINGERPRINT_BYTES + 1]; /* SHA-256, hexadecimal */
    struct text cert_pem;                            /* to be released */
};

/* Reads the card of an authority that may belong to another user (root trusts a user's). False
 * with *why, also when there is none yet. */
bool local_ca_read_card(const char *dir, struct local_ca_card *out, struct text *why);

/* Loads it, or makes directory and authority. False with *why: not to be written, open to others
 * (who could put their own authority there), damaged, expired. */
bool local_ca_open(const char *dir, int64_t now_unix_s, struct local_ca **out, struct text *why);
void local_ca_close(struct local_ca *ca); /* NULL: nothing */

const char *local_ca_path(const struct local_ca *ca); /* of ca.crt; as long as ca */
/* The first digits of its fingerprint: names it where several are. As long as ca. */
const char *local_ca_id(const struct local_ca *ca);

/* The kept leaf for these names (host names, "*.example.com", addresses; in any order and case), or
 * a new one. Appends PEM texts; wipe key_pem with tls_text_wipe(). False with *why: a name that is
 * none, or the directory cannot be written. */
bool local_ca_issue(struct local_ca *ca, const struct slice *names, uint32_t name_count,
                    int64_t now_unix_s, struct text *cert_pem, struct text *key_pem,
                    struct text *why);
