/* template.c - words with variables, as a list of pieces.
 *
 * "$name" ends before the first byte that can not be in a name; a dot belongs to it only after a
 * family ("$header.Host", but "$host.example.com" is the host and ".example.com"). "${name}" may
 * hold any header name. Evaluation asks every variable once, then allocates once. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/template.h"
#include "proxy/exchange.h"

struct template
{
    const struct template_piece *pieces;
    uint32_t count;
};

struct parser {
    struct conf_build *build;
    const struct conf_word *word;
    bool captures, log;
    size_t at; /* in word->text */
    struct template_piece pieces[TEMPLATE_PIECES_MAX];
    uint32_t count;
};

/* Where byte `at` of the word stands in the file; the whole word when it is not as it was written.
 */
static struct conf_pos pos_at(const struct conf_word *w, size_t at, size_t len)
{
    struct conf_pos pos = w->pos;
    size_t quotes = w->quote == CONF_BARE ? 0 : 1;
    if (w->pos.len != w->text.len + 2 * quotes)
        return pos;
    pos.col += (uint32_t)(quotes + at);
    pos.len = (uint32_t)len;
    return pos;
}

static bool add(struct parser *p, struct template_piece piece)
{
    if (p->count == TEMPLATE_PIECES_MAX) {
        diag_error(p->build->diag, p->word->pos, "more than %d variables and texts in one word",
                   TEMPLATE_PIECES_MAX);
        return false;
    }
    p->pieces[p->count++] = piece;
    return true;
}

static bool add_literal(struct parser *p, struct slice text)
{
    return text.len == 0 || add(p, (struct template_piece){.kind = PIECE_LITERAL, .text = text});
}

static bool add_variable(struct parser *p, struct slice name, struct conf_pos pos)
{
    struct slice arg = SLICE("");
    const struct variable *v = variable_find(name, &arg);
    if (!v) {
        diag_error(p->build->diag, pos, "unknown variable '$%.*s'", SLICE_ARG(name));
        variable_nearest(p->build->diag, name);
        return false;
    }
    if (v->log_only && !p->log) {
        diag_error(p->build->diag, pos, "'$%.*s' is known only in the access log", SLICE_ARG(name));
        return false;
    }
    return add(p, (struct template_piece){PIECE_VARIABLE, v, arg, 0});
}

static bool add_capture(struct parser *p, char digit, struct conf_pos pos)
{
    if (!p->captures) {
        diag_error(p->build->diag, pos, "'$%c' has no regular expression to take a group from",
                   digit);
        return false;
    }
    return add(p,
               (struct template_piece){.kind = PIECE_CAPTURE, .capture = (uint32_t)(digit - '0')});
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t name_len(struct slice s)
{
    size_t len = 0;
    while (len < s.len && is_name_char(s.at[len]))
        len++;
    return len;
}

/* The name at the front of `s`, the argument of a family included. */
static struct slice name_of(struct slice s)
{
    size_t len = name_len(s);
    struct slice rest = slice_from(s, len), arg;
    if (rest.len < 2 || rest.at[0] != '.')
        return slice_head(s, len);
    size_t more = name_len(slice_from(rest, 1));
    struct slice whole = slice_head(s, len + 1 + more);
    return more > 0 && variable_find(whole, &arg) ? whole : slice_head(s, len);
}

static bool dollar_error(struct parser *p, size_t at, const char *what)
{
    diag_error(p->build->diag, pos_at(p->word, at, 1), "%s", what);
    diag_hint(p->build->diag, "write $$ for a dollar sign");
    return false;
}

static bool parse_braced(struct parser *p, struct slice rest)
{
    size_t end = slice_find(rest, '}');
    if (end == rest.len)
        return dollar_error(p, p->at, "'${' without '}'");
    struct slice name = {rest.at + 2, end - 2};
    struct conf_pos pos = pos_at(p->word, p->at, end + 1);
    p->at += end + 1;
    if (name.len == 1 && name.at[0] >= '1' && name.at[0] <= '9')
        return add_capture(p, name.at[0], pos);
    return add_variable(p, name, pos);
}

/* At a '$'. */
static bool parse_dollar(struct parser *p)
{
    struct slice rest = slice_from(p->word->text, p->at);
    char next = rest.len > 1 ? rest.at[1] : '\0';
    if (next == '$') {
        p->at += 2;
        return add_literal(p, slice_head(rest, 1));
    }
    if (next == '{')
        return parse_braced(p, rest);
    if (next >= '1' && next <= '9') {
        struct conf_pos pos = pos_at(p->word, p->at, 2);
        p->at += 2;
        return add_capture(p, next, pos);
    }
    struct slice name = name_of(slice_from(rest, 1));
    if (name.len == 0)
        return dollar_error(p, p->at, "a variable's name is due after '$'");
    struct conf_pos pos = pos_at(p->word, p->at, name.len + 1);
    p->at += name.len + 1;
    return add_variable(p, name, pos);
}

static bool parse(struct parser *p)
{
    struct slice text = p->word->text;
    if (p->word->quote == CONF_RAW)
        return add_literal(p, text);
    while (p->at < text.len) {
        struct slice rest = slice_from(text, p->at);
        size_t plain = slice_find(rest, '$');
        if (!add_literal(p, slice_head(rest, plain)))
            return false;
        p->at += plain;
        if (p->at < text.len && !parse_dollar(p))
            return false;
    }
    return true;
}

/* "$$" cuts a literal in two: neighbours are joined again. */
static bool join_literals(struct parser *p)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        struct template_piece *last = kept > 0 ? &p->pieces[kept - 1] : NULL;
        struct template_piece piece = p->pieces[i];
        if (!last || last->kind != PIECE_LITERAL || piece.kind != PIECE_LITERAL) {
            p->pieces[kept++] = piece;
            continue;
        }
        last->text =
            arena_printf(p->build->arena, "%.*s%.*s", SLICE_ARG(last->text), SLICE_ARG(piece.text));
        if (!last->text.at)
            return false;
    }
    p->count = kept;
    return true;
}

