/* trust.c - trust stores: the system's own, and those of Chromium and Firefox (NSS).
 *
 * The system's store is a folder for more authorities and a command that makes the bundle anew.
 * NSS has a database per user and per Firefox profile, changed by certutil, which is often not
 * installed. Nothing is asked: what cannot be done is told with the command that does it. */
// SPDX-License-Identifier: Apache-2.0
#include "main/trust.h"
#include "tls/local_ca.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGV_MAX = 12 };

struct store {
    const char *dir, *command;
    const char *add_word, *remove_word; /* its argument; NULL: none */
};

static const struct store stores[] = {
    {"/usr/local/share/ca-certificates", "update-ca-certificates", NULL, "--fresh"}, /* Debian */
    {"/etc/pki/ca-trust/source/anchors", "update-ca-trust", "extract", "extract"},   /* Fedora */
    {"/etc/ca-certificates/trust-source/anchors", "update-ca-trust", NULL, NULL},    /* Arch */
};

/* ---- programs ---- */

/* In PATH, or where root's programs are: a user's PATH often leaves them out. */
static bool find_program(const char *name, char to[PATH_MAX])
{
    struct text all;
    const char *path = getenv("PATH");
    bool found = false;
    text_init(&all);
    text_addf(&all, "%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
    struct slice rest = text_slice(&all), dir;
    while (!found && slice_cut(&rest, ':', &dir)) {
        snprintf(to, PATH_MAX, "%.*s/%s", SLICE_ARG(dir), name);
        found = dir.len > 0 && dir.at[0] == '/' && access(to, X_OK) == 0;
    }
    text_release(&all);
    return found;
}

/* Runs it silently and waits. True: it ended with 0. */
static bool run(char *const argv[])
{
    posix_spawn_file_actions_t files;
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_init(&files);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    int failed = posix_spawn(&pid, argv[0], &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (failed)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_words(const char *program, const char *const *words, size_t count)
{
    char *argv[ARGV_MAX + 2] = {(char *)(uintptr_t)program};
    for (size_t i = 0; i < count && i < ARGV_MAX; i++)
        argv[i + 1] = (char *)(uintptr_t)words[i];
    return run(argv);
}

/* ---- the system's store ---- */

static const struct store *find_store(char program[PATH_MAX])
{
    struct stat st;
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        if (stat(stores[i].dir, &st) == 0 && S_ISDIR(st.st_mode) &&
            find_program(stores[i].command, program))
            return &stores[i];
    return NULL;
}

static void store_path(const struct store *s, const struct local_ca_card *card, char to[PATH_MAX])
{
    snprintf(to, PATH_MAX, "%s/weir-local-ca-%s.crt", s->dir, card->id);
}

static bool write_file(const char *path, struct slice bytes)
{
    char new[PATH_MAX + 8];
    snprintf(new, sizeof new, "%s.new", path); /* not *.crt: no half of it is ever taken */
    unlink(new);
    int fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    bool ok = fd >= 0 && fchmod(fd, 0644) == 0 &&
              write(fd, bytes.at, bytes.len) == (ssize_t)bytes.len && fsync(fd) == 0 &&
              rename(new, path) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && !ok)
        unlink(new);
    errno = why;
    return ok;
}

static bool update(const struct store *s, const char *program, const char *word, struct text *said)
{
    if (run_words(program, &word, word ? 1 : 0))
        return true;
    text_addf(said, "%s failed; run '%s%s%s' by hand\n", s->command, program, word ? " " : "",
              word ? word : "");
    return false;
}

static enum trust_result no_store(const char *dir, struct text *said)
{
    text_addf(said,
              "This system's store of authorities is not known to weir; add %s/ca.crt to it.\n",
              dir);
    return TRUST_BY_HAND;
}

static enum trust_result refused(const char *path, const char *option, const char *dir,
                                 struct text *said)
{
    text_addf(said, "%s: %s\nThe system's store needs root:\n  sudo weir trust%s --dir %s\n", path,
              strerror(errno), option, dir);
    return TRUST_BY_HAND;
}

static enum trust_result system_add(const struct local_ca_card *card, const char *dir,
                                    struct text *said)
{
    char program[PATH_MAX], path[PATH_MAX];
    const struct store *s = find_store(program);
    if (!s)
        return no_store(dir, said);
    store_path(s, card, path);
    if (!write_file(path, text_slice(&card->cert_pem)))
        return refused(path, "", dir, said);
    if (!update(s, program, s->add_word, said))
        return TRUST_BY_HAND;
    text_addf(said, "The system trusts it: %s (%s)\n", path, s->command);
    return TRUST_DONE;
}

static enum trust_result system_remove(const struct local_ca_card *card, const char *dir,
                                       struct text *said)
{
    char program[PATH_MAX], path[PATH_MAX];
    const struct store *s = find_store(program);
    if (!s)
        return no_store(dir, said);
    store_path(s, card, path);
    if (unlink(path) != 0 && errno == ENOENT) {
        text_add(said, SLICE("The system's store does not have it.\n"));
        return TRUST_DONE;
    }
    if (access(path, F_OK) == 0)
        return refused(path, " --remove", dir, said);
    if (!update(s, program, s->remove_word, said))
        return TRUST_BY_HAND;
    text_addf(said, "The system trusts it no more: removed %s (%s)\n", path, s->command);
    return TRUST_DONE;
}

/* ---- NSS: Chromium, Firefox ---- */

struct nss {
    char program[PATH_MAX];
    char name[64]; /* of the certificate in a database */
    char file[PATH_MAX];
};

/* certutil reads the certificate from a file; the authority's own may be closed to us. */
static bool write_temporary(struct slice pem, char to[PATH_MAX])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(to, PATH_MAX, "%s/weir-ca-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    int fd = mkstemp(to);
    bool ok = fd >= 0 && write(fd, pem.at, pem.len) == (ssize_t)pem.len;
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool nss_has(const struct nss *n, const char *db)
{
    return run_words(n->program, (const char *[]){"-L", "-d", db, "-n", n->name}, 5);
}

static void nss_add(const struct nss *n, const char *db, struct text *said)
{
    bool ok = run_words(
        n->program, (const char *[]){"-A", "-d", db, "-t", "C,,", "-n", n->name, "-i", n->file}, 9);
    text_addf(said,
              ok ? "Chromium or Firefox trusts it: %s\n" : "certutil could not add it to %s\n", db);
}

static void nss_remove(const struct nss *n, const char *db, struct text *said)
{
    if (!nss_has(n, db))
        return;
    bool ok = run_words(n->program, (const char *[]){"-D", "-d", db, "-n", n->name}, 5);
    text_addf(said, ok ? "Removed from %s\n" : "certutil could not remove it from %s\n", db);
}

typedef void nss_each(const struct nss *n, const char *db, struct text *said);

static void nss_profiles(const struct nss *n, const char *home, nss_each *each, struct text *said)
{
    static const char *const patterns[] = {".mozilla/firefox/*/cert9.db",
                                           "snap/firefox/common/.mozilla/firefox/*/cert9.db"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        char pattern[PATH_MAX], db[PATH_MAX + 8];
        glob_t g = {0};
        snprintf(pattern, sizeof pattern, "%s/%s", home, patterns[i]);
        if (glob(pattern, 0, NULL, &g) == 0)
            for (size_t j = 0; j < g.gl_pathc; j++) {
                snprintf(db, sizeof db, "sql:%.*s",
                         (int)(strlen(g.gl_pathv[j]) - strlen("/cert9.db")), g.gl_pathv[j]);
                each(n, db, said);
            }
        globfree(&g);
    }
}

/* Chromium's database; made when there is none yet, for a browser that was never started. */
static bool find_nssdb(const struct nss *n, const char *home, nss_each *each, char db[PATH_MAX])
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(db, PATH_MAX, "sql:%s/.pki/nssdb", home);
    snprintf(path, sizeof path, "%s/.pki/nssdb", home);
    if (each != nss_add)
        return stat(path, &st) == 0;
    snprintf(path, sizeof path, "%s/.pki", home);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/.pki/nssdb", home);
    if (mkdir(path, 0700) == 0)
        return run_words(n->program, (const char *[]){"-N", "-d", db, "--empty-password"}, 4);
    return errno == EEXIST;
}

static void say_certutil(const char *dir, struct text *said)
{
    text_addf(said,
              "Chromium and Firefox have stores of their own, which certutil changes; it is not "
              "installed.\nOn Debian: 'sudo apt install libnss3-tools', then this command again; "
              "or import %s/ca.crt in their settings.\n",
              dir);
}

static void browsers(const struct local_ca_card *card, const char *dir, nss_each *each,
                     struct text *said)
{
    struct nss n;
    char db[PATH_MAX];
    const char *home = getenv("HOME");
    snprintf(n.name, sizeof n.name, "weir local CA %s", card->id);
    if (!home || home[0] != '/')
        return;
    if (!find_program("certutil", n.program)) {
        if (each == nss_add)
            say_certutil(dir, said);
        return;
    }
    if (write_temporary(text_slice(&card->cert_pem), n.file)) {
        if (find_nssdb(&n, home, each, db))
            each(&n, db, said);
        nss_profiles(&n, home, each, said);
    }
    unlink(n.file);
}

enum trust_result trust_add(const struct local_ca_card *card, const char *dir, struct text *said)
{
    enum trust_result r = system_add(card, dir, said);
    browsers(card, dir, nss_add, said);
    return r;
}

enum trust_result trust_remove(const struct local_ca_card *card, const char *dir, struct text *said)
{
    enum trust_result r = system_remove(card, dir, said);
    browsers(card, dir, nss_remove, said);
    return r;
}
