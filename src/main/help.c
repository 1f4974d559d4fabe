/* help.c - help, manual page and shell completion, all written from the rows. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "main/command.h"

static const struct {
    enum exit_code code;
    const char *text;
} exit_rows[] = {
    {EXIT_OK, "done"},
    {EXIT_FAILED, "failed; the message says why"},
    {EXIT_USAGE, "the command line is wrong"},
    {EXIT_CONFIG, "the configuration is not valid"},
    {EXIT_NOT_RUNNING, "no weir runs with this configuration"},
};
enum { EXIT_ROWS = sizeof exit_rows / sizeof *exit_rows };

void help_write(struct text *out)
{
    text_addf(out, "weir %s - a reverse proxy\n\nUsage: weir COMMAND\n\n", WEIR_VERSION);
    for (const struct command *c = commands_all; c->name; c++) {
        int used = (int)strlen(c->name) + 1 + (int)strlen(c->usage);
        text_addf(out, "  %s %s%*s  %s\n", c->name, c->usage, used < 30 ? 30 - used : 0, "",
                  c->summary);
    }
    text_addf(out, "\n'weir COMMAND --help' tells more. Exit codes:\n");
    for (int i = 0; i < EXIT_ROWS; i++)
        text_addf(out, "  %d  %s\n", exit_rows[i].code, exit_rows[i].text);
}

/* Breaks `words` into lines of at most 78 columns. */
static void add_wrapped(struct text *out, const char *words)
{
    struct slice rest = slice_of(words), word;
    size_t col = 0;
    while (slice_cut(&rest, ' ', &word)) {
        if (col > 0 && col + 1 + word.len > 78) {
            text_add(out, SLICE("\n"));
            col = 0;
        }
        text_addf(out, "%s%.*s", col > 0 ? " " : "", SLICE_ARG(word));
        col += word.len + (col > 0);
    }
    text_add(out, SLICE("\n"));
}

static void add_option(struct text *out, const struct option_row *o)
{
    char left[64];
    size_t len = 0;
    struct text t;
    text_init(&t);
    if (o->letter)
        text_addf(&t, "-%c, ", o->letter);
    text_addf(&t, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    len = t.len < sizeof left ? t.len : sizeof left;
    text_addf(out, "  %.*s%*s  %s\n", (int)t.len, t.at, len < 26 ? 26 - (int)len : 0, "", o->text);
    text_release(&t);
}

void help_write_command(const struct command *c, struct text *out)
{
    text_addf(out, "Usage: weir %s %s\n\n%s\n", c->name, c->usage, c->summary);
    if (c->text) {
        text_add(out, SLICE("\n"));
        add_wrapped(out, c->text);
    }
    text_add(out, SLICE("\n"));
    for (int i = 0; i < OPTION_COUNT; i++)
        if ((c->options | OPTION_BIT(HELP)) & (1u << i))
            add_option(out, &option_rows[i]);
}

/* roff: a backslash and a dash at the start of a line would be read as requests or hyphens. */
static void add_roff(struct text *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '-' || *s == '\\')
            text_add(out, SLICE("\\"));
        if (*s == '\\')
            text_add(out, SLICE("e"));
        else if (*s != '`')
            text_add(out, (struct slice){s, 1});
    }
}

static void man_options(struct text *out, const struct command *c)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *o = &option_rows[i];
        if (!(c->options & (1u << i)))
            continue;
        text_addf(out, ".RS\n.TP\n.B ");
        if (o->letter)
            text_addf(out, "\\-%c, ", o->letter);
        text_addf(out, "\\-\\-%s %s\n", o->name, o->value ? o->value : "");
        add_roff(out, o->text);
        text_add(out, SLICE("\n.RE\n"));
    }
}

static void man_command(struct text *out, const struct command *c)
{
    text_addf(out, ".TP\n.B %s ", c->name);
    add_roff(out, c->usage);
    text_add(out, SLICE("\n"));
    add_roff(out, c->summary);
    text_add(out, SLICE(".\n"));
    if (c->text) {
        add_roff(out, c->text);
        text_add(out, SLICE("\n"));
    }
    man_options(out, c);
}

void man_write(struct text *out)
{
    text_addf(out, ".TH WEIR 8 \"\" \"weir %s\"\n", WEIR_VERSION);
    text_add(out, SLICE(".SH NAME\nweir \\- a reverse proxy\n"
                        ".SH SYNOPSIS\n.B weir\n.I COMMAND\n.RI [ OPTIONS ]\n.SH COMMANDS\n"));
    for (const struct command *c = commands_all; c->name; c++)
        man_command(out, c);
    text_add(out, SLICE(".SH EXIT STATUS\n"));
    for (int i = 0; i < EXIT_ROWS; i++)
        text_addf(out, ".TP\n.B %d\n%s\n", exit_rows[i].code, exit_rows[i].text);
    text_add(out, SLICE(".SH SIGNALS\n"
                        ".TP\n.B SIGHUP\ninstalls the changed configuration\n"
                        ".TP\n.B SIGUSR1\nopens the log files anew\n"
                        ".TP\n.B SIGTERM, SIGINT, SIGQUIT\nstops gracefully; a second SIGINT ends "
                        "weir at once\n"
                        ".SH FILES\n.I " CONFIG_PATH_DEFAULT "\n"));
}
