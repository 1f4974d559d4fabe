/* sandbox_rows.c - see sandbox_rows.h. Folders that are named here become places of the
 * configuration, like those that other directives name. */
// SPDX-License-Identifier: Apache-2.0
#include "main/sandbox_rows.h"
#include "conf/places.h"
#include "main/main_conf.h"

struct sandbox_options {
    struct slice read, write;
};

static const struct conf_choice modes[] = {
    {"on", SANDBOX_ON, "everything that is not on the list is refused"},
    {"log", SANDBOX_LOG,
     "the kernel's log tells of system calls that `on` would refuse, and files are not confined"},
    {0},
};

static const struct directive sandbox_options[] = {
    {.name = "read",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .repeat = true,
     .offset = offsetof(struct sandbox_options, read),
     .usage = "FOLDER",
     .text = "One more folder that may be read: for `files` that a later reload names, or links "
             "that lead out of those of today."},
    {.name = "write",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .repeat = true,
     .offset = offsetof(struct sandbox_options, write),
     .usage = "FOLDER",
     .text = "One more folder in which files may be read, made, written and removed: for logs "
             "that a later reload names."},
    {0},
};

static void apply_sandbox(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct main_conf *m = scope;
    const struct directive *write = &sandbox_options[1];
    conf_set(b->diag, n->row, &n->args[0], m);
    if (m->sandbox == CONF_OFF)
        m->sandbox = SANDBOX_OFF;
    for (uint32_t i = 0; i < n->option_count; i++) {
        const struct conf_word *w = &n->options[i].value;
        if (w->text.len == 0 || w->text.at[0] != '/')
            diag_error(b->diag, w->pos, "the whole path of a folder is due, such as /srv");
        else
            conf_place_add(b, w->pos, arena_dup(b->arena, w->text).at,
                           n->options[i].row == write ? CONF_OWNS : CONF_READS);
    }
}

const struct directive sandbox_rows[] = {
    {.name = "sandbox",
     .where = IN_TOP,
     .type = CONF_CHOICE,
     .off_ok = true,
     .args_min = 1,
     .args_max = 1,
     .def = "on",
     .choices = modes,
     .options = sandbox_options,
     .apply = apply_sandbox,
     .offset = offsetof(struct main_conf, sandbox),
     .usage = "on|log|off [read=FOLDER]... [write=FOLDER]...",
     .text =
         "How the worker process, which talks to clients, is confined once it is set up. It may "
         "read what the configuration names and what the system's libraries need, write to its "
         "logs and its cache alone, start no program, listen on no address of its own, and use no "
         "system call but those that it is known to need; an attempt at one that only an attacker "
         "would make ends the process. `weir status` shows what holds: what the kernel lacks is "
         "left out. With `off` only capabilities are given up. A mode takes effect after a "
         "restart.",
     .example = "sandbox on read=/srv"},
    {0},
};
