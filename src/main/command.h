/* command.h - what `weir WORD` is: one row per command, one row per option.
 *
 * Parsing, help, completion and the man page are loops over these rows. A file cmd_*.c holds the
 * commands of one kind. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct text;

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CONFIG = 3,
    EXIT_NOT_RUNNING = 4,
};

enum option {
    OPTION_CONFIG,
    OPTION_LISTEN,
    OPTION_METHOD,
    OPTION_HEADER,
    OPTION_FROM,
    OPTION_WRITE,
    OPTION_CHECK,
    OPTION_JSON,
    OPTION_DIR,
    OPTION_REMOVE,
    OPTION_PREFIX,
    OPTION_TAG,
    OPTION_ALL,
    OPTION_SOFT,
    OPTION_HELP,
    OPTION_COUNT
};

struct option_row {
    char letter;       /* 0: none */
    const char *name;  /* without the dashes */
    const char *value; /* what it takes; NULL: nothing */
    const char *text;
};

extern const struct option_row option_rows[OPTION_COUNT];

enum { ARGS_WORDS_MAX = 64, ARGS_HEADERS_MAX = 64 };

struct args {
    const char *values[OPTION_COUNT]; /* NULL: not given; "" for those without value */
    struct slice headers[ARGS_HEADERS_MAX];
    uint32_t header_count;
    const char *words[ARGS_WORDS_MAX];
    uint32_t word_count;
    char *const *argv; /* the whole command line */
};

#define OPTION_BIT(name) (1u << OPTION_##name)

struct command {
    const char *name;
    const char *usage;   /* the words after the name */
    const char *summary; /* one line */
    const char *text;    /* more, for --help and the man page; may be NULL */
    unsigned options;    /* OPTION_BIT()s; --help is always one */
    uint32_t words_min, words_max;
    int (*run)(const struct args *a); /* enum exit_code */
};

extern const struct command commands_all[]; /* in the order of the help; ends in {0} */

const struct command *command_find(struct slice name);
/* The command whose name is nearest; NULL when none is near. */
const struct command *command_nearest(struct slice word);

/* Reads what follows the command word. False with the reason in *why (to be released). */
bool args_parse(const struct command *c, int argc, char *const *argv, struct args *out,
                struct text *why);

#define CONFIG_PATH_DEFAULT "/etc/weir/weir.conf"
const char *args_config(const struct args *a);

/* May stderr (stdout) be coloured: a terminal, and NO_COLOR is not set. */
bool color_on(int fd);
void print_out(const struct text *t); /* to stdout */
void print_err(const struct text *t); /* to stderr */

/* The commands, by file. */
int cmd_run(const struct args *a); /* cmd_run.c */
int cmd_proxy(const struct args *a);
int cmd_demo(const struct args *a);
int cmd_check(const struct args *a); /* cmd_check.c */
int cmd_explain(const struct args *a);
int cmd_fmt(const struct args *a);
int cmd_reload(const struct args *a); /* cmd_control.c */
int cmd_stop(const struct args *a);
int cmd_upgrade(const struct args *a);
int cmd_status(const struct args *a);
int cmd_purge(const struct args *a);
int cmd_server(const struct args *a); /* cmd_server.c */
int cmd_ban(const struct args *a);    /* cmd_ban.c */
int cmd_unban(const struct args *a);
int cmd_hash_password(const struct args *a); /* cmd_secrets.c */
int cmd_new_key(const struct args *a);
int cmd_trust(const struct args *a); /* cmd_trust.c */
int cmd_docs(const struct args *a);  /* cmd_docs.c */
int cmd_completion(const struct args *a);
int cmd_version(const struct args *a);

void help_write(struct text *out);                                  /* `weir --help` */
void help_write_command(const struct command *c, struct text *out); /* `weir WORD --help` */
void man_write(struct text *out);
