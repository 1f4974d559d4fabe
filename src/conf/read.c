/* read.c - a configuration file with its includes and snippets, as one tree.
 *
 * Every file is parsed into raw blocks; these are then moved into the tree one directive after
 * the other: words are filled in, `include` is replaced by what the files hold, `use` by a copy of
 * the snippet's body with its parameters bound. Both are bounded in depth and a snippet in the
 * number of directives it makes, so that a small file cannot unfold into a huge one. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "conf/conf_mem_priv.h"
#include "conf/read_priv.h"

struct snippet {
    const struct conf_node *node; /* raw: define NAME PARAM... { body } */
    struct conf_word *params;
    uint32_t param_count;
    bool active; /* being unfolded */
};

/* The file being read and those that include it. */
struct file_chain {
    const struct file_chain *up;
    const char *path;
};

struct reader {
    struct conf_subst subst;
    struct conf_tree *tree;
    struct hash_map snippets;
    const struct file_chain *files;
    uint32_t depth;      /* of blocks */
    uint32_t read_depth; /* of files and snippets */
    uint32_t file_cap;
    uint32_t unfolded_nodes;
};

static void expand(struct reader *r, struct conf_node *parent, struct conf_node *n);

static void expand_all(struct reader *r, struct conf_node *parent, struct conf_node *first)
{
    for (struct conf_node *n = first, *next; n; n = next) {
        next = n->next;
        expand(r, parent, n);
    }
}

static void add_file(struct reader *r, struct conf_file *f)
{
    struct conf_tree *t = r->tree;
    if (t->file_count == r->file_cap) {
        struct conf_file **old = t->files;
        r->file_cap = r->file_cap ? 2 * r->file_cap : 8;
        t->files = conf_alloc(r->subst.arena, r->file_cap * sizeof(struct conf_file *));
        if (old)
            memcpy(t->files, old, t->file_count * sizeof(*old));
    }
    t->files[t->file_count++] = f;
}

/* Parses a text that lives in the arena and moves its directives under `parent`. */
static void expand_file(struct reader *r, struct conf_node *parent, const char *path,
                        struct slice text)
{
    struct conf_file *f = conf_alloc(r->subst.arena, sizeof(*f));
    *f = (struct conf_file){.path = path, .text = text};
    add_file(r, f);
    struct conf_node *raw = conf_alloc(r->subst.arena, sizeof(*raw));
    if (!conf_parse(r->subst.arena, r->subst.diag, f, raw))
        r->tree->broken = true;
    struct file_chain here = {.up = r->files, .path = path};
    const struct conf_params *params = r->subst.params;
    r->subst.params = NULL;
    r->files = &here;
    r->read_depth++;
    expand_all(r, parent, raw->children);
    r->read_depth--;
    r->files = here.up;
    r->subst.params = params;
}

static void load_file(struct reader *r, struct conf_node *parent, const char *path,
                      struct conf_pos pos)
{
    struct text content;
    text_init(&content);
    const struct conf_source *source = r->subst.source;
    const char *why = source->load(source, path, CONF_FILE_MAX_BYTES, &content);
    if (why) {
        diag_error(r->subst.diag, pos, "cannot read '%s': %s", path, why);
        text_release(&content);
        return;
    }
    struct slice text = conf_dup(r->subst.arena, text_slice(&content));
    if (content.len)
        explicit_bzero(content.at, content.len); /* it may hold secrets */
    text_release(&content);
    expand_file(r, parent, path, text);
}

static bool too_deep(struct reader *r, const struct conf_node *n)
{
    if (r->read_depth < CONF_READ_DEPTH_MAX)
        return false;
    diag_error(r->subst.diag, n->pos, "files and snippets are nested deeper than %d",
               CONF_READ_DEPTH_MAX);
    return true;
}

static bool is_being_read(const struct reader *r, const char *path)
{
    for (const struct file_chain *f = r->files; f; f = f->up) {
        if (strcmp(f->path, path) == 0)
            return true;
    }
    return false;
}

struct include {
    struct reader *reader;
    struct conf_node *parent;
    const struct conf_word *word;
};

static void include_one(void *ctx, const char *path)
{
    struct include *in = ctx;
    struct reader *r = in->reader;
    if (is_being_read(r, path)) {
        diag_error(r->subst.diag, in->word->pos, "'%s' includes itself", path);
        return;
    }
    load_file(r, in->parent, conf_dup(r->subst.arena, slice_of(path)).at, in->word->pos);
}

