/* tls_ticket_fuzz.c - libFuzzer entry for session tickets, each in a handshake of its own. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_ticket_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static struct pair pair;
    static struct tls_identity *id;
    static SSL_SESSION *sessions[2];
    if (!id) {
        id = pair_identity(&(struct made_spec){.cn = "a.example"});
        pair_init(&pair);
        sessions[0] = forged_from(&pair, id, TLS1_2_VERSION);
        sessions[1] = forged_from(&pair, id, TLS1_3_VERSION);
    }
    ticket_fuzz(&pair, id, sessions, at, len);
    return 0;
}
