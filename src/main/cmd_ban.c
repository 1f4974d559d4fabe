/* cmd_ban.c - `weir ban` and `weir unban`: who gets nothing for a time, and who does again. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/directive.h"
#include "main/ask.h"
#include <stdio.h>

static int list(const struct args *a)
{
    struct control_answer answer;
    int code = ask(a, "GET", "/bans", &answer);
    if (code == EXIT_OK) {
        print_out(&answer.body);
        text_release(&answer.body);
    }
    return code;
}

static bool seconds_read(const char *word, int64_t *seconds)
{
    struct diag d;
    int64_t ms = 0;
    struct conf_word w = {.text = slice_of(word)};
    diag_init(&d);
    bool good = conf_parse_value(&d, CONF_TIME, &w, &ms) && ms >= 1000;
    diag_release(&d);
    if (!good)
        fprintf(stderr, "weir: ban: '%s' is not a time such as 10m, 2h or 1d\n", word);
    *seconds = ms / 1000;
    return good;
}

static int add(const struct args *a)
{
    struct text path;
    int64_t seconds;
    if (a->word_count < 2) {
        fprintf(stderr, "weir: ban: expected an address and a time\n");
        return EXIT_USAGE;
    }
    if (!seconds_read(a->words[1], &seconds))
        return EXIT_USAGE;
    text_init(&path);
    text_addf(&path, "/ban?seconds=%lld&ip=", (long long)seconds);
    ask_add_escaped(&path, slice_of(a->words[0]));
    int code = ask_to(a, path.at, 200, "ban: ");
    text_release(&path);
    return code;
}

int cmd_ban(const struct args *a)
{
    return a->word_count == 0 ? list(a) : add(a);
}

int cmd_unban(const struct args *a)
{
    struct text path;
    bool all = a->values[OPTION_ALL] != NULL;
    if (all == (a->word_count > 0)) {
        fprintf(stderr, "weir: unban: expected an address, or --all\n");
        return EXIT_USAGE;
    }
    text_init(&path);
    text_add(&path, all ? SLICE("/unban?all=1") : SLICE("/unban?ip="));
    if (!all)
        ask_add_escaped(&path, slice_of(a->words[0]));
    int code = ask_to(a, path.at, 200, "unban: ");
    text_release(&path);
    return code;
}
