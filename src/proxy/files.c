/* files.c - `files DIR`: answers with the files of a folder.
 *
 * serve() finds the file (files_find.c), asks the conditions of the request (http/conditional.h)
 * and its ranges (http/range.h), and leaves the sending to files_body.c. The answer takes the way
 * of every response: filters see it, and errors get their usual pages. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/files.h"
#include "base/date.h"
#include "base/rand.h"
#include "conf/places.h"
#include "conf/source.h"
#include "http/conditional.h"
#include "http/mime.h"
#include "proxy/files_priv.h"
#include <errno.h>

static const struct conf_choice link_choices[] = {
    {"inside", LINKS_INSIDE, "followed while they stay in the folder; absolute ones do not"},
    {"none", LINKS_NONE, "never followed"},
    {"follow", LINKS_ANY, "followed wherever they lead"},
    {0}};

#define FILES(field) offsetof(struct files_conf, field)

const struct directive files_options[] = {
    {.name = "index",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FILES(index_words),
     .def = "index.html",
     .usage = "NAME,...|off",
     .text = "What stands for a folder: the first of these files that it has."},
    {.name = "try",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FILES(try_words),
     .usage = "NAME,...",
     .text = "What to send when the file is not there. A name that begins with a slash is a file "
             "of the folder, sent with `no-cache`; another one is added to the path: `.html`."},
    {.name = "spa",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FILES(spa),
     .usage = "",
     .text = "For an application of one page: what is not there gets `/index.html`. Short for "
             "`try=/index.html`."},
    {.name = "browse",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FILES(browse),
     .usage = "",
     .text = "Lists a folder that has no index file, up to 4,096 entries."},
    {.name = "precompressed",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FILES(precompressed),
     .usage = "",
     .text = "Sends `NAME.br`, `NAME.zst` or `NAME.gz` beside a file to clients that take it, "
             "unless it is older than the file."},
    {.name = "hidden",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FILES(hidden),
     .usage = "",
     .text = "Also what begins with a dot. Without it such names do not exist, but for "
             "`/.well-known/`."},
    {.name = "symlinks",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = link_choices,
     .offset = FILES(links),
     .def = "inside",
     .usage = "inside|none|follow",
     .text = "Which symbolic links are followed."},
    {.name = "max_age",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .min = 0,
     .max = 10LL * 365 * 24 * 3600 * 1000,
     .offset = FILES(max_age_ms),
     .def = "off",
     .usage = "TIME|off",
     .text = "How long browsers and caches may keep a file without asking: `Cache-Control: "
             "max-age`. `off`: no such field."},
    {.name = "types",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FILES(types_file),
     .usage = "FILE",
     .text = "A table of media types in the form of `/etc/mime.types`, asked before the "
             "built-in one."},
    {0},
};

/* --- reading the directive -------------------------------------------------------------------- */

enum { TYPES_MAX_BYTES = 1 << 20 };

static bool names_read(struct conf_build *b, const struct conf_node *n, const char *what,
                       struct slice words, struct names *out)
{
    struct slice name;
    while (words.len > 0 && slice_cut(&words, ',', &name)) {
        if (name.len == 0 || out->count == FILES_TRIES_MAX) {
            diag_error(b->diag, n->pos, "%s takes up to %u names with commas between them", what,
                       (unsigned)FILES_TRIES_MAX);
            return false;
        }
        out->at[out->count++] = name;
    }
    return true;
}

static void type_line(struct conf_build *b, struct hash_map *map, struct slice line)
{
    struct slice words[2] = {SLICE_NONE, SLICE_NONE}, word;
    line = slice_head(line, slice_find(line, '#'));
    for (char *c = (char *)line.at; c < line.at + line.len; c++)
        *c = *c == '\t' || *c == '\r' || *c == ';' ? ' ' : *c; /* nginx's form, too */
    while (slice_cut(&line, ' ', &word)) {
        if (word.len == 0)
            continue;
        if (!words[0].at) {
            words[0] = arena_dup(b->arena, word);
        } else if (slice_find(words[0], '/') < words[0].len && field_value_valid(words[0])) {
            struct slice *type = ARENA_NEW(b->arena, struct slice);
            *type = words[0];
            hash_map_put(map, arena_dup(b->arena, word), type);
        }
    }
}

