/* dry.c - an exchange without client and network: `test` blocks and `weir explain` run the same
 * steps as a request would, up to an imaginary answer of the chosen upstream. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "proxy/exchange_priv.h"
#include <stdlib.h>

struct exchange *exchange_dry_new(struct worker *w, const struct listen_conf *l)
{
    struct exchange *x = mem_new(sizeof *x);
    exchange_init(x, w, l, w->view);
    x->dry = true;
    return x;
}

void exchange_dry_run(struct exchange *x, enum exchange_step until)
{
    exchange_steps_run(x, until < STEP_FINISH ? until : STEP_FINISH);
}

void exchange_dry_free(struct exchange *x)
{
    exchange_release(x);
    free(x);
}
