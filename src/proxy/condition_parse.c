/* condition_parse.c - the words of `when` as a tree of tests (recursive descent).
 *
 *     any  = all { "or" all } ;             all  = unit { "and" unit } ;
 *     unit = "not" unit | "(" any ")" | test ;
 *     test = SUBJECT [ ( "==" | "!=" | "~" | "!~" ) VALUE | [ "not" ] "in" VALUE { VALUE } ] ;
 *
 * Parentheses may touch bare words: "(method == POST)". Where a value is due a "(" belongs to it,
 * and a ")" at its end only when it closes one inside: so `path ~ ^/(a|b)` needs no quotes.
 * Values that could never be equal (a method in lower case, a path without "/") are errors. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "conf/snapshot.h"
#include "http/field.h"
#include "proxy/client_geo.h"
#include "proxy/condition_priv.h"
#include "proxy/variable.h"

enum { DEPTH_MAX = 32, VALUES_MAX = 255 };

struct parser {
    struct conf_build *build;
    const struct conf_word *words;
    uint32_t count;
    uint32_t at;   /* word */
    size_t offset; /* in it: a bare word may hold several tokens */
    uint32_t depth;
    bool known; /* who asks is known */
};

enum token_kind { TOKEN_END, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_TEXT };

struct token {
    enum token_kind kind;
    struct conf_word word; /* its own text and position */
};

struct subject {
    const char *name; /* "header." takes a name */
    enum subject_id id;
    bool optional; /* may be tested for being there at all */
    bool late;     /* known once it is known who asks */
};

static const struct subject subjects[] = {
    {"method", SUBJECT_METHOD, false},   {"host", SUBJECT_HOST, false},
    {"path", SUBJECT_PATH, false},       {"query", SUBJECT_QUERY, true},
    {"query.", SUBJECT_QUERY_ARG, true}, {"header.", SUBJECT_HEADER, true},
    {"cookie.", SUBJECT_COOKIE, true},   {"ip", SUBJECT_IP, false},
    {"country", SUBJECT_COUNTRY, true},  {"asn", SUBJECT_ASN, true},
    {"scheme", SUBJECT_SCHEME, false},   {"proto", SUBJECT_PROTO, false},
    {"user", SUBJECT_USER, true, true},  {"claim.", SUBJECT_CLAIM, true, true},
};
static const struct subject a_variable = {"a variable", SUBJECT_VARIABLE, true};
enum { SUBJECT_COUNT = sizeof(subjects) / sizeof(*subjects) };

/* Tokens */

static struct conf_word part_of(const struct conf_word *w, size_t from, size_t len)
{
    struct conf_word part = *w;
    part.text = (struct slice){w->text.at + from, len};
    if (w->text.len == w->pos.len) { /* it stands as it was written */
        part.pos.col += (uint32_t)from;
        part.pos.len = (uint32_t)len;
    }
    return part;
}

/* Bytes of `s` without the ")" at its end that close nothing inside it. */
static size_t balanced_len(struct slice s)
{
    int open = 0;
    size_t end = s.len;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '\\')
            i++;
        else if (s.at[i] == '(')
            open++;
        else if (s.at[i] == ')')
            open--;
    }
    for (; open < 0 && end > 0 && s.at[end - 1] == ')'; open++)
        end--;
    return end;
}

static struct token take(struct parser *p, enum token_kind kind, size_t len)
{
    const struct conf_word *w = &p->words[p->at];
    struct token t = {kind, part_of(w, p->offset, len)};
    p->offset += len;
    if (p->offset >= w->text.len) {
        p->at++;
        p->offset = 0;
    }
    return t;
}

static struct token end_token(const struct parser *p)
{
    struct token t = {TOKEN_END, p->words[p->count - 1]};
    t.word.pos.col += t.word.pos.len;
    t.word.pos.len = 0;
    return t;
}

static struct token next(struct parser *p, bool value_due)
{
    if (p->at == p->count)
        return end_token(p);
    const struct conf_word *w = &p->words[p->at];
    struct slice rest = slice_from(w->text, p->offset);
    if (w->quote != CONF_BARE || rest.len == 0)
        return take(p, TOKEN_TEXT, rest.len);
    if (rest.at[0] == ')')
        return take(p, TOKEN_CLOSE, 1);
    if (rest.at[0] == '(' && !value_due)
        return take(p, TOKEN_OPEN, 1);
    size_t len = balanced_len(rest);
    return take(p, TOKEN_TEXT, len > 0 ? len : rest.len);
}

