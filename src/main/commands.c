/* commands.c - the table of commands. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "main/command.h"

const struct command commands_all[] = {
    {"run", "[-c FILE]", "runs weir in the foreground",
     "Reads the configuration, opens its listeners and serves until SIGTERM, SIGINT or `weir "
     "stop`. SIGHUP or `weir reload` installs a changed file, SIGUSR1 opens the log files anew, "
     "SIGUSR2 or `weir upgrade` lets a new binary take over. A second SIGINT ends weir at once. "
     "This process only holds the addresses; a worker process that it keeps alive does the rest.",
     OPTION_BIT(CONFIG), 0, 0, cmd_run},
    {"check", "[-c FILE]", "checks a configuration and runs its tests",
     "Prints every error with its place, or what the file holds. Nothing is opened and nothing "
     "that runs is touched.",
     OPTION_BIT(CONFIG), 0, 1, cmd_check},
    {"reload", "[-c FILE]", "lets the running weir read its configuration again",
     "A file with errors changes nothing: they are printed and weir goes on with the old one.",
     OPTION_BIT(CONFIG), 0, 0, cmd_reload},
    {"stop", "[-c FILE]", "stops the running weir gracefully and waits for it",
     "Requests in flight are finished first, for at most `stop_timeout`.", OPTION_BIT(CONFIG), 0, 0,
     cmd_stop},
    {"upgrade", "[-c FILE]", "lets the binary that is installed now take over",
     "The new binary gets the open addresses and reads the configuration. When it serves, the old "
     "one finishes what it has, for at most `stop_timeout`, and ends. When it cannot, the reason "
     "is "
     "printed and nothing has changed.",
     OPTION_BIT(CONFIG), 0, 0, cmd_upgrade},
    {"status", "[-c FILE]", "tells what the running weir does", NULL,
     OPTION_BIT(CONFIG) | OPTION_BIT(JSON), 0, 0, cmd_status},
    {"server", "[ACTION UPSTREAM SERVER [weight=N] [max_conns=N]] [-c FILE]",
     "shows the servers of the running weir, or changes one",
     "ACTION is `add` (a server that the configuration does not have), `remove`, `set` (its "
     "weight=N, max_conns=N), `drain` (only requests of its sticky sessions, no new ones), "
     "`disable`, `enable`, or `reset` (as the configuration has it). What is under way always "
     "ends in peace. A change holds until it is reset, over reloads, crashes and upgrades; the "
     "configuration's files are not touched, nor read. UPSTREAM is its name, or what stands "
     "behind `proxy`.",
     OPTION_BIT(CONFIG), 0, 5, cmd_server},
    {"purge", "URL | --prefix URL | --tag TAG | --all [--soft] [-c FILE]",
     "makes the running weir forget stored responses",
     "A URL is given with its scheme and host, as clients see it. Nobody gets what was forgotten "
     "from the moment on in which the command begins to wait.",
     OPTION_BIT(CONFIG) | OPTION_BIT(PREFIX) | OPTION_BIT(TAG) | OPTION_BIT(ALL) | OPTION_BIT(SOFT),
     0, 1, cmd_purge},
    {"ban", "[IP TIME] [-c FILE]", "lists who is banned, or bans an address",
     "Its requests are answered with 403 and its connections closed at once, on every site, for "
     "the time. Of an IPv6 address its /64 is banned. The list outlives reloads, not restarts.",
     OPTION_BIT(CONFIG), 0, 2, cmd_ban},
    {"unban", "IP | --all [-c FILE]", "lifts bans", NULL, OPTION_BIT(CONFIG) | OPTION_BIT(ALL), 0,
     1, cmd_unban},
    {"explain", "URL [-c FILE]", "tells what would happen to a request, with file and line",
     "Decides as the running weir would: listener, site, route, every policy in its order, where "
     "the request goes. Nothing is sent.",
     OPTION_BIT(CONFIG) | OPTION_BIT(METHOD) | OPTION_BIT(HEADER) | OPTION_BIT(FROM), 1, 1,
     cmd_explain},
    {"fmt", "FILE", "prints a configuration in canonical layout",
     "Comments stay. FILE may be - for standard input.", OPTION_BIT(WRITE) | OPTION_BIT(CHECK), 1,
     1, cmd_fmt},
    {"proxy", "TARGET...", "runs a proxy without a configuration file",
     "Each TARGET is a server such as localhost:3000 or unix:/run/app; several share the requests.",
     OPTION_BIT(LISTEN), 1, ARGS_WORDS_MAX, cmd_proxy},
    {"demo", "", "runs a demonstration with servers of its own",
     "Four requests to try are printed.", OPTION_BIT(LISTEN), 0, 0, cmd_demo},
    {"hash-password", "[yescrypt|bcrypt|sha512]", "prints the hash of a password, for auth basic",
     "The password is read from standard input, or asked for twice on a terminal. A line "
     "`NAME:HASH` of a file, or `user NAME HASH` in the configuration, lets its owner in. yescrypt "
     "is what is made without a word; bcrypt is what other servers know, too.",
     0, 0, 1, cmd_hash_password},
    {"new-key", "NAME", "makes an API key, for auth key",
     "The first line is the key, for its owner alone; the second belongs into the file of `auth "
     "key`, and holds its hash. Nobody can make the key of it again.",
     0, 1, 1, cmd_new_key},
    {"trust", "", "lets this machine trust weir's local CA",
     "Sites that have no certificate get one from an authority that weir makes and keeps for "
     "itself. This adds it to the system's store (which needs root) and, where certutil is "
     "installed, to those of Chromium and Firefox, and says what is left to do by hand.",
     OPTION_BIT(DIR) | OPTION_BIT(REMOVE), 0, 0, cmd_trust},
    {"docs", "[reference|man|words]", "prints the reference manual of the configuration",
     "`reference` (Markdown) is what is printed without a word; `man` is the manual page weir(8), "
     "`words` every word of the language, one a line.",
     0, 0, 1, cmd_docs},
    {"completion", "bash", "prints a shell completion script",
     "Put it where your shell looks: weir completion bash > "
     "/usr/share/bash-completion/completions/weir",
     0, 1, 1, cmd_completion},
    {"version", "", "prints the version", NULL, 0, 0, 0, cmd_version},
    {0},
};

const struct command *command_find(struct slice name)
{
    for (const struct command *c = commands_all; c->name; c++)
        if (slice_eq(slice_of(c->name), name))
            return c;
    return NULL;
}

const struct command *command_nearest(struct slice word)
{
    const struct command *best = NULL;
    size_t best_distance = word.len <= 3 ? 2 : 3; /* beyond that it is no longer a slip */
    for (const struct command *c = commands_all; c->name; c++) {
        size_t d = text_distance(word, slice_of(c->name));
        if (d < best_distance) {
            best = c;
            best_distance = d;
        }
    }
    return best;
}
