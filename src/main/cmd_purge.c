/* cmd_purge.c - `weir purge`: makes the running weir forget stored responses. It counts from the
 * moment the order is accepted; the command waits until what was forgotten is out of memory, to
 * tell how much that was. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "main/ask.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PURGED_POLLS = 2000 };

static const struct {
    enum option option;
    const char *parameter;
} KINDS[] = {{OPTION_PREFIX, "prefix"}, {OPTION_TAG, "tag"}};

static unsigned add_parameter(struct text *path, const char *name, const char *value)
{
    if (!value)
        return 0;
    text_addf(path, "&%s=", name);
    ask_add_escaped(path, slice_of(value));
    return 1;
}

static bool path_write(const struct args *a, struct text *path)
{
    unsigned kinds = add_parameter(path, "url", a->word_count > 0 ? a->words[0] : NULL);
    for (size_t i = 0; i < COUNT_OF(KINDS); i++)
        kinds += add_parameter(path, KINDS[i].parameter, a->values[KINDS[i].option]);
    kinds += add_parameter(path, "all", a->values[OPTION_ALL] ? "1" : NULL);
    if (a->values[OPTION_SOFT])
        text_add(path, SLICE("&soft=1"));
    if (kinds == 1)
        return true;
    fprintf(stderr, "weir: purge: expected a URL, --prefix URL, --tag TAG, or --all\n");
    return false;
}

/* The number of what was forgotten, once everything is out. */
static int wait_purged(const struct args *a, struct slice id)
{
    struct timespec pause = {.tv_nsec = 5 * 1000000};
    struct control_answer answer;
    char path[64];
    snprintf(path, sizeof path, "/cache/purged?id=%.*s", (int)strcspn(id.at, "\n"), id.at);
    for (int i = 0; i < PURGED_POLLS; i++) {
        int code = ask(a, "POST", path, &answer);
        if (code != EXIT_OK)
            return code;
        bool over = answer.status != 202;
        if (over)
            printf("%.*s responses forgotten\n", (int)strcspn(answer.body.at, "\n"),
                   answer.body.at);
        text_release(&answer.body);
        if (over)
            return EXIT_OK;
        nanosleep(&pause, NULL);
    }
    printf("forgotten; memory is still being cleared\n");
    return EXIT_OK;
}

static int purge(const struct args *a, const char *path)
{
    struct control_answer answer;
    int code = ask_patiently(a, path, &answer);
    if (code != EXIT_OK)
        return code;
    if (answer.status == 200) {
        code = wait_purged(a, text_slice(&answer.body));
    } else {
        fprintf(stderr, "weir: purge: ");
        print_err(&answer.body);
        code = EXIT_FAILED;
    }
    text_release(&answer.body);
    return code;
}

int cmd_purge(const struct args *a)
{
    struct text path;
    text_init(&path);
    text_add(&path, SLICE("/cache/purge?do=1"));
    int code = path_write(a, &path) ? purge(a, path.at) : EXIT_USAGE;
    text_release(&path);
    return code;
}