static struct token peek(const struct parser *p)
{
    struct parser copy = *p;
    return next(&copy, false);
}

static bool is_keyword(const struct token *t, struct slice word)
{
    return t->kind == TOKEN_TEXT && t->word.quote == CONF_BARE && slice_eq(t->word.text, word);
}

static bool take_keyword(struct parser *p, struct slice word)
{
    struct token t = peek(p);
    if (!is_keyword(&t, word))
        return false;
    next(p, false);
    return true;
}

/* Nodes */

static struct condition *new_node(struct parser *p, enum condition_kind kind)
{
    struct condition *c = ARENA_NEW(p->build->arena, struct condition);
    if (c)
        c->kind = kind;
    else
        diag_error(p->build->diag, p->words[0].pos, "the configuration is too large");
    return c;
}

static const struct condition *join(struct parser *p, enum condition_kind kind,
                                    const struct condition *left, const struct condition *right)
{
    struct condition *c = left && (right || kind == CONDITION_NOT) ? new_node(p, kind) : NULL;
    if (!c)
        return NULL;
    c->left = left;
    c->right = right;
    return c;
}

/* Values */

static bool all_in(struct slice s, const char *set)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!memchr(set, s.at[i], strlen(set)))
            return false;
    }
    return s.len > 0;
}

/* As it is compared: as text. */
static bool is_asn(struct slice v)
{
    uint64_t number;
    return num_parse_u64(v, &number) == ERR_OK && number > 0 && number <= UINT32_MAX &&
           v.at[0] != '0';
}