/* The map's slots live as long as the snapshot: in its arena. */
static const struct hash_map *types_read(struct conf_build *b, const struct conf_node *n,
                                         struct slice name)
{
    struct text file;
    struct hash_map map, *kept = NULL;
    text_init(&file);
    hash_map_init(&map);
    if (conf_need_file(b, n->pos, conf_file_path(b, n->pos, name), TYPES_MAX_BYTES, &file)) {
        struct slice rest = text_slice(&file), line;
        while (slice_cut(&rest, '\n', &line))
            type_line(b, &map, line);
        kept = ARENA_NEW(b->arena, struct hash_map);
        *kept = map;
        if (map.slots) {
            size_t bytes = (map.mask + (size_t)1) * sizeof *map.slots;
            kept->slots = (struct hash_slot *)(void *)arena_dup(
                              b->arena, (struct slice){(const char *)map.slots, bytes})
                              .at;
        }
    }
    hash_map_release(&map);
    text_release(&file);
    return kept;
}

static void root_check(struct conf_build *b, const struct conf_word *w, const char *root)
{
    struct stat st;
    if (b->source == &conf_source_nothing)
        return;
    if (stat(root, &st) != 0)
        diag_warn(b->diag, w->pos, "the folder %s can not be read: %s", root, strerror(errno));
    else if (!S_ISDIR(st.st_mode))
        diag_warn(b->diag, w->pos, "%s is not a folder", root);
}

void files_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct files_conf *c = ARENA_NEW(b->arena, struct files_conf);
    struct target *t = ARENA_NEW(b->arena, struct target);
    struct settings *s = scope;
    conf_options(b, n, c);
    c->root = slice_of(conf_file_path(b, n->pos, n->args[0].text));
    if (c->index_words.len == 0)
        c->index_words = SLICE("index.html");
    if (slice_eq(c->index_words, SLICE("off")))
        c->index_words = SLICE("");
    if (c->spa && c->try_words.len > 0) {
        diag_error(b->diag, n->pos, "`spa` is short for try=/index.html: leave one of them out");
        return;
    }
    if (c->spa)
        c->try_words = SLICE("/index.html");
    if (!names_read(b, n, "index", c->index_words, &c->index) ||
        !names_read(b, n, "try", c->try_words, &c->tries))
        return;
    if (c->types_file.len > 0)
        c->types = types_read(b, n, c->types_file);
    root_check(b, &n->args[0], c->root.at);
    conf_place_add(b, n->args[0].pos, c->root.at, CONF_READS);
    *t = (struct target){
        .kind = TARGET_LOCAL, .pos = n->pos, .local = &files_origin, .local_conf = c};
    s->target = t;
}

static void files_explain(const void *conf, struct text *out)
{
    const struct files_conf *c = conf;
    text_addf(out, "%.*s%s%s", SLICE_ARG(c->root), c->browse ? " browse" : "",
              c->precompressed ? " precompressed" : "");
    if (c->tries.count > 0)
        text_addf(out, " try=%.*s", SLICE_ARG(c->try_words));
}

/* --- fields ----------------------------------------------------------------------------------- */

/* A file as it would be sent. */
struct sent {
    struct validators v;
    struct slice type, modified;
    uint64_t bytes;
};

static struct slice type_of(const struct files_conf *c, struct slice name)
{
    struct slice extension = mime_extension(name);
    const struct slice *own = c->types ? hash_map_find(c->types, extension) : NULL;
    struct slice type = own ? *own : mime_find(extension);
    return type.at ? type : SLICE("application/octet-stream");
}

