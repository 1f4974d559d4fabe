/* ask.c - how the commands reach the weir that runs a configuration: over its control socket. */
// SPDX-License-Identifier: Apache-2.0
#include "main/ask.h"
#include "main/status_text.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { INSTALL_POLLS = 2000, BUSY_TRIES = 500 };

int ask_find(const struct args *a, struct addr *out)
{
    struct text why;
    text_init(&why);
    bool ok = control_address(args_config(a), out, &why);
    if (!ok)
        fprintf(stderr, "weir: %.*s\n", (int)why.len, why.at);
    text_release(&why);
    return ok ? EXIT_OK : EXIT_FAILED;
}

static int say_failed(const struct args *a, enum err e)
{
    if (e == ERR_CONNECT_REFUSED) {
        fprintf(stderr, "weir: no weir runs with %s\n", args_config(a));
        return EXIT_NOT_RUNNING;
    }
    fprintf(stderr, "weir: control socket: %s\n", strerror(errno));
    return EXIT_FAILED;
}

void ask_add_escaped(struct text *path, struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        text_addf(path, plain ? "%c" : "%%%02X", (unsigned char)c);
    }
}

int ask(const struct args *a, const char *method, const char *path, struct control_answer *out)
{
    struct addr addr;
    int code = ask_find(a, &addr);
    if (code != EXIT_OK)
        return code;
    enum err e = control_request(&addr, method, path, out);
    return e == ERR_OK ? EXIT_OK : say_failed(a, e);
}

int ask_patiently(const struct args *a, const char *path, struct control_answer *out)
{
    struct timespec pause = {.tv_nsec = 10 * 1000000};
    int code = ask(a, "POST", path, out);
    for (int i = 0; i < BUSY_TRIES && code == EXIT_OK && out->status == 409; i++) {
        text_release(&out->body);
        nanosleep(&pause, NULL);
        code = ask(a, "POST", path, out);
    }
    return code;
}

int ask_to(const struct args *a, const char *path, int due, const char *refused)
{
    struct control_answer answer;
    int code = ask_patiently(a, path, &answer);
    if (code != EXIT_OK)
        return code;
    if (answer.status != due) {
        fprintf(stderr, "weir: %s", refused);
        print_err(&answer.body);
        code = EXIT_FAILED;
    }
    text_release(&answer.body);
    return code;
}

void ask_until_installed(const struct args *a)
{
    struct timespec pause = {.tv_nsec = 5 * 1000000};
    struct control_answer answer;
    for (int i = 0; i < INSTALL_POLLS; i++) {
        if (ask(a, "GET", "/status", &answer) != EXIT_OK)
            return;
        bool installing = status_installing(text_slice(&answer.body));
        text_release(&answer.body);
        if (!installing)
            return;
        nanosleep(&pause, NULL);
    }
}