static bool is_glob(struct slice s)
{
    return slice_find(s, '*') < s.len || slice_find(s, '?') < s.len || slice_find(s, '[') < s.len;
}

static void expand_include(struct reader *r, struct conf_node *parent, struct conf_node *n)
{
    if (n->word_count != 2 || n->has_block) {
        diag_error(r->subst.diag, n->pos, "'include' takes one file or pattern");
        diag_hint(r->subst.diag, "such as: include conf.d/*.conf");
        return;
    }
    if (too_deep(r, n))
        return;
    const struct conf_word *w = &n->words[1];
    struct include in = {.reader = r, .parent = parent, .word = w};
    struct slice path = conf_path_from(r->subst.arena, w->pos.file->path, w->text);
    if (is_glob(w->text))
        r->subst.source->glob(r->subst.source, path.at, include_one, &in);
    else
        include_one(&in, path.at);
}

static bool is_param_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i] | 0x20;
        bool letter = (c >= 'a' && c <= 'z') || s.at[i] == '_';
        if (!letter && (i == 0 || s.at[i] < '0' || s.at[i] > '9'))
            return false;
    }
    return s.len > 0;
}

static bool params_are_names(struct reader *r, const struct snippet *s)
{
    for (uint32_t i = 0; i < s->param_count; i++) {
        const struct conf_word *w = &s->params[i];
        if (!is_param_name(w->text)) {
            diag_error(r->subst.diag, w->pos, "'%.*s' cannot name a parameter", SLICE_ARG(w->text));
            diag_hint(r->subst.diag, "letters, digits and '_'; its value is ${NAME} in the body");
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (slice_eq(w->text, s->params[j].text)) {
                diag_error(r->subst.diag, w->pos, "parameter '%.*s' is named twice",
                           SLICE_ARG(w->text));
                return false;
            }
        }
    }
    return true;
}

static void expand_define(struct reader *r, struct conf_node *parent, struct conf_node *n)
{
    struct diag *d = r->subst.diag;
    if (parent != &r->tree->root || r->subst.params) {
        diag_error(d, n->pos, "'define' may stand only at the top level of a file");
        return;
    }
    if (n->word_count < 2 || !n->has_block) {
        diag_error(d, n->pos, "'define' takes a name, parameters and a block");
        diag_hint(d, "such as: define internal NET { allow ${NET} }");
        return;
    }
    for (uint32_t i = 1; i < n->word_count; i++)
        conf_subst_word(&r->subst, &n->words[i]);
    struct slice name = n->words[1].text;
    const struct snippet *old = hash_map_find(&r->snippets, name);
    if (old) {
        diag_error(d, n->words[1].pos, "snippet '%.*s' is defined twice", SLICE_ARG(name));
        diag_hint(d, "first in %s:%u", old->node->pos.file->path, old->node->pos.line);
        return;
    }
    struct snippet *s = conf_alloc(r->subst.arena, sizeof(*s));
    *s = (struct snippet){.node = n, .params = n->words + 2, .param_count = n->word_count - 2};
    if (params_are_names(r, s))
        hash_map_put(&r->snippets, name, s);
}

/* A copy of a snippet's body, words raw, that knows where it is used. NULL when snippets have made
 * too much. */
static struct conf_node *copy_node(struct reader *r, const struct conf_node *from,
                                   const struct conf_pos *used)
{
    if (r->unfolded_nodes == CONF_UNFOLDED_NODES_MAX)
        return NULL;
    r->unfolded_nodes++;
    struct conf_node *n = conf_alloc(r->subst.arena, sizeof(*n));
    *n = (struct conf_node){.word_count = from->word_count,
                            .has_block = from->has_block,
                            .pos = from->pos,
                            .block_pos = from->block_pos};
    n->words = conf_alloc(r->subst.arena, n->word_count * sizeof(*n->words));
    memcpy(n->words, from->words, n->word_count * sizeof(*n->words));
    n->pos.used = n->block_pos.used = used;
    for (uint32_t i = 0; i < n->word_count; i++)
        n->words[i].pos.used = used;
    CONF_NODE_EACH(child, from)
    {
        struct conf_node *copy = copy_node(r, child, used);
        if (!copy)
            return NULL;
        conf_node_append(n, copy);
    }
    return n;
}

