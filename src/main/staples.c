/* staples.c - the certificates of the configuration in force get their OCSP answers.
 *
 * The stapler (tls/ocsp_stapler.h) uses the process's DNS and goes with it; answers that
 * certificates have already stay with them. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "main/process_priv.h"
#include "proxy/route.h"
#include "proxy/tls_build.h"
#include "tls/ocsp_stapler.h"
#include <stdlib.h>

static void on_failed(void *ctx, const char *line)
{
    (void)ctx;
    log_write(LOG_WARN_, "%s", line);
}

static size_t count_certs(const struct conf *c)
{
    size_t n = 0;
    for (const struct proxy_cert *pc = c->proxy->certs; pc; pc = pc->next)
        n++;
    return n;
}

void process_staples_sync(struct process *p, const struct conf *c)
{
    size_t count = count_certs(c), i = 0;
    if (!p->stapler && p->dns && count > 0)
        p->stapler = ocsp_stapler_new(process_loop(p), p->dns, on_failed, NULL);
    if (!p->stapler)
        return;
    struct tls_cert **certs = mem_new(sizeof *certs * (count ? count : 1));
    for (const struct proxy_cert *pc = c->proxy->certs; pc; pc = pc->next)
        certs[i++] = pc->cert;
    ocsp_stapler_set(p->stapler, certs, count);
    free(certs);
}

void process_staples_free(struct process *p)
{
    ocsp_stapler_free(p->stapler);
    p->stapler = NULL;
}
