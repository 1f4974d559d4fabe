/* trust.h - puts the local authority into the trust stores of this machine, and takes it out. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"

struct local_ca_card;

enum trust_result {
    TRUST_DONE,    /* the system's store has it (has it no more) */
    TRUST_BY_HAND, /* not done; what to do stands in *said */
};

/* Both tell in *said, a line each, what they did and what is left to do by hand. `dir` is the
 * authority's directory, for these words. */
enum trust_result trust_add(const struct local_ca_card *card, const char *dir, struct text *said);
enum trust_result trust_remove(const struct local_ca_card *card, const char *dir,
                               struct text *said);
