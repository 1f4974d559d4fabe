/* files_list.c - the page of a folder: names, sizes and times, folders first, then by name.
 *
 * Hidden names and what is neither file nor folder are left out. At most LISTING_MAX entries are
 * read; reading them blocks the worker, some microseconds each. */
// SPDX-License-Identifier: Apache-2.0
#include "base/date.h"
#include "proxy/files_priv.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct entry {
    char *name;
    bool folder;
    int64_t bytes, modified_s;
};

struct entries {
    struct entry *at;
    size_t count;
    bool cut; /* there are more */
};

static int entry_order(const void *a, const void *b)
{
    const struct entry *l = a, *r = b;
    if (l->folder != r->folder)
        return l->folder ? -1 : 1;
    return strcmp(l->name, r->name);
}

/* Links are listed only where every link is followed. */
static bool entry_read(const struct files_conf *c, int dir, const char *name, struct entry *e)
{
    struct stat st;
    bool hidden = name[0] == '.' && (!c->hidden || strcmp(name, ".") == 0 || !strcmp(name, ".."));
    if (hidden || fstatat(dir, name, &st, c->links == LINKS_ANY ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return false;
    *e = (struct entry){
        .folder = S_ISDIR(st.st_mode), .bytes = st.st_size, .modified_s = st.st_mtime};
    e->name = strdup(name);
    return e->name != NULL;
}

static void entries_read(const struct files_conf *c, DIR *d, struct entries *es)
{
    const struct dirent *de;
    struct entry e;
    while (!es->cut && (de = readdir(d)) != NULL) {
        if (!entry_read(c, dirfd(d), de->d_name, &e))
            continue;
        es->cut = es->count == LISTING_MAX;
        if (es->cut)
            free(e.name);
        else
            es->at[es->count++] = e;
    }
}

/* --- the page --------------------------------------------------------------------------------- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void add_escaped(struct text *out, const char *name)
{
    for (; *name; name++) {
        if (is_plain(*name))
            text_add(out, (struct slice){name, 1});
        else
            text_addf(out, "%%%02X", (unsigned char)*name);
    }
}

static void add_bytes(struct text *out, int64_t bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)bytes;
    size_t i = 0;
    for (; v >= 1024 && i + 1 < COUNT_OF(units); i++)
        v /= 1024;
    text_addf(out, v < 10 && i > 0 ? "%.1f %s" : "%.0f %s", v, units[i]);
}

static void add_row(struct text *out, const struct entry *e)
{
    char time[DATE_ISO_BYTES];
    text_add(out, SLICE("<tr><td><a href=\"./"));
    add_escaped(out, e->name);
    text_addf(out, "%s\">", e->folder ? "/" : "");
    text_add_html(out, slice_of(e->name));
    text_addf(out, "%s</a><td>", e->folder ? "/" : "");
    if (!e->folder)
        add_bytes(out, e->bytes);
    date_write_iso(time, e->modified_s * 1000);
    text_addf(out, "<td>%.10s %.5s\n", time, time + 11);
}

static void add_page(struct text *out, struct slice path, const struct entries *es)
{
    text_add(out, SLICE("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
                        "<meta name=\"viewport\" content=\"width=device-width\"><title>"));
    text_add_html(out, path);
    text_add(out, SLICE("</title>\n<style>body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;"
                        "max-width:60em;padding:0 1em;color:#234}h1{font-size:1.3em}"
                        "table{border-collapse:collapse;width:100%}td{padding:.2em 1em .2em 0;"
                        "border-bottom:1px solid #ddd}td+td{text-align:right;white-space:nowrap;"
                        "color:#678}a{text-decoration:none}</style>\n<h1>"));
    text_add_html(out, path);
    text_add(out, SLICE("</h1>\n<table>\n"));
    if (path.len > 1)
        text_add(out, SLICE("<tr><td><a href=\"../\">../</a><td><td>\n"));
    for (size_t i = 0; i < es->count; i++)
        add_row(out, &es->at[i]);
    text_add(out, SLICE("</table>\n"));
    if (es->cut)
        text_addf(out, "<p>There are more than %u; these are some of them.\n",
                  (unsigned)LISTING_MAX);
    text_add(out, SLICE("</html>\n"));
}

/* A descriptor of its own: where one has read to is shared by all who use the folder's. */
static DIR *folder_open(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d && fd >= 0)
        close(fd);
    return d;
}

enum err files_list(struct exchange *x, const struct files_conf *c, int folder, struct text *out)
{
    struct entries es = {.at = calloc(LISTING_MAX, sizeof *es.at)};
    DIR *d = folder_open(folder);
    struct slice path = uri_decode(&x->arena, x->path);
    if (es.at && d && path.at) {
        entries_read(c, d, &es);
        qsort(es.at, es.count, sizeof *es.at, entry_order);
        add_page(out, path, &es);
    }
    enum err e = !es.at ? ERR_NO_MEMORY : !d ? ERR_IO : !path.at ? ERR_OVER_BUDGET : ERR_OK;
    if (d)
        closedir(d);
    for (size_t i = 0; i < es.count; i++)
        free(es.at[i].name);
    free(es.at);
    return e;
}
