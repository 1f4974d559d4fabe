/* main.c - the command word, and the way to its function. Everything else is in cmd_*.c. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "main/command.h"
#include "main/process.h"
#include "main/spawn.h"
#include "tls/tls_mem.h"
#include <stdio.h>

static int usage_error(const struct text *why)
{
    fprintf(stderr, "weir: %.*s\n", (int)why->len, why->at);
    fprintf(stderr, "'weir --help' lists the commands.\n");
    return EXIT_USAGE;
}

static int unknown_word(const char *word, struct text *t)
{
    const struct command *near = command_nearest(slice_of(word));
    text_addf(t, "unknown command '%s'", word);
    if (near)
        text_addf(t, "; did you mean '%s'?", near->name);
    return usage_error(t);
}

static int run_command(const struct command *c, int argc, char **argv, struct text *t)
{
    struct args args;
    if (!args_parse(c, argc, argv, &args, t))
        return usage_error(t);
    args.argv = argv - 2;
    if (!args.values[OPTION_HELP])
        return c->run(&args);
    help_write_command(c, t);
    print_out(t);
    return EXIT_OK;
}

/* `weir`, `weir --help`, `weir help [WORD]`. */
static int help(int argc, char **argv, struct text *t)
{
    const struct command *c = argc > 0 ? command_find(slice_of(argv[0])) : NULL;
    if (argc > 0 && !c)
        return unknown_word(argv[0], t);
    if (c)
        help_write_command(c, t);
    else
        help_write(t);
    print_out(t);
    return EXIT_OK;
}

static int dispatch(int argc, char **argv, struct text *t)
{
    if (argc < 2) {
        help_write(t);
        print_err(t);
        return EXIT_USAGE;
    }
    struct slice word = slice_of(argv[1]);
    if (slice_eq(word, SLICE(SPAWN_WORKER_WORD)))
        return process_run();
    if (slice_eq(word, SLICE("--help")) || slice_eq(word, SLICE("-h")) ||
        slice_eq(word, SLICE("help")))
        return help(argc - 2, argv + 2, t);
    if (slice_eq(word, SLICE("--version")) || slice_eq(word, SLICE("-V")))
        word = SLICE("version");
    const struct command *c = command_find(word);
    return c ? run_command(c, argc - 2, argv + 2, t) : unknown_word(argv[1], t);
}

int main(int argc, char **argv)
{
    struct text t;
    tls_mem_init(); /* nothing has used OpenSSL yet; without it, it is only slower */
    text_init(&t);
    int code = dispatch(argc, argv, &t);
    text_release(&t);
    return code;
}
