/* directive.h - one row per directive: the row parses it, checks it and documents it.
 *
 * A module publishes a table of rows that ends in {0}. Nothing else anywhere names the directive:
 * parser, range check, default, context check, reference manual, shell completion and the generic
 * row tests all walk the rows. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/tree.h"
#include <stddef.h>
#include <stdint.h>

/* The blocks in which a directive may stand, as bits. */
enum conf_where {
    IN_TOP = 1,
    IN_SITE = 2,
    IN_ROUTE = 4,
    IN_WHEN = 8,
    IN_UPSTREAM = 16,
    IN_PROXY = 32, /* block of a proxy directive: an upstream without a name */
    IN_TEST = 64,
    IN_LISTEN = 128,
    IN_OPTIONS = 256, /* rows of an options table: key=value, or key value in the block */
    IN_CHECK = 512,
    IN_FASTCGI = 1024, /* block of a fastcgi directive, beside IN_PROXY */
    IN_CACHE = 2048,
    IN_AUTH = 4096, /* what a route demands of who asks: in auth, any and all */
    IN_RELAY = 8192,
    IN_ADMIN = 16384,
    IN_AUTH_BASIC = 32768,
    IN_AUTH_FORWARD = 65536,
    IN_POLICY = IN_SITE | IN_ROUTE | IN_WHEN,
    IN_SERVERS = IN_UPSTREAM | IN_PROXY,
};

/* What the one value of a row is, and the C type of the field at `offset`. */
enum conf_type {
    CONF_NONE,    /* no field: apply() reads the words */
    CONF_FLAG,    /* bool: on, off */
    CONF_MARK,    /* bool: the bare word is there */
    CONF_COUNT,   /* int64_t */
    CONF_SIZE,    /* int64_t bytes: 10k 1M 1G */
    CONF_TIME,    /* int64_t ms: 100ms 5s 10m 2h 1d */
    CONF_RATE,    /* int64_t per second times 1000: 10r/s 600r/m; sizes: 1M/s */
    CONF_PERCENT, /* int64_t hundredths of a percent: 20% */
    CONF_CHOICE,  /* int64_t: value of the chosen word */
    CONF_STRING,  /* struct slice */
};

enum { CONF_OFF = -1 }; /* what "off" stores where a row allows it */

struct conf_choice {
    const char *word;
    int64_t value;
    const char *text;
};

struct conf_build;
struct conf_place;
struct conf_source;
typedef void conf_apply_fn(struct conf_build *b, void *scope, const struct conf_node *n);

struct directive {
    const char *name;
    unsigned where; /* enum conf_where bits */
    uint8_t type;   /* enum conf_type */
    bool off_ok;    /* also takes "off" (stores CONF_OFF) */
    bool repeat;    /* may stand several times in one block */
    bool block_due; /* its block may not be left out */
    bool inlines;   /* `a b c` is `a { b c }`: a single line of its block may stand on its own */
    bool adds;      /* policies: a nearer one never overrides, all are in force */
    uint8_t args_min, args_max; /* positional words; 255: any number. 0, 0 with a typed row: 1 */
    uint8_t key_args; /* policies: this many leading args tell which one a nearer block overrides */
    /* Its positional words from this one on (1, or true: the first) are secret; of an option: its
     * value. /config, explain and messages show *** for them (conf/secrets.h). 0: none. */
    uint8_t secret;
    unsigned opens;   /* enum conf_where of its block; 0: no block (unless it has options) */
    size_t offset;    /* of the field in the scope's struct */
    int64_t min, max; /* numbers, in the field's unit */
    const char *def;  /* default, as a user would write it; NULL: none */
    const struct conf_choice *choices; /* CONF_CHOICE; ends in {0} */
    const struct directive *options;   /* rows with IN_OPTIONS; ends in {0} */
    conf_apply_fn *apply;
    const char *usage;   /* the words after the name: "ADDRESS [weight=N] [backup]" */
    const char *text;    /* Markdown, what it does and why one would change it */
    const char *example; /* a line or block that must pass conf_check() in its place; may be NULL */
};

struct conf_table {
    const char *module; /* heading in the reference */
    const struct directive *rows;
};

/* include, define and use: conf_read() carries them out, the rows only describe them. */
extern const struct directive conf_core_rows[];

struct conf_schema {
    const struct conf_table *tables;
    size_t count;
};

/* Gives every node its row; refuses unknown words (nearest is offered), words in the wrong place,
 * wrong numbers of words, blocks where none is due, repeated directives and options, and values of
 * typed rows and options that do not parse. */
void conf_check(const struct conf_schema *s, struct conf_tree *t, struct diag *d);

const struct directive *conf_row_find(const struct conf_schema *s, unsigned where,
                                      struct slice name);

/* Parses a word for a row. False with the error in `d`. */
bool conf_set(struct diag *d, const struct directive *row, const struct conf_word *w, void *scope);
/* Sets the fields of all rows that have a default. */
void conf_defaults(const struct directive *rows, unsigned where, void *scope);

/* What builders work with. */
struct conf_build {
    struct arena *arena; /* the snapshot's */
    struct diag *diag;
    const struct conf_schema *schema;
    void *app;                        /* the wiring's own context */
    const struct conf_source *source; /* of files that directives name; NULL: the system */
    struct conf_place **places; /* where the process will open files (places.h); NULL: never */
};

/* Options of a checked node into the struct that their rows describe, defaults first. */
void conf_options(struct conf_build *b, const struct conf_node *n, void *scope);
/* Applies one node to its scope: apply(), or the typed field. */
void conf_apply(struct conf_build *b, void *scope, const struct conf_node *n);
/* Applies every child of `block`. */
void conf_apply_block(struct conf_build *b, void *scope, const struct conf_node *block);

/* The parts of a number word, for apply() functions: "10m" for a CONF_TIME row and so on. */
bool conf_parse_value(struct diag *d, enum conf_type type, const struct conf_word *w, int64_t *out);

/* Reference manual as Markdown, shell completion, and the list of words. */
void conf_write_docs(const struct conf_schema *s, struct text *out);
void conf_write_completion(const struct conf_schema *s, struct text *out); /* words, one a line */