static const struct template *finish(struct parser *p)
{
    struct template *t = ARENA_NEW(p->build->arena, struct template);
    struct template_piece *pieces =
        ARENA_ARRAY(p->build->arena, struct template_piece, p->count + 1);
    if (!t || !pieces || !join_literals(p)) {
        diag_error(p->build->diag, p->word->pos, "the configuration is too large");
        return NULL;
    }
    memcpy(pieces, p->pieces, p->count * sizeof(*pieces));
    *t = (struct template){pieces, p->count};
    return t;
}

static const struct template *compile(struct parser *p)
{
    return parse(p) ? finish(p) : NULL;
}

const struct template *template_compile(struct conf_build *b, const struct conf_word *w,
                                        bool captures)
{
    struct parser p = {.build = b, .word = w, .captures = captures};
    return compile(&p);
}

const struct template *template_compile_log(struct conf_build *b, const struct conf_word *w)
{
    struct parser p = {.build = b, .word = w, .log = true};
    return compile(&p);
}

bool template_is_literal(const struct template *t, struct slice *text)
{
    if (t->count > 1 || (t->count == 1 && t->pieces[0].kind != PIECE_LITERAL))
        return false;
    *text = t->count == 0 ? SLICE("") : t->pieces[0].text;
    return true;
}

const struct template_piece *template_pieces(const struct template *t, uint32_t *count)
{
    *count = t->count;
    return t->pieces;
}

/* What needs no memory of its own; a variable that is written yields its greatest length with .at
 * NULL. */
static struct slice piece_borrow(const struct template_piece *p, struct exchange *x,
                                 const struct slice *captures)
{
    switch (p->kind) {
    case PIECE_LITERAL: return p->text;
    case PIECE_CAPTURE: return captures ? captures[p->capture] : SLICE_NONE;
    case PIECE_VARIABLE: break;
    }
    if (!p->variable->get)
        return (struct slice){NULL, VARIABLE_WRITE_BYTES};
    return p->variable->get(x, p->text);
}

static size_t piece_put(const struct template_piece *p, struct exchange *x, struct slice borrowed,
                        char *to)
{
    if (p->kind == PIECE_VARIABLE && !p->variable->get)
        return p->variable->write(x, to);
    if (borrowed.len > 0)
        memcpy(to, borrowed.at, borrowed.len);
    return borrowed.len;
}

struct slice template_eval(const struct template *t, struct exchange *x,
                           const struct slice *captures)
{
    struct slice parts[TEMPLATE_PIECES_MAX];
    size_t room = 0, len = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        parts[i] = piece_borrow(&t->pieces[i], x, captures);
        room += parts[i].len;
    }
    if (room == 0)
        return SLICE("");
    if (t->count == 1 && parts[0].at)
        return parts[0];
    char *to = arena_alloc(&x->arena, room);
    if (!to)
        return SLICE_NONE;
    for (uint32_t i = 0; i < t->count; i++)
        len += piece_put(&t->pieces[i], x, parts[i], to + len);
    return (struct slice){to, len};
}
