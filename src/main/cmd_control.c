/* cmd_control.c - reload, stop, upgrade, status: what talks to the weir that is running. */
// SPDX-License-Identifier: Apache-2.0
#include "main/ask.h"
#include "main/status_text.h"
#include <stdio.h>
#include <time.h>

enum { STOP_POLL_MS = 50, UPGRADE_POLLS = 3500, UPGRADE_ANSWERS = 5 };

int cmd_reload(const struct args *a)
{
    struct control_answer answer;
    int code = ask_patiently(a, "/reload", &answer);
    if (code != EXIT_OK)
        return code;
    print_err(&answer.body); /* errors, or warnings */
    text_release(&answer.body);
    if (answer.status == 200) {
        ask_until_installed(a);
        printf("the configuration is in force\n");
        return EXIT_OK;
    }
    fprintf(stderr, "weir: reload refused; the old configuration stays in force\n");
    return answer.status == 422 ? EXIT_CONFIG : EXIT_FAILED;
}

/* The control socket goes last, so when nobody answers there weir has stopped. */
static void wait_until_gone(const struct addr *addr)
{
    struct timespec pause = {.tv_nsec = STOP_POLL_MS * 1000000};
    while (control_alive(addr))
        nanosleep(&pause, NULL);
}

int cmd_stop(const struct args *a)
{
    struct control_answer answer;
    struct addr addr;
    int code = ask_find(a, &addr);
    if (code == EXIT_OK)
        code = ask(a, "POST", "/stop", &answer);
    if (code != EXIT_OK)
        return code;
    text_release(&answer.body);
    if (answer.status != 200) {
        fprintf(stderr, "weir: stop was refused with status %d\n", answer.status);
        return EXIT_FAILED;
    }
    wait_until_gone(&addr);
    printf("stopped\n");
    return EXIT_OK;
}

/* What came of it: EXIT_OK when another supervisor than `before` answers. The old one stops doing
 * so a moment after the new one began, hence several times. */
static int upgrade_result(const struct args *a, int64_t before, struct text *why)
{
    struct timespec pause = {.tv_nsec = 20 * 1000000};
    for (int i = 0, answers = 0; i < UPGRADE_POLLS; i++) {
        struct control_answer answer;
        if (ask(a, "GET", "/status", &answer) != EXIT_OK)
            return EXIT_FAILED;
        struct status_upgrade s = {0};
        bool known = status_upgrade_read(text_slice(&answer.body), &s, why);
        text_release(&answer.body);
        answers = known && s.supervisor_pid != before ? answers + 1 : 0;
        if (answers == UPGRADE_ANSWERS)
            return EXIT_OK;
        if (known && s.failed)
            return EXIT_FAILED;
        nanosleep(&pause, NULL);
    }
    text_add(why, SLICE("no answer yet; see 'weir status'"));
    return EXIT_FAILED;
}

static int upgrade_wait(const struct args *a, int64_t before)
{
    struct text why;
    text_init(&why);
    int code = upgrade_result(a, before, &why);
    if (code == EXIT_OK)
        printf("the new binary has taken over\n");
    else
        fprintf(stderr, "weir: upgrade failed, the old binary goes on: %s\n",
                why.len ? why.at : "no answer");
    text_release(&why);
    return code;
}

int cmd_upgrade(const struct args *a)
{
    struct control_answer answer;
    struct status_upgrade s = {0};
    struct text none;
    int code = ask(a, "GET", "/status", &answer);
    if (code != EXIT_OK)
        return code;
    text_init(&none);
    (void)status_upgrade_read(text_slice(&answer.body), &s, &none);
    text_release(&none);
    text_release(&answer.body);
    code = ask_to(a, "/upgrade", 202, "upgrade was refused: ");
    return code == EXIT_OK ? upgrade_wait(a, s.supervisor_pid) : code;
}

int cmd_status(const struct args *a)
{
    struct control_answer answer;
    struct text t;
    int code = ask(a, "GET", "/status", &answer);
    if (code != EXIT_OK)
        return code;
    text_init(&t);
    if (a->values[OPTION_JSON])
        text_add(&t, text_slice(&answer.body));
    else if (!status_text_write(text_slice(&answer.body), &t))
        code = EXIT_FAILED;
    print_out(&t);
    if (code != EXIT_OK)
        fprintf(stderr, "weir: the answer of the running weir is not understood\n");
    text_release(&t);
    text_release(&answer.body);
    return code;
}
