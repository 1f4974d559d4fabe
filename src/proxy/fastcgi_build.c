/* fastcgi_build.c - reads the directive `fastcgi`.
 *
 * Its block may hold what an upstream's may, and `param`. Where the scripts stand may be said by
 * `root`, by a `files` beside it, or by what stands around the block; so it is known only once all
 * of the block was read. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/places.h"
#include "conf/source.h"
#include "proxy/apply_priv.h"
#include "proxy/build_priv.h"
#include "proxy/fastcgi_priv.h"
#include "proxy/files.h"
#include "proxy/template.h"
#include <sys/stat.h>

#define FASTCGI(field) offsetof(struct fastcgi_conf, field)

const struct directive fastcgi_options[] = {
    {.name = "root",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FASTCGI(root_word),
     .usage = "FOLDER",
     .text = "Where the scripts stand, as the FastCGI server sees it: it may run elsewhere. "
             "Without it, the folder of `files` in the same block or around it."},
    {.name = "index",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FASTCGI(index),
     .def = "index.php",
     .usage = "NAME",
     .text = "The script that stands for a folder that has it."},
    {.name = "split",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FASTCGI(split_word),
     .def = ".php",
     .usage = "ENDING|off",
     .text = "How the names of scripts end. What follows such a name in the path is `PATH_INFO`. "
             "`off`: for applications that are not made of files; the whole path is `PATH_INFO`."},
    {.name = "try",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FASTCGI(try_word),
     .usage = "SCRIPT|off",
     .text = "The script for paths that mean neither a script nor a file: a front controller. "
             "Without it, `index` in the root. `off`: they get 404."},
    {.name = "check_file",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = FASTCGI(check_file),
     .def = "on",
     .usage = "on|off",
     .text = "Whether only scripts that exist are asked for, where weir can see the root. `off`: "
             "when another folder has the same name here, or scripts are made up by the server."},
    {0},
};

/* --- param ------------------------------------------------------------------------------------ */

static bool is_variable_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return s.len > 0 && s.len <= 200;
}

/* What has to agree with the request as it is sent. */
static bool is_the_requests(struct slice s)
{
    static const struct slice names[] = {SLICE_INIT("GATEWAY_INTERFACE"),
                                         SLICE_INIT("REQUEST_METHOD"), SLICE_INIT("CONTENT_LENGTH"),
                                         SLICE_INIT("CONTENT_TYPE")};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_eq(s, names[i]))
            return true;
    return false;
}

static bool is_given(const struct fastcgi_conf *c, struct slice name)
{
    for (uint32_t i = 0; i < c->param_count; i++)
        if (slice_eq(c->params[i].name, name))
            return true;
    return false;
}

static void param_add(struct conf_build *b, struct fastcgi_conf *c, const struct conf_node *n)
{
    const struct conf_word *name = &n->args[0];
    struct slice text = name->text;
    if (!is_variable_name(text)) {
        diag_error(b->diag, name->pos, "not the name of a parameter: '%.*s'", SLICE_ARG(text));
        diag_hint(b->diag, "use letters, digits and '_'");
        return;
    }
    if (is_the_requests(text) || is_given(c, text) || c->param_count == FASTCGI_PARAMS_MAX) {
        diag_error(b->diag, name->pos,
                   is_the_requests(text) ? "'%.*s' is told by the request itself"
                   : is_given(c, text)   ? "'%.*s' is given twice"
                                         : "'%.*s' is one parameter too many",
                   SLICE_ARG(text));
        return;
    }
    if (!c->params)
        c->params = BUILD_ARRAY(b, struct fastcgi_param, FASTCGI_PARAMS_MAX);
    const struct template *value = template_compile(b, &n->args[1], false);
    if (!value)
        return;
    c->params_name_fields |= slice_starts(text, SLICE("HTTP_"));
    c->params[c->param_count++] = (struct fastcgi_param){text, value};
}

/* In the block of a named upstream stand its servers; here only parameters may. */
static void block_read(struct conf_build *b, struct fastcgi_conf *c, const struct conf_node *n,
                       const struct upstream *named)
{
    CONF_NODE_EACH(child, n)
    {
        if (!child->row || (child->row->where & IN_OPTIONS))
            continue;
        if (node_is(child, "param")) {
            param_add(b, c, child);
        } else if (named) {
            diag_error(b->diag, child->pos, "'%s' stands in the block of upstream '%.*s'",
                       child->row->name, SLICE_ARG(named->name));
        }
    }
}

/* --- the directive ---------------------------------------------------------------------------- */

static void names_check(struct conf_build *b, struct fastcgi_conf *c, const struct conf_node *n)
{
    if (slice_eq(c->split_word, SLICE("off")))
        c->split = SLICE("");
    else if (slice_starts(c->split_word, SLICE(".")) && c->split_word.len > 1)
        c->split = c->split_word;
    else
        diag_error(b->diag, n->pos, "split is the ending of a name, such as .php, or off");
    if (c->index.len == 0 || slice_find(c->index, '/') < c->index.len)
        diag_error(b->diag, n->pos, "index is the name of a script, without a folder");
}