static const char *value_wrong(enum subject_id id, struct slice v)
{
    switch (id) {
    case SUBJECT_METHOD:
        return field_is_token(v) && all_in(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_0123456789")
                   ? NULL
                   : "a method is due, in capitals: GET";
    case SUBJECT_PATH:
        return v.len > 0 && (v.at[0] == '/' || slice_eq(v, SLICE("*")))
                   ? NULL
                   : "a path is due, from its first '/' on";
    case SUBJECT_SCHEME:
        return slice_eq(v, SLICE("http")) || slice_eq(v, SLICE("https")) ? NULL
                                                                         : "http or https is due";
    case SUBJECT_PROTO:
        return slice_eq(v, SLICE("HTTP/1.0")) || slice_eq(v, SLICE("HTTP/1.1")) ||
                       slice_eq(v, SLICE("HTTP/2.0"))
                   ? NULL
                   : "HTTP/1.0, HTTP/1.1 or HTTP/2.0 is due";
    case SUBJECT_COUNTRY:
        return v.len == 2 && all_in(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
                   ? NULL
                   : "two capital letters are due: DE";
    case SUBJECT_ASN: return is_asn(v) ? NULL : "the number of an autonomous system is due: 64500";
    default: return NULL;
    }
}

/* Hosts are compared in lower case. */
static struct slice lower_copy(struct parser *p, struct slice s)
{
    struct slice copy = arena_dup(p->build->arena, s);
    for (size_t i = 0; copy.at && i < copy.len; i++) {
        char *c = (char *)copy.at + i;
        if (*c >= 'A' && *c <= 'Z')
            *c += 'a' - 'A';
    }
    return copy;
}

static bool set_value(struct parser *p, struct condition *c, const struct conf_word *w,
                      struct slice *to)
{
    const char *wrong = value_wrong(c->subject, w->text);
    if (wrong) {
        diag_error(p->build->diag, w->pos, "%s", wrong);
        return false;
    }
    *to = c->subject == SUBJECT_HOST ? lower_copy(p, w->text) : w->text;
    return to->at != NULL;
}

static bool set_prefix(struct parser *p, const struct conf_word *w, struct addr_prefix *to)
{
    if (addr_prefix_parse(w->text, to) == ERR_OK)
        return true;
    diag_error(p->build->diag, w->pos, "an address or prefix is due: 10.0.0.0/8");
    return false;
}

static bool set_values(struct parser *p, struct condition *c, const struct conf_word *words,
                       uint32_t count)
{
    struct slice *values = ARENA_ARRAY(p->build->arena, struct slice, count);
    struct addr_prefix *prefixes = ARENA_ARRAY(p->build->arena, struct addr_prefix, count);
    if (!values || !prefixes)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        bool ok = c->subject == SUBJECT_IP ? set_prefix(p, &words[i], &prefixes[i])
                                           : set_value(p, c, &words[i], &values[i]);
        if (!ok)
            return false;
    }
    c->values = values;
    c->prefixes = prefixes;
    c->value_count = count;
    return true;
}

static bool value_ends(const struct token *t)
{
    return t->kind == TOKEN_END || t->kind == TOKEN_CLOSE || is_keyword(t, SLICE("and")) ||
           is_keyword(t, SLICE("or"));
}

static bool parse_one_value(struct parser *p, struct condition *c, bool is_pattern)
{
    struct token t = next(p, true);
    if (t.kind != TOKEN_TEXT) {
        diag_error(p->build->diag, t.word.pos, "a value is due here");
        return false;
    }
    if (!is_pattern)
        return set_values(p, c, &t.word, 1);
    if (c->subject == SUBJECT_IP) {
        diag_error(p->build->diag, t.word.pos, "addresses have no '~': compare with '==' or 'in'");
        return false;
    }
    c->pattern = pattern_compile(p->build, &t.word);
    return c->pattern != NULL;
}

static bool parse_value_list(struct parser *p, struct condition *c)
{
    struct conf_word words[VALUES_MAX];
    uint32_t count = 0;
    for (struct token t = peek(p); !value_ends(&t) && count < VALUES_MAX; t = peek(p))
        words[count++] = next(p, true).word;
    struct token t = peek(p);
    if (count == 0 || !value_ends(&t)) {
        diag_error(p->build->diag, t.word.pos, "1 to %d values are due after 'in'", VALUES_MAX);
        return false;
    }
    return set_values(p, c, words, count);
}

/* Tests */

static const struct subject *subject_find(struct slice word, struct slice *name)
{
    size_t dot = slice_find(word, '.');
    struct slice key = dot < word.len ? slice_head(word, dot + 1) : word;
    *name = slice_from(word, key.len);
    for (size_t i = 0; i < SUBJECT_COUNT; i++) {
        if (slice_eq(slice_of(subjects[i].name), key) && (dot >= word.len || name->len > 0))
            return &subjects[i];
    }
    return NULL;
}

/* "$host" and "${host}" are "host"; any other variable is a subject, too. */
static struct slice undressed(struct slice word)
{
    struct slice s = slice_from(word, 1);
    bool braces = s.len > 2 && s.at[0] == '{' && s.at[s.len - 1] == '}';
    return braces ? (struct slice){s.at + 1, s.len - 2} : s;
}

static const struct subject *subject_read(struct slice word, struct condition *c)
{
    bool dressed = word.len > 1 && word.at[0] == '$';
    struct slice plain = dressed ? undressed(word) : word;
    const struct subject *s = subject_find(plain, &c->name);
    if (s || !dressed)
        return s;
    c->variable = variable_find(plain, &c->name);
    return c->variable && !c->variable->log_only ? &a_variable : NULL;
}

static void subject_error(struct parser *p, const struct token *t)
{
    struct slice names[SUBJECT_COUNT], word = t->word.text;
    size_t dot = slice_find(word, '.');
    if (t->kind != TOKEN_TEXT) {
        diag_error(p->build->diag, t->word.pos, "a condition is due here: path == /x");
        return;
    }
    for (size_t i = 0; i < SUBJECT_COUNT; i++)
        names[i] = slice_of(subjects[i].name);
    diag_error(p->build->diag, t->word.pos, "'%.*s' can not be tested", SLICE_ARG(word));
    diag_hint(p->build->diag, "one of method host path query query.NAME header.NAME cookie.NAME ip "
                              "country asn scheme proto $VARIABLE is due, with spaces around the "
                              "operator");
    diag_nearest(p->build->diag, dot < word.len ? slice_head(word, dot + 1) : word, names,
                 SUBJECT_COUNT);
}

static void late_error(struct parser *p, const struct token *t)
{
    diag_error(p->build->diag, t->word.pos, "'%.*s' is not known yet when a 'when' is looked at",
               SLICE_ARG(t->word.text));
    diag_hint(p->build->diag, "write it in the block of an auth: require %.*s == ...",
              SLICE_ARG(t->word.text));
}

/* What stands between subject and values; *negated for the operators with "!" and "not". */
static bool parse_op(struct parser *p, const struct subject *s, struct condition *c, bool *negated)
{
    *negated = false;
    if (take_keyword(p, SLICE("==")) || (*negated = take_keyword(p, SLICE("!=")))) {
        c->op = TEST_IN;
        return parse_one_value(p, c, false);
    }
    if (take_keyword(p, SLICE("~")) || (*negated = take_keyword(p, SLICE("!~")))) {
        c->op = TEST_MATCH;
        return parse_one_value(p, c, true);
    }
    *negated = take_keyword(p, SLICE("not"));
    if (take_keyword(p, SLICE("in"))) {
        c->op = TEST_IN;
        return parse_value_list(p, c);
    }
    struct token t = peek(p);
    c->op = TEST_PRESENT;
    if (!*negated && s->optional && value_ends(&t))
        return true;
    diag_error(p->build->diag, t.word.pos, "one of == != ~ !~ in is due after '%s'", s->name);
    return false;
}

static const struct condition *parse_test(struct parser *p)
{
    bool negated;
    struct token t = next(p, false);
    struct condition *c = new_node(p, CONDITION_TEST);
    if (!c)
        return NULL;
    const struct subject *s = t.kind == TOKEN_TEXT ? subject_read(t.word.text, c) : NULL;
    if (!s || (s->late && !p->known)) {
        s ? late_error(p, &t) : subject_error(p, &t);
        return NULL;
    }
    c->subject = s->id;
    if (s->id == SUBJECT_COUNTRY || s->id == SUBJECT_ASN)
        client_geo_asked(p->build, t.word.pos);
    if (!parse_op(p, s, c, &negated))
        return NULL;
    return negated ? join(p, CONDITION_NOT, c, NULL) : c;
}

static const struct condition *parse_any(struct parser *p);

static const struct condition *parse_group(struct parser *p)
{
    struct token open = next(p, false);
    const struct condition *c = parse_any(p);
    if (!c)
        return NULL;
    struct token t = next(p, false);
    if (t.kind == TOKEN_CLOSE)
        return c;
    diag_error(p->build->diag, open.word.pos, "this '(' is not closed");
    return NULL;
}

static const struct condition *parse_unit(struct parser *p)
{
    struct token t = peek(p);
    const struct condition *c;
    if (p->depth == DEPTH_MAX) {
        diag_error(p->build->diag, t.word.pos, "more than %d levels of 'not' and '('", DEPTH_MAX);
        return NULL;
    }
    p->depth++;
    if (take_keyword(p, SLICE("not")))
        c = join(p, CONDITION_NOT, parse_unit(p), NULL);
    else
        c = t.kind == TOKEN_OPEN ? parse_group(p) : parse_test(p);
    p->depth--;
    return c;
}

static const struct condition *parse_all(struct parser *p)
{
    const struct condition *c = parse_unit(p);
    while (c && take_keyword(p, SLICE("and")))
        c = join(p, CONDITION_AND, c, parse_unit(p));
    return c;
}

static const struct condition *parse_any(struct parser *p)
{
    const struct condition *c = parse_all(p);
    while (c && take_keyword(p, SLICE("or")))
        c = join(p, CONDITION_OR, c, parse_all(p));
    return c;
}

static const struct condition *compile(struct parser p)
{
    struct conf_build *b = p.build;
    const struct condition *c = parse_any(&p);
    struct token t = peek(&p);
    if (!c || t.kind == TOKEN_END)
        return c;
    diag_error(b->diag, t.word.pos, "'and' or 'or' is due before '%.*s'", SLICE_ARG(t.word.text));
    if (t.kind == TOKEN_TEXT)
        diag_hint(b->diag, "several values need 'in', a value with spaces needs quotes");
    return NULL;
}

const struct condition *condition_compile(struct conf_build *b, const struct conf_word *words,
                                          uint32_t count)
{
    return compile((struct parser){.build = b, .words = words, .count = count});
}

const struct condition *condition_compile_known(struct conf_build *b, const struct conf_word *words,
                                                uint32_t count)
{
    return compile((struct parser){.build = b, .words = words, .count = count, .known = true});
}
