/* cmd_docs.c - docs, completion, version: what is printed from the tables alone. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "main/command.h"
#include "main/schema.h"
#include "proxy/variable.h"
#include <stdio.h>

static int print_and_release(struct text *t)
{
    print_out(t);
    text_release(t);
    return ferror(stdout) ? EXIT_FAILED : EXIT_OK;
}

static void write_reference(struct text *out)
{
    conf_write_docs(schema_all(), out);
    text_add(out, SLICE("\n"));
    variables_write_docs(out);
}

static void write_words(struct text *out)
{
    conf_write_completion(schema_all(), out);
}

int cmd_docs(const struct args *a)
{
    static const struct {
        const char *word;
        void (*write)(struct text *out);
    } kinds[] = {{"reference", write_reference}, {"man", man_write}, {"words", write_words}};
    struct slice word = a->word_count ? slice_of(a->words[0]) : SLICE("reference");
    struct text t;
    text_init(&t);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!slice_eq(word, slice_of(kinds[i].word)))
            continue;
        kinds[i].write(&t);
        return print_and_release(&t);
    }
    fprintf(stderr, "weir: docs: expected reference, man or words, not '%s'\n", a->words[0]);
    return EXIT_USAGE;
}

static void completion_command(struct text *t, const struct command *c)
{
    text_addf(t, "    %s) words=\"", c->name);
    for (int i = 0; i < OPTION_COUNT; i++)
        if ((c->options | OPTION_BIT(HELP)) & (1u << i))
            text_addf(t, "--%s ", option_rows[i].name);
    if (c->run == cmd_docs)
        text_add(t, SLICE("reference man words "));
    if (c->run == cmd_hash_password)
        text_add(t, SLICE("yescrypt bcrypt sha512 "));
    if (c->run == cmd_completion)
        text_add(t, SLICE("bash "));
    text_add(t, SLICE("\" ;;\n"));
}

static void completion_bash(struct text *t)
{
    text_add(t, SLICE("# bash completion for weir\n"
                      "_weir()\n{\n"
                      "    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
                      "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\""));
    for (const struct command *c = commands_all; c->name; c++)
        text_addf(t, "%s ", c->name);
    text_add(t, SLICE("--help\"\n        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                      "        return\n    fi\n"
                      "    case ${COMP_WORDS[1]} in\n"));
    for (const struct command *c = commands_all; c->name; c++)
        completion_command(t, c);
    text_add(t, SLICE("    esac\n"
                      "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                      "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$word\"))\n"
                      "}\n"
                      "complete -o filenames -F _weir weir\n"));
}

int cmd_completion(const struct args *a)
{
    struct text t;
    if (!slice_eq(slice_of(a->words[0]), SLICE("bash"))) {
        fprintf(stderr, "weir: completion: there is none for '%s'; only bash\n", a->words[0]);
        return EXIT_USAGE;
    }
    text_init(&t);
    completion_bash(&t);
    return print_and_release(&t);
}

int cmd_version(const struct args *a)
{
    (void)a;
    printf("weir %s\n", WEIR_VERSION);
    return EXIT_OK;
}
