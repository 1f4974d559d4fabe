/* cmd_server.c - `weir server`: what the running weir knows about its servers, and how to change
 * them without touching its configuration. */
// SPDX-License-Identifier: Apache-2.0
#include "main/ask.h"
#include "main/status_text.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ACTION, UPSTREAM, SERVER, NUMBERS /* from here on */ };

static int print_servers(const struct args *a)
{
    struct control_answer answer;
    struct text t;
    int code = ask(a, "GET", "/status", &answer);
    if (code != EXIT_OK)
        return code;
    text_init(&t);
    if (!servers_text_write(text_slice(&answer.body), &t)) {
        fprintf(stderr, "weir: the answer of the running weir is not understood\n");
        code = EXIT_FAILED;
    }
    print_out(&t);
    text_release(&t);
    text_release(&answer.body);
    return code;
}

static void add_parameter(struct text *path, const char *name, struct slice value)
{
    text_addf(path, "%s%s=", path->len == strlen("/server?") ? "" : "&", name);
    ask_add_escaped(path, value);
}

/* weight=N, max_conns=N */
static bool add_number(struct text *path, const char *word)
{
    struct slice value = slice_of(word), name;
    slice_cut(&value, '=', &name);
    bool known = slice_eq(name, SLICE("weight")) || slice_eq(name, SLICE("max_conns"));
    if (!known || value.len == 0) {
        fprintf(stderr, "weir: server: expected weight=N or max_conns=N, not '%s'\n", word);
        return false;
    }
    text_addf(path, "&%.*s=", SLICE_ARG(name));
    ask_add_escaped(path, value);
    return true;
}

static bool path_write(const struct args *a, struct text *path)
{
    text_add(path, SLICE("/server?"));
    add_parameter(path, "do", slice_of(a->words[ACTION]));
    add_parameter(path, "upstream", slice_of(a->words[UPSTREAM]));
    add_parameter(path, "server", slice_of(a->words[SERVER]));
    for (uint32_t i = NUMBERS; i < a->word_count; i++)
        if (!add_number(path, a->words[i]))
            return false;
    return true;
}

static int change(const struct args *a, const char *path)
{
    int code = ask_to(a, path, 200, "");
    if (code == EXIT_OK)
        ask_until_installed(a);
    return code;
}

int cmd_server(const struct args *a)
{
    struct text path;
    if (a->word_count == 0)
        return print_servers(a);
    if (a->word_count < NUMBERS) {
        fprintf(stderr, "weir: server: expected ACTION UPSTREAM SERVER\n");
        return EXIT_USAGE;
    }
    text_init(&path);
    int code = path_write(a, &path) ? change(a, path.at) : EXIT_USAGE;
    text_release(&path);
    return code;
}
