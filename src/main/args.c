/* args.c - option rows and the reading of a command line.
 *
 * Options may stand before or after the words ("--name VALUE", "--name=VALUE", "-c VALUE"); "--"
 * ends them. Nothing is global: the result is a struct args. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "main/command.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const struct option_row option_rows[OPTION_COUNT] = {
    [OPTION_CONFIG] = {'c', "config", "FILE",
                       "the configuration; " CONFIG_PATH_DEFAULT " without it"},
    [OPTION_LISTEN] = {'l', "listen", "ADDRESS", "where to listen; 127.0.0.1:8080 without it"},
    [OPTION_METHOD] = {'X', "method", "METHOD", "the request's method; GET without it"},
    [OPTION_HEADER] = {'H', "header", "'NAME: VALUE'", "a header field; may be given again"},
    [OPTION_FROM] = {0, "from", "IP", "the client's address; 127.0.0.1 without it"},
    [OPTION_WRITE] = {'w', "write", NULL, "writes the file instead of printing it"},
    [OPTION_CHECK] = {0, "check", NULL, "only tells whether the layout is canonical (exit 0 or 1)"},
    [OPTION_JSON] = {0, "json", NULL, "prints the JSON of /status as it is"},
    [OPTION_DIR] = {0, "dir", "DIR",
                    "the local CA's directory; without it $WEIR_CA_DIR, else "
                    "/var/lib/weir/ca (root) or ~/.local/share/weir/ca"},
    [OPTION_REMOVE] = {0, "remove", NULL, "takes it out again"},
    [OPTION_PREFIX] = {0, "prefix", "URL", "everything whose URL begins so"},
    [OPTION_TAG] = {0, "tag", "TAG", "everything that has this tag (Surrogate-Key, Cache-Tag)"},
    [OPTION_ALL] = {0, "all", NULL, "everything"},
    [OPTION_SOFT] = {0, "soft", NULL, "only out of date: it is validated when it is asked for"},
    [OPTION_HELP] = {'h', "help", NULL, "prints help"},
};

static int option_find_name(struct slice name)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (slice_eq(slice_of(option_rows[i].name), name))
            return i;
    return -1;
}

static int option_find_letter(char letter)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (option_rows[i].letter == letter && letter != 0)
            return i;
    return -1;
}

static void say_unknown(const struct command *c, const char *word, struct text *why)
{
    struct slice name = slice_of(word + strspn(word, "-"));
    int best = -1;
    size_t best_distance = 3;
    text_addf(why, "%s: unknown option '%s'", c->name, word);
    for (int i = 0; i < OPTION_COUNT; i++) {
        size_t d = text_distance(name, slice_of(option_rows[i].name));
        if ((c->options & (1u << i)) && d < best_distance) {
            best = i;
            best_distance = d;
        }
    }
    if (best >= 0)
        text_addf(why, "; did you mean '--%s'?", option_rows[best].name);
}

static bool option_store(int option, const char *value, struct args *out, struct text *why)
{
    out->values[option] = value;
    if (option != OPTION_HEADER)
        return true;
    if (out->header_count == ARGS_HEADERS_MAX) {
        text_addf(why, "more than %d header fields", ARGS_HEADERS_MAX);
        return false;
    }
    out->headers[out->header_count++] = slice_of(value);
    return true;
}

/* The option of a word that begins with a dash; *value: what follows '=', or NULL. */
static int option_of(const char *word, const char **value)
{
    *value = NULL;
    if (word[1] != '-')
        return word[2] == '\0' ? option_find_letter(word[1]) : -1;
    struct slice rest = slice_of(word + 2), name;
    slice_cut(&rest, '=', &name);
    *value = rest.at;
    return option_find_name(name);
}

/* Reads the option at argv[*i], and its value, which may be the next word. */
static bool option_read(const struct command *c, int argc, char *const *argv, int *i,
                        struct args *out, struct text *why)
{
    const char *word = argv[*i], *value;
    int option = option_of(word, &value);
    if (option < 0 || !((c->options | OPTION_BIT(HELP)) & (1u << option))) {
        say_unknown(c, word, why);
        return false;
    }
    if (option_rows[option].value == NULL) {
        if (value)
            text_addf(why, "%s: '--%s' takes no value", c->name, option_rows[option].name);
        return value ? false : option_store(option, "", out, why);
    }
    if (!value && *i + 1 < argc)
        value = argv[++*i];
    if (!value) {
        text_addf(why, "%s: '%s' wants %s", c->name, word, option_rows[option].value);
        return false;
    }
    return option_store(option, value, out, why);
}

static bool word_store(const struct command *c, const char *word, struct args *out,
                       struct text *why)
{
    if (out->word_count == c->words_max || out->word_count == ARGS_WORDS_MAX) {
        text_addf(why, "%s: '%s' is one word too many", c->name, word);
        return false;
    }
    out->words[out->word_count++] = word;
    return true;
}

bool args_parse(const struct command *c, int argc, char *const *argv, struct args *out,
                struct text *why)
{
    bool options = true;
    *out = (struct args){0};
    for (int i = 0; i < argc; i++) {
        bool ok = true;
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && argv[i][0] == '-' && argv[i][1] != '\0')
            ok = option_read(c, argc, argv, &i, out, why);
        else
            ok = word_store(c, argv[i], out, why);
        if (!ok)
            return false;
    }
    if (out->word_count < c->words_min && !out->values[OPTION_HELP]) {
        text_addf(why, "%s: expected %s", c->name, c->usage);
        return false;
    }
    return true;
}

const char *args_config(const struct args *a)
{
    return a->values[OPTION_CONFIG] ? a->values[OPTION_CONFIG] : CONFIG_PATH_DEFAULT;
}

bool color_on(int fd)
{
    const char *no = getenv("NO_COLOR"); /* https://no-color.org: any value but "" */
    return isatty(fd) && (!no || !*no);
}

void print_out(const struct text *t)
{
    fwrite(t->at ? t->at : "", 1, t->len, stdout);
    fflush(stdout);
}

void print_err(const struct text *t)
{
    fwrite(t->at ? t->at : "", 1, t->len, stderr);
}
