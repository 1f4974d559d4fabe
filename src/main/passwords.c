/* passwords.c - the threads for what would hold up a loop, and what they are for: passwords. Made
 * once; reloads leave them alone. No thread is started before there is something to do. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/password_checks.h"
#include "io/work.h"
#include "main/process_priv.h"

enum { THREADS = 2 }; /* whoever floods weir with passwords gets no more of the machine */

void process_passwords_begin(struct process *p)
{
    p->work = work_pool_new(THREADS);
    p->passwords = password_checks_new(p->work);
    for (uint32_t i = 0; i < p->workers.count; i++)
        p->workers.all[i]->worker.passwords = p->passwords;
}

void process_work_end(struct process *p)
{
    if (p->work)
        work_pool_free(p->work);
}

void process_passwords_end(struct process *p)
{
    if (p->passwords)
        password_checks_free(p->passwords);
}
