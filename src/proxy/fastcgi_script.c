/* fastcgi_script.c - which script the path of a request means, or that it means a file.
 *
 *   1. a name that ends as scripts do, at the end of the path or before a slash; the rest is
 *      PATH_INFO
 *   2. a folder with an index script
 *   3. with `files` beside it: what else exists, but never a script
 *   4. the script of `try`
 *
 * Where weir sees the root a script is asked for only if it exists: else "/upload/cat.jpg/x.php"
 * would have some servers run what somebody uploaded as cat.jpg. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/fastcgi_priv.h"
#include "proxy/files.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum kind { KIND_NONE, KIND_FILE, KIND_FOLDER, KIND_UNSEEN /* it may be either, or not be */ };

struct search {
    struct exchange *x;
    const struct fastcgi_conf *conf;
    struct fastcgi_use *use;
    int root; /* descriptor; -1: not seen from here */
};

/* --- names ------------------------------------------------------------------------------------ */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Where the ending stands in `s`, at `from` or later, in any letter case; s.len: nowhere. */
static size_t ending_find(struct slice s, struct slice ending, size_t from)
{
    for (size_t i = from; i + ending.len <= s.len; i++)
        if (slice_eq_nocase(slice_head(slice_from(s, i), ending.len), ending))
            return i;
    return s.len;
}

/* Is a file of that name a script, or what an editor left of one: "x.php", "x.PHP", "x.php~",
 * "x.php.bak"? Its source is nobody's business. */
static bool names_script(const struct fastcgi_conf *c, struct slice name)
{
    size_t at = ending_find(name, c->split, 0);
    while (c->split.len > 0 && at < name.len) {
        size_t end = at + c->split.len;
        if (end == name.len || !is_letter(name.at[end]))
            return true;
        at = ending_find(name, c->split, end);
    }
    return false;
}

static bool has_escaped_slash(struct slice path)
{
    for (size_t i = 0; i + 2 < path.len; i++)
        if (path.at[i] == '%' && path.at[i + 1] == '2' && (path.at[i + 2] | 0x20) == 'f')
            return true;
    return false;
}

/* --- what is there ---------------------------------------------------------------------------- */