/* A compressed sibling is another representation. */
static enum err describe(struct exchange *x, const struct files_conf *c, const struct found *f,
                         struct sent *s)
{
    const struct open_file *file = f->file;
    s->bytes = (uint64_t)file->st.st_size;
    s->type = type_of(c, f->name);
    s->modified = (struct slice){file->modified, sizeof file->modified};
    s->v.etag = ARENA_CONCAT(&x->arena, (struct slice){file->etag, file->etag_len},
                             f->coding.len ? SLICE("-") : SLICE(""), f->coding, SLICE("\""));
    /* RFC 9110 8.8.2.1: never later than Date */
    bool future = file->st.st_mtim.tv_sec > x->worker->loop.unix_ms / 1000;
    s->v.modified_s = future ? MODIFIED_UNKNOWN : file->st.st_mtim.tv_sec;
    return s->v.etag.at ? ERR_OK : ERR_OVER_BUDGET;
}

static enum err modified_add(struct exchange *x, struct slice text)
{
    struct slice value = arena_dup(&x->arena, text);
    return value.at ? headers_add_id(&x->res.headers, &x->arena, FIELD_LAST_MODIFIED, value)
                    : ERR_OVER_BUDGET;
}

static enum err cache_control_add(struct exchange *x, const struct files_conf *c,
                                  const struct found *f)
{
    struct slice value = SLICE("no-cache");
    if (!f->fallback && c->max_age_ms < 0)
        return ERR_OK;
    if (!f->fallback)
        value = arena_printf(&x->arena, "max-age=%lld", (long long)(c->max_age_ms / 1000));
    return value.at ? headers_add_id(&x->res.headers, &x->arena, FIELD_CACHE_CONTROL, value)
                    : ERR_OVER_BUDGET;
}

/* What 200, 206 and 304 have in common (RFC 9110 15.4.5). */
static enum err fields_add(struct exchange *x, const struct files_conf *c, const struct found *f,
                           const struct sent *s)
{
    struct headers *h = &x->res.headers;
    TRY(headers_add_id(h, &x->arena, FIELD_ETAG, s->v.etag));
    if (s->v.modified_s != MODIFIED_UNKNOWN)
        TRY(modified_add(x, s->modified));
    if (c->precompressed)
        TRY(headers_add_id(h, &x->arena, FIELD_VARY, SLICE("Accept-Encoding")));
    return cache_control_add(x, c, f);
}

static enum err body_fields_add(struct exchange *x, const struct found *f)
{
    struct headers *h = &x->res.headers;
    if (f->coding.len)
        TRY(headers_add_id(h, &x->arena, FIELD_CONTENT_ENCODING, f->coding));
    return headers_add(h, &x->arena, SLICE("Accept-Ranges"), SLICE("bytes"));
}

/* --- answers ---------------------------------------------------------------------------------- */

/* An error's page with one field more. */
static enum err respond_error_with(struct exchange *x, enum err e, enum field_id id,
                                   struct slice value)
{
    exchange_respond_error(x, e);
    if (!value.at)
        return ERR_OVER_BUDGET;
    return id == FIELD_OTHER ? ERR_OK : headers_add_id(&x->res.headers, &x->arena, id, value);
}

/* The parts of the body, for the file that `f` has. HEAD and dry runs get none. */
static enum err body_start(struct exchange *x, struct found *f, const struct file_part *parts,
                           unsigned count)
{
    bool empty = x->res.content_length == 0 || x->req.method == METHOD_HEAD;
    if (x->dry)
        return ERR_OK;
    if (empty) {
        body_end(&x->res_body);
        return ERR_OK;
    }
    struct file_body *b = file_body_new(x, f->file);
    if (!b)
        return ERR_NO_DESCRIPTORS;
    memcpy(b->parts, parts, count * sizeof *parts);
    b->count = count;
    file_body_start(b);
    return x->res_body.count == 0 && !b->late ? x->res_body.err : ERR_OK;
}

static enum err send_whole(struct exchange *x, const struct files_conf *c, struct found *f,
                           const struct sent *s)
{
    struct file_part part = {SLICE(""), 0, s->bytes};
    TRY(respond_head(x, 200, s->type, s->bytes));
    TRY(fields_add(x, c, f, s));
    TRY(body_fields_add(x, f));
    return body_start(x, f, &part, 1);
}

