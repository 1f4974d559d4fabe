/* cmd_check.c - check, explain, fmt: what reads a configuration without running it. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin.h"
#include "base/mem.h"
#include "base/text.h"
#include "main/command.h"
#include "main/load.h"
#include "proxy/build.h"
#include "upstream/upstream.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_diag(const struct diag *d)
{
    struct text t;
    text_init(&t);
    diag_print(d, &t, color_on(STDERR_FILENO));
    print_err(&t);
    text_release(&t);
}

static uint32_t route_count(const struct proxy_conf *p)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->site_count; i++)
        count += p->sites[i]->route_count;
    return count;
}

static const char *plural(uint32_t n)
{
    return n == 1 ? "" : "s";
}

static void print_summary(const char *path, const struct load *l)
{
    const struct conf *c = l->conf;
    uint32_t sites = c->proxy->site_count, routes = route_count(c->proxy);
    printf("%s is valid: %u site%s, %u route%s, %u upstream%s, %u test%s passed\n", path, sites,
           plural(sites), routes, plural(routes), c->upstreams->count, plural(c->upstreams->count),
           l->test_count, plural(l->test_count));
}

int cmd_check(const struct args *a)
{
    const char *path = a->word_count ? a->words[0] : args_config(a);
    struct load l;
    struct admin_source admin = {0}; /* its listeners are built, and nobody asks them */
    bool ok =
        load_run(&l, &(struct load_request){.path = path, .run_tests = true, .admin = &admin});
    print_diag(&l.diag);
    if (ok)
        print_summary(path, &l);
    load_release(&l);
    return ok ? EXIT_OK : EXIT_CONFIG;
}

int cmd_explain(const struct args *a)
{
    struct load l;
    struct text t;
    const char *method = a->values[OPTION_METHOD], *from = a->values[OPTION_FROM];
    struct explain_request r = {.method = slice_of(method ? method : "GET"),
                                .url = slice_of(a->words[0]),
                                .from = slice_of(from ? from : ""),
                                .headers = a->headers,
                                .header_count = a->header_count};
    if (!load_run(&l, &(struct load_request){.path = args_config(a)})) {
        print_diag(&l.diag);
        load_release(&l);
        return EXIT_CONFIG;
    }
    text_init(&t);
    bool ok = proxy_explain(l.conf, &r, &t);
    if (ok)
        print_out(&t);
    else
        fprintf(stderr, "weir: explain: %.*s\n", (int)t.len, t.at ? t.at : "");
    text_release(&t);
    load_release(&l);
    return ok ? EXIT_OK : EXIT_FAILED;
}

static bool read_all(int fd, struct text *out)
{
    char part[16384];
    ssize_t n;
    while ((n = read(fd, part, sizeof part)) > 0)
        text_add(out, (struct slice){part, (size_t)n});
    return n == 0;
}

static bool read_file(const char *path, struct text *out)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && read_all(fd, out);
    if (!ok)
        fprintf(stderr, "weir: %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool write_all(int fd, struct slice s)
{
    while (s.len > 0) {
        ssize_t n = write(fd, s.at, s.len);
        if (n < 0)
            return false;
        s = slice_from(s, (size_t)n);
    }
    return fsync(fd) == 0;
}

/* Writes beside the file and renames, so that a full disk does not cost the old text. */
static bool replace_file(const char *path, struct slice s)
{
    struct text tmp;
    struct stat st;
    text_init(&tmp);
    text_addf(&tmp, "%s.XXXXXX", path);
    int fd = stat(path, &st) == 0 ? mkstemp(tmp.at) : -1;
    bool ok = fd >= 0 && fchmod(fd, st.st_mode & 07777) == 0 && write_all(fd, s) &&
              rename(tmp.at, path) == 0;
    if (!ok)
        fprintf(stderr, "weir: %s: %s\n", path, strerror(errno));
    if (!ok && fd >= 0)
        unlink(tmp.at);
    if (fd >= 0)
        close(fd);
    text_release(&tmp);
    return ok;
}

static int fmt_finish(const struct args *a, const struct text *old, const struct text *new)
{
    const char *path = a->words[0];
    bool same = slice_eq(text_slice(old), text_slice(new));
    if (a->values[OPTION_CHECK]) {
        if (!same)
            fprintf(stderr, "weir: %s is not in canonical layout; 'weir fmt --write' changes it\n",
                    path);
        return same ? EXIT_OK : EXIT_FAILED;
    }
    if (!a->values[OPTION_WRITE] || strcmp(path, "-") == 0) {
        print_out(new);
        return EXIT_OK;
    }
    return same || replace_file(path, text_slice(new)) ? EXIT_OK : EXIT_FAILED;
}

int cmd_fmt(const struct args *a)
{
    struct text old, new;
    struct diag d;
    int code = EXIT_FAILED;
    text_init(&old);
    text_init(&new);
    diag_init(&d);
    if (read_file(a->words[0], &old)) {
        bool ok = conf_format(text_slice(&old), a->words[0], &d, &new);
        print_diag(&d);
        code = ok ? fmt_finish(a, &old, &new) : EXIT_CONFIG;
    }
    diag_release(&d);
    text_release(&old);
    text_release(&new);
    return code;
}