/* `path` is decoded and begins with a slash. What may not be looked at may be there. */
static enum kind look(const struct search *s, struct slice path)
{
    struct stat st;
    if (s->root < 0)
        return KIND_UNSEEN;
    struct slice name = arena_dup(&s->x->arena, slice_from(path, 1));
    if (!name.at || memchr(name.at, '\0', name.len))
        return KIND_NONE;
    int fd = open_beneath(s->root, name.len ? name.at : ".", O_PATH,
                          (enum beneath_links)s->conf->look.links);
    if (fd < 0)
        return fd == -EACCES ? KIND_UNSEEN : KIND_NONE;
    bool told = fstat(fd, &st) == 0;
    close(fd);
    if (!told || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return KIND_NONE;
    return S_ISREG(st.st_mode) ? KIND_FILE : KIND_FOLDER;
}

static bool is_script(const struct search *s, struct slice path)
{
    enum kind k = look(s, path);
    return k == KIND_FILE || k == KIND_UNSEEN;
}

/* --- the four answers ------------------------------------------------------------------------- */

/* ERR_OK: it is this one. ERR_NOT_FOUND: not. */
static enum err script_use(struct search *s, struct slice script, struct slice path_info)
{
    s->use->script = uri_decode(&s->x->arena, script);
    s->use->path_info = uri_decode(&s->x->arena, path_info);
    if (!s->use->script.at || !s->use->path_info.at)
        return ERR_OVER_BUDGET;
    return is_script(s, s->use->script) ? ERR_OK : ERR_NOT_FOUND;
}

static enum err script_in_path(struct search *s)
{
    struct slice path = s->x->forward_path, split = s->conf->split;
    size_t at = ending_find(path, split, 0);
    for (; at < path.len; at = ending_find(path, split, at + 1)) {
        size_t end = at + split.len;
        struct slice script = slice_head(path, end);
        if (at == 0 || path.at[at - 1] == '/' || (end < path.len && path.at[end] != '/') ||
            has_escaped_slash(script))
            continue;
        enum err e = script_use(s, script, slice_from(path, end));
        if (e != ERR_NOT_FOUND)
            return e;
    }
    return ERR_NOT_FOUND;
}

static enum err folder_redirect(struct search *s)
{
    struct exchange *x = s->x;
    if (x->req.method != METHOD_GET && x->req.method != METHOD_HEAD)
        return ERR_NOT_FOUND;
    return files_add_slash(x);
}

/* *answered: by a redirect to the path with a slash. */
static enum err folder_index(struct search *s, bool *answered)
{
    struct slice path = s->x->forward_path;
    bool slash = slice_ends(path, SLICE("/"));
    if (s->root < 0 || has_escaped_slash(path))
        return ERR_NOT_FOUND;
    struct slice decoded = uri_decode(&s->x->arena, path);
    struct slice script =
        ARENA_CONCAT(&s->x->arena, decoded, slash ? SLICE("") : SLICE("/"), s->conf->index);
    if (!decoded.at || !script.at)
        return ERR_OVER_BUDGET;
    if (look(s, script) != KIND_FILE)
        return ERR_NOT_FOUND;
    *answered = !slash;
    if (!slash)
        return folder_redirect(s);
    s->use->script = script;
    s->use->path_info = SLICE("");
    return ERR_OK;
}

static bool is_source(const void *ctx, struct slice name)
{
    return names_script(ctx, name);
}

static enum err file_send(struct search *s, bool *answered)
{
    const struct fastcgi_conf *c = s->conf;
    struct exchange *x = s->x;
    if (!c->files || (x->req.method != METHOD_GET && x->req.method != METHOD_HEAD))
        return ERR_NOT_FOUND;
    *answered = true;
    return files_serve_but(x, c->files->local_conf, is_source, c);
}

static enum err fallback_use(struct search *s)
{
    return s->conf->fallback.len > 0 ? script_use(s, s->conf->fallback, SLICE("")) : ERR_NOT_FOUND;
}

/* --- all of it -------------------------------------------------------------------------------- */

static enum err path_admit(struct search *s)
{
    struct slice name = uri_decode(&s->x->arena, slice_from(s->x->forward_path, 1));
    if (!name.at)
        return ERR_OVER_BUDGET;
    if (!slice_starts(s->x->forward_path, SLICE("/")) || memchr(name.at, '\0', name.len))
        return ERR_NOT_FOUND;
    if (s->conf->split.len == 0 && !s->conf->files)
        return ERR_OK; /* paths name no files */
    return files_is_hidden(&s->conf->look, name) ? ERR_NOT_FOUND : ERR_OK;
}

static enum err path_whole(struct search *s)
{
    s->use->script = SLICE("");
    s->use->path_info = uri_decode(&s->x->arena, s->x->forward_path);
    return s->use->path_info.at ? ERR_OK : ERR_OVER_BUDGET;
}

static enum err search_run(struct search *s, bool *answered)
{
    TRY(path_admit(s));
    enum err e = s->conf->split.len > 0 ? script_in_path(s) : ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND && s->conf->split.len > 0)
        e = folder_index(s, answered);
    if (e == ERR_NOT_FOUND)
        e = file_send(s, answered);
    if (e != ERR_NOT_FOUND)
        return e;
    *answered = false;
    return s->conf->split.len > 0 ? fallback_use(s) : path_whole(s);
}

enum outcome fastcgi_choose(struct exchange *x, const struct fastcgi_conf *c)
{
    struct search s = {.x = x, .conf = c, .root = -1};
    bool answered = false;
    s.use = ARENA_NEW(&x->arena, struct fastcgi_use);
    if (!s.use)
        return exchange_fail(x, ERR_OVER_BUDGET);
    s.use->conf = c;
    if (c->look.root.len > 0)
        s.root = open(c->look.root.at, O_PATH | O_DIRECTORY | O_CLOEXEC);
    enum err e = search_run(&s, &answered);
    if (s.root >= 0)
        close(s.root);
    if (e != ERR_OK)
        return exchange_fail(x, e);
    if (answered)
        return SKIP;
    x->fastcgi = s.use;
    return NEXT;
}