static struct slice content_range(struct exchange *x, const struct range *r, uint64_t bytes)
{
    return arena_printf(&x->arena, "bytes %llu-%llu/%llu", (unsigned long long)r->first,
                        (unsigned long long)r->last, (unsigned long long)bytes);
}

static enum err send_range(struct exchange *x, const struct files_conf *c, struct found *f,
                           const struct sent *s, const struct range *r)
{
    struct file_part part = {SLICE(""), r->first, r->last - r->first + 1};
    struct slice value = content_range(x, r, s->bytes);
    if (!value.at)
        return ERR_OVER_BUDGET;
    TRY(respond_head(x, 206, s->type, part.left));
    TRY(fields_add(x, c, f, s));
    TRY(body_fields_add(x, f));
    TRY(headers_add_id(&x->res.headers, &x->arena, FIELD_CONTENT_RANGE, value));
    return body_start(x, f, &part, 1);
}

/* multipart/byteranges (RFC 9110 14.6); returns its length. */
static enum err parts_make(struct exchange *x, const struct sent *s, const struct ranges *rs,
                           struct slice boundary, struct file_part *parts)
{
    for (unsigned i = 0; i < rs->count; i++) {
        const struct range *r = &rs->at[i];
        struct slice where = content_range(x, r, s->bytes);
        if (!where.at)
            return ERR_OVER_BUDGET;
        struct slice head = ARENA_CONCAT(&x->arena, i ? SLICE("\r\n--") : SLICE("--"), boundary,
                                         SLICE("\r\nContent-Type: "), s->type,
                                         SLICE("\r\nContent-Range: "), where, SLICE("\r\n\r\n"));
        parts[i] = (struct file_part){head, r->first, r->last - r->first + 1};
        if (!head.at)
            return ERR_OVER_BUDGET;
    }
    struct slice end = ARENA_CONCAT(&x->arena, SLICE("\r\n--"), boundary, SLICE("--\r\n"));
    parts[rs->count] = (struct file_part){end, 0, 0};
    return end.at ? ERR_OK : ERR_OVER_BUDGET;
}

static enum err send_ranges(struct exchange *x, const struct files_conf *c, struct found *f,
                            const struct sent *s, const struct ranges *rs)
{
    struct file_part parts[FILE_PARTS_MAX];
    uint64_t bytes = 0;
    struct rand *rand = &x->worker->loop.rand;
    struct slice boundary =
        arena_printf(&x->arena, "%016llx%016llx", (unsigned long long)rand_next(rand),
                     (unsigned long long)rand_next(rand));
    if (!boundary.at)
        return ERR_OVER_BUDGET;
    TRY(parts_make(x, s, rs, boundary, parts));
    for (unsigned i = 0; i <= rs->count; i++)
        bytes += parts[i].head.len + parts[i].left;
    struct slice type = ARENA_CONCAT(&x->arena, SLICE("multipart/byteranges; boundary="), boundary);
    if (!type.at)
        return ERR_OVER_BUDGET;
    TRY(respond_head(x, 206, type, bytes));
    TRY(fields_add(x, c, f, s));
    TRY(body_fields_add(x, f));
    return body_start(x, f, parts, rs->count + 1);
}

static enum err send_file(struct exchange *x, const struct files_conf *c, struct found *f,
                          const struct sent *s, const struct conditions *conds)
{
    struct ranges rs;
    int64_t now_s = x->worker->loop.unix_ms / 1000;
    struct slice range = headers_get(&x->req.headers, FIELD_RANGE);
    /* RFC 9110 14.2: for GET only */
    if (!range.at || x->req.method != METHOD_GET || !if_range_holds(conds, &s->v, now_s))
        return send_whole(x, c, f, s);
    switch (ranges_parse(range, s->bytes, &rs)) {
    case RANGE_UNSATISFIABLE:
        return respond_error_with(
            x, ERR_RANGE_UNSATISFIABLE, FIELD_CONTENT_RANGE,
            arena_printf(&x->arena, "bytes */%llu", (unsigned long long)s->bytes));
    case RANGE_PARTS:
        return rs.count == 1 ? send_range(x, c, f, s, &rs.at[0]) : send_ranges(x, c, f, s, &rs);
    case RANGE_WHOLE: break;
    }
    return send_whole(x, c, f, s);
}