static struct snippet *snippet_find(struct reader *r, const struct conf_node *use)
{
    struct diag *d = r->subst.diag;
    if (use->word_count < 2 || use->has_block) {
        diag_error(d, use->pos, "'use' takes the name of a snippet and its values");
        return NULL;
    }
    const struct conf_word *w = &use->words[1];
    struct snippet *s = hash_map_find(&r->snippets, w->text);
    if (!s) {
        struct slice names[DIAG_MAX];
        size_t count = 0;
        struct hash_slot *slot;
        diag_error(d, w->pos, "no snippet '%.*s' is defined above", SLICE_ARG(w->text));
        for (uint32_t at = 0; count < DIAG_MAX && (slot = hash_map_next(&r->snippets, &at));)
            names[count++] = slot->key;
        diag_nearest(d, w->text, names, count);
        return NULL;
    }
    uint32_t given = use->word_count - 2;
    if (given != s->param_count) {
        diag_error(d, w->pos, "snippet '%.*s' takes %u value%s, not %u", SLICE_ARG(w->text),
                   s->param_count, s->param_count == 1 ? "" : "s", given);
        diag_hint(d, "it is defined in %s:%u", s->node->pos.file->path, s->node->pos.line);
        return NULL;
    }
    if (s->active) {
        diag_error(d, w->pos, "snippet '%.*s' uses itself", SLICE_ARG(w->text));
        return NULL;
    }
    return s;
}

static void expand_use(struct reader *r, struct conf_node *parent, struct conf_node *n)
{
    struct snippet *s = snippet_find(r, n);
    if (!s || too_deep(r, n))
        return;
    struct conf_node *body = copy_node(r, s->node, &n->pos);
    if (!body) {
        diag_error(r->subst.diag, n->pos, "snippets make more than %d directives",
                   CONF_UNFOLDED_NODES_MAX);
        return;
    }
    struct conf_params bound = {s->params, n->words + 2, s->param_count};
    const struct conf_params *outer = r->subst.params;
    r->subst.params = &bound;
    s->active = true;
    r->read_depth++;
    expand_all(r, parent, body->children);
    r->read_depth--;
    s->active = false;
    r->subst.params = outer;
}

static void expand_plain(struct reader *r, struct conf_node *parent, struct conf_node *n)
{
    struct conf_node *first = n->children;
    n->children = n->last_child = NULL;
    conf_node_append(parent, n);
    if (!first)
        return;
    if (r->depth == CONF_DEPTH_MAX) {
        diag_error(r->subst.diag, n->pos, "blocks are nested deeper than %d", CONF_DEPTH_MAX);
        return;
    }
    r->depth++;
    expand_all(r, n, first);
    r->depth--;
}

static void expand(struct reader *r, struct conf_node *parent, struct conf_node *n)
{
    struct slice raw_name = n->words[0].text; /* still raw: "define" in quotes is no keyword */
    if (slice_eq(raw_name, SLICE("define"))) {
        expand_define(r, parent, n);
        return;
    }
    for (uint32_t i = 0; i < n->word_count; i++)
        conf_subst_word(&r->subst, &n->words[i]);
    if (slice_eq(raw_name, SLICE("include")))
        expand_include(r, parent, n);
    else if (slice_eq(raw_name, SLICE("use")))
        expand_use(r, parent, n);
    else
        expand_plain(r, parent, n);
}

struct conf_tree *conf_read_from(const struct conf_source *source, struct arena *a, struct diag *d,
                                 const char *path, struct slice text)
{
    struct conf_tree *t = conf_alloc(a, sizeof(*t));
    t->arena = a;
    struct reader r = {.subst = {.arena = a, .diag = d, .source = source, .secrets = &t->secrets},
                       .tree = t};
    d->secrets = &t->secrets;
    text_init(&r.subst.scratch);
    hash_map_init(&r.snippets);
    path = conf_dup(a, slice_of(path)).at;
    if (text.at)
        expand_file(&r, &t->root, path, conf_dup(a, text));
    else
        load_file(&r, &t->root, path, (struct conf_pos){0});
    hash_map_release(&r.snippets);
    if (r.subst.scratch.at)
        explicit_bzero(r.subst.scratch.at, r.subst.scratch.cap);
    text_release(&r.subst.scratch);
    return t;
}

struct conf_tree *conf_read(struct arena *a, struct diag *d, const char *path, struct slice text)
{
    return conf_read_from(&conf_source_system, a, d, path, text);
}