/* What is not found goes to the index of the root, unless another script or none is named. */
static void try_read(struct conf_build *b, struct fastcgi_conf *c, const struct conf_node *n)
{
    if (slice_eq(c->try_word, SLICE("off")) || c->split.len == 0)
        return;
    c->fallback = c->try_word;
    if (c->try_word.len == 0)
        c->fallback = ARENA_CONCAT(b->arena, SLICE("/"), c->index);
    if (!slice_starts(c->fallback, SLICE("/")))
        diag_error(b->diag, n->pos, "try is the path of a script below the root: /index.php");
}

/* A script begins with the slash. */
static struct slice slash_cut(struct slice root)
{
    while (root.len > 1 && root.at[root.len - 1] == '/')
        root.len--;
    return root;
}

void fastcgi_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct settings *s = scope;
    struct target *t = BUILD_NEW(b, struct target);
    struct fastcgi_conf *c = BUILD_NEW(b, struct fastcgi_conf);
    bool named = false;
    if (!fastcgi_upstream(b, n, t, &named))
        return;
    conf_options(b, n, c);
    names_check(b, c, n);
    try_read(b, c, n);
    block_read(b, c, n, named ? t->upstream : NULL);
    if (c->root_word.len > 0)
        c->root = slice_of(conf_file_path(b, n->pos, slash_cut(c->root_word)));
    t->fastcgi = c;
    s->target = t;
}

/* --- where the scripts stand ------------------------------------------------------------------ */

bool fastcgi_combines(const struct conf_node *a, const struct conf_node *b)
{
    return (node_is(a, "files") && node_is(b, "fastcgi")) ||
           (node_is(b, "files") && node_is(a, "fastcgi"));
}

static bool is_set(const struct target *t)
{
    return t && settings_pointer_is_set(t);
}

static const struct files_conf *files_of(const struct target *t)
{
    if (!is_set(t))
        return NULL;
    if (t->fastcgi)
        return t->fastcgi->files ? t->fastcgi->files->local_conf : NULL;
    return t->kind == TARGET_LOCAL && t->local == &files_origin ? t->local_conf : NULL;
}

void fastcgi_combine(struct settings *own, const struct target *before)
{
    if (!is_set(before) || !is_set(own->target) || before == own->target)
        return;
    if (own->target->fastcgi && files_of(before)) {
        own->target->fastcgi->files = before;
    } else if (before->fastcgi && files_of(own->target)) {
        before->fastcgi->files = own->target;
        own->target = before;
    }
}

/* Without `files` a folder that is not here is nobody's mistake: the server may see another. */
static void look_without_files(struct conf_build *b, struct fastcgi_conf *c, struct conf_pos pos)
{
    struct stat st;
    c->look.links = LINKS_ANY;
    if (b->source == &conf_source_nothing || stat(c->root.at, &st) != 0 || !S_ISDIR(st.st_mode))
        return;
    c->look.root = c->root;
    conf_place_add(b, pos, c->root.at, CONF_READS);
}

static void root_find(struct conf_build *b, struct fastcgi_conf *c, const struct settings *around,
                      struct conf_pos pos)
{
    const struct files_conf *files = c->files ? c->files->local_conf : NULL;
    const struct target *outer = is_set(around->target) ? around->target : NULL;
    if (!files)
        files = files_of(outer);
    if (files)
        c->look = *files;
    if (c->root.len == 0)
        c->root = files ? files->root : outer && outer->fastcgi ? outer->fastcgi->root : SLICE("");
    if (c->root.len == 0 && c->split.len > 0) {
        diag_error(b->diag, pos, "'fastcgi' needs root=FOLDER, or `files` beside it");
        diag_hint(b->diag, "split=off is for applications that are not made of files");
        return;
    }
    if (!files)
        look_without_files(b, c, pos);
    if (!c->check_file || c->split.len == 0)
        c->look.root = SLICE("");
}

void fastcgi_finish(struct conf_build *b, struct settings *own, const struct settings *around)
{
    const struct target *t = own->target;
    if (is_set(t) && t->fastcgi)
        root_find(b, t->fastcgi, around, t->pos);
}

void fastcgi_explain(const struct target *t, struct text *out)
{
    const struct fastcgi_conf *c = t->fastcgi;
    text_addf(out, "root=%.*s", SLICE_ARG(c->root));
    if (c->fallback.len > 0)
        text_addf(out, " try=%.*s", SLICE_ARG(c->fallback));
    if (c->split.len == 0)
        text_addf(out, " split=off");
    if (c->files)
        text_addf(out, ", beside files of %.*s",
                  SLICE_ARG(((const struct files_conf *)c->files->local_conf)->root));
}