static enum err answer_file(struct exchange *x, const struct files_conf *c, struct found *f)
{
    struct conditions conds;
    struct sent s;
    if (c->precompressed)
        TRY(files_precompressed(x, c, f));
    TRY(describe(x, c, f, &s));
    TRY(conditions_read(&x->req.headers, &x->arena, &conds));
    switch (conditions_evaluate(&conds, x->req.method, &s.v, x->worker->loop.unix_ms / 1000)) {
    case CONDITION_NOT_MODIFIED:
        TRY(respond_plain(x, 304, SLICE(""), SLICE("")));
        return fields_add(x, c, f, &s);
    case CONDITION_FAILS:
        return respond_error_with(x, ERR_PRECONDITION_FAILED, FIELD_OTHER, SLICE(""));
    case CONDITION_PASSES: break;
    }
    return send_file(x, c, f, &s, &conds);
}

static enum err answer_folder(struct exchange *x, const struct files_conf *c, struct found *f)
{
    struct file_body *b = file_body_new(x, NULL);
    if (!b)
        return ERR_OVER_BUDGET;
    struct text page;
    text_init(&page);
    x->file = NULL; /* respond_head() would release it */
    enum err e = files_list(x, c, f->file->fd, &page);
    if (e == ERR_OK)
        e = respond_head(x, 200, SLICE("text/html; charset=utf-8"), page.len);
    b->listing = page;
    x->file = b;
    if (e != ERR_OK || x->dry)
        return e;
    if (x->req.method != METHOD_HEAD)
        b->parts[b->count++].head = text_slice(&b->listing);
    file_body_start(b);
    return ERR_OK;
}

/* To the same path with a slash. Not more than one in front: "//host/" would be another site. */
enum err files_add_slash(struct exchange *x)
{
    struct slice path = x->path;
    while (slice_starts(path, SLICE("//")))
        path = slice_from(path, 1);
    struct slice to = ARENA_CONCAT(&x->arena, path, SLICE("/"),
                                   x->uri.has_query ? SLICE("?") : SLICE(""), x->uri.query);
    if (!to.at)
        return ERR_OVER_BUDGET;
    TRY(respond_plain(x, 301, SLICE(""), SLICE("")));
    return headers_add_id(&x->res.headers, &x->arena, FIELD_LOCATION, to);
}

static enum err answer_found(struct exchange *x, const struct files_conf *c, struct found *f)
{
    switch (f->kind) {
    case FOUND_FILE: return answer_file(x, c, f);
    case FOUND_FOLDER: return answer_folder(x, c, f);
    case FOUND_REDIRECT: break;
    }
    return files_add_slash(x);
}

enum err files_serve_but(struct exchange *x, const struct files_conf *c,
                         bool (*refuses)(const void *ctx, struct slice name), const void *ctx)
{
    struct found f;
    enum err e = files_find(x, c, &f);
    if (e == ERR_OK && f.kind == FOUND_FILE && refuses(ctx, f.name))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        e = answer_found(x, c, &f);
    found_release(&f);
    return e;
}

static enum err files_serve(struct exchange *x, const void *conf)
{
    struct found f;
    if (x->req.method != METHOD_GET && x->req.method != METHOD_HEAD)
        return respond_error_with(x, ERR_METHOD_NOT_ALLOWED, FIELD_ALLOW, SLICE("GET, HEAD"));
    enum err e = files_find(x, conf, &f);
    if (e == ERR_OK)
        e = answer_found(x, conf, &f);
    found_release(&f);
    return e;
}

const struct local_origin files_origin = {"files", files_serve, files_explain};
