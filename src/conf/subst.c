/* subst.c - the text of a word: quotes, escapes, and what is known before run time.
 *
 * ${NAME} of a snippet's parameter, ${env.NAME}, ${env.NAME:-default} and ${file:PATH} are put in
 * here; every other $ stays for run time. A value from outside never becomes a variable: a word
 * whose only dollar signs came with such values is marked raw, and one that mixes both is refused.
 * Words without any of this point into the file's text and cost nothing. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/conf_mem_priv.h"
#include "conf/read_priv.h"
#include "conf/secrets.h"

/* One part of a word while it is put together: the whole word, or its value after KEY=. */
struct part {
    struct conf_word *word;
    struct conf_pos pos;
    bool escapes;      /* in "..." */
    bool live_dollar;  /* a '$' that run time is to see */
    bool plain_dollar; /* one that it is not */
};

struct slice conf_path_from(struct arena *a, const char *from, struct slice name)
{
    const char *slash = strrchr(from, '/');
    if (!slash || (name.len && name.at[0] == '/'))
        return conf_dup(a, name);
    size_t folder = (size_t)(slash - from) + 1;
    char *at = conf_alloc(a, folder + name.len + 1);
    memcpy(at, from, folder);
    memcpy(at + folder, name.at, name.len);
    return (struct slice){at, folder + name.len};
}

static bool has_dollar(struct slice s)
{
    return slice_find(s, '$') < s.len;
}

static void add_plain(struct conf_subst *s, struct part *p, struct slice value)
{
    p->plain_dollar |= has_dollar(value);
    text_add(&s->scratch, value);
}

static void put_env(struct conf_subst *s, struct part *p, struct slice name)
{
    struct slice fallback = SLICE_NONE;
    for (size_t i = 0; i + 1 < name.len; i++) {
        if (name.at[i] == ':' && name.at[i + 1] == '-') {
            fallback = slice_from(name, i + 2);
            name.len = i;
            break;
        }
    }
    const char *value = s->source->env(s->source, conf_dup(s->arena, name).at);
    if (value && (*value || !fallback.at)) {
        if (conf_secret_env(name))
            conf_secret_add(s->arena, s->secrets, conf_dup(s->arena, slice_of(value)));
        add_plain(s, p, slice_of(value));
    } else if (fallback.at) {
        add_plain(s, p, fallback);
    } else {
        diag_error(s->diag, p->pos, "environment variable '%.*s' is not set", SLICE_ARG(name));
        diag_hint(s->diag, "a default can be given: ${env.%.*s:-VALUE}", SLICE_ARG(name));
    }
}

static void put_file(struct conf_subst *s, struct part *p, struct slice name)
{
    struct slice path = conf_path_from(s->arena, p->pos.file->path, name), line = SLICE_NONE;
    struct text content;
    text_init(&content);
    const char *why = s->source->load(s->source, path.at, CONF_VALUE_MAX_BYTES, &content);
    if (why) {
        diag_error(s->diag, p->pos, "cannot read '%.*s': %s", SLICE_ARG(path), why);
    } else if (content.len) {
        struct slice rest = text_slice(&content);
        slice_cut(&rest, '\n', &line);
        if (line.len && line.at[line.len - 1] == '\r')
            line.len--;
        line = slice_trim(line);
        conf_secret_add(s->arena, s->secrets, conf_dup(s->arena, line));
        add_plain(s, p, line);
        explicit_bzero(content.at, content.len);
    }
    text_release(&content);
}

static const struct conf_word *param_find(const struct conf_params *params, struct slice name)
{
    for (uint32_t i = 0; params && i < params->count; i++) {
        if (slice_eq(params->names[i].text, name))
            return &params->values[i];
    }
    return NULL;
}

static void put_param(struct conf_subst *s, struct part *p, const struct conf_word *value)
{
    if (value->quote == CONF_RAW)
        p->plain_dollar |= has_dollar(value->text);
    else
        p->live_dollar |= has_dollar(value->text);
    struct conf_filler *filler = conf_alloc(s->arena, sizeof(*filler));
    *filler = (struct conf_filler){.next = p->word->fillers, .word = value};
    p->word->fillers = filler;
    text_add(&s->scratch, value->text);
}

/* `ref` is "${...}" with its braces. */
static void put_reference(struct conf_subst *s, struct part *p, struct slice ref)
{
    struct slice name = {ref.at + 2, ref.len - 3};
    const struct conf_word *param = param_find(s->params, name);
    if (param) {
        put_param(s, p, param);
    } else if (slice_starts(name, SLICE("env."))) {
        put_env(s, p, slice_from(name, 4));
    } else if (slice_starts(name, SLICE("file:"))) {
        put_file(s, p, slice_from(name, 5));
    } else {
        p->live_dollar = true;
        text_add(&s->scratch, ref);
    }
}

/* Puts in the escape at the front of `rest` and returns its length. */
static size_t put_escape(struct conf_subst *s, struct part *p, struct slice rest)
{
    static const char pairs[] = "n\nr\rt\t\"\"\\\\";
    char c = rest.len > 1 ? rest.at[1] : '\0';
    for (const char *pair = pairs; *pair; pair += 2) {
        if (pair[0] == c) {
            text_add(&s->scratch, (struct slice){pair + 1, 1});
            return 2;
        }
    }
    if (c == '\n' || c == '\r') { /* the word goes on in the next line, after its indentation */
        size_t len = slice_find(rest, '\n') + 1;
        while (len < rest.len && (rest.at[len] == ' ' || rest.at[len] == '\t'))
            len++;
        return len;
    }
    diag_error(s->diag, p->pos, "unknown escape '\\%c' in a quoted word", c);
    diag_hint(s->diag, "known are \\n \\r \\t \\\" \\\\; in '...' a '\\' is just a '\\'");
    return rest.len > 1 ? 2 : 1;
}

static void put_text(struct conf_subst *s, struct part *p, struct slice text)
{
    size_t i = 0;
    while (i < text.len) {
        struct slice rest = slice_from(text, i);
        if (p->escapes && rest.at[0] == '\\') {
            i += put_escape(s, p, rest);
        } else if (slice_starts(rest, SLICE("${"))) {
            size_t len = slice_find(rest, '}') + 1;
            if (len > rest.len) {
                diag_error(s->diag, p->pos, "'${' is not closed");
                diag_hint(s->diag, "write '...' where a '$' is just a '$'");
                return;
            }
            put_reference(s, p, slice_head(rest, len));
            i += len;
        } else {
            p->live_dollar |= rest.at[0] == '$';
            text_add(&s->scratch, slice_head(rest, 1));
            i++;
        }
    }
}

static struct slice strip_quotes(struct slice raw, uint8_t quote)
{
    if (quote == CONF_BARE)
        return raw;
    char mark = quote == CONF_RAW ? '\'' : '"';
    raw = slice_from(raw, 1);
    if (raw.len && raw.at[raw.len - 1] == mark) /* not there after an error */
        raw.len--;
    return raw;
}

static bool needs_work(struct slice raw, uint8_t quote)
{
    if (quote == CONF_RAW)
        return false;
    if (quote == CONF_QUOTED && slice_find(raw, '\\') < raw.len)
        return true;
    for (size_t i = slice_find(raw, '$'); i + 1 < raw.len; i++) {
        if (raw.at[i] == '$' && raw.at[i + 1] == '{')
            return true;
    }
    return false;
}

static struct slice take_scratch(struct conf_subst *s, const struct part *p)
{
    s->unfolded_bytes += s->scratch.len;
    if (s->unfolded_bytes > CONF_UNFOLDED_BYTES_MAX) {
        if (s->unfolded_bytes - s->scratch.len <= CONF_UNFOLDED_BYTES_MAX)
            diag_error(s->diag, p->pos, "values that are put in take more than %d MB",
                       CONF_UNFOLDED_BYTES_MAX >> 20);
        return SLICE("");
    }
    return conf_dup(s->arena, text_slice(&s->scratch));
}

/* The word is nothing but one parameter: it becomes the argument, place and quotes included. */
static bool is_argument(struct conf_subst *s, struct conf_word *w)
{
    struct slice body = strip_quotes(w->text, w->quote);
    if (w->quote == CONF_RAW || !slice_starts(body, SLICE("${")) || !slice_ends(body, SLICE("}")))
        return false;
    const struct conf_word *value =
        param_find(s->params, (struct slice){body.at + 2, body.len - 3});
    if (value)
        *w = *value;
    return value != NULL;
}

static void mark_dollars(struct conf_subst *s, const struct part *p, uint8_t *quote)
{
    if (p->plain_dollar && p->live_dollar) {
        diag_error(s->diag, p->pos, "a value put in here has a '$', and the word has variables");
        diag_hint(s->diag, "put the two in words of their own");
    } else if (p->plain_dollar) {
        *quote = CONF_RAW;
    }
}

void conf_subst_word(struct conf_subst *s, struct conf_word *w)
{
    if (s->params && is_argument(s, w))
        return;
    bool split = w->value_quote != CONF_BARE; /* KEY="..." */
    struct slice head = split ? slice_head(w->text, w->value_at) : SLICE_NONE;
    struct slice body = split ? slice_from(w->text, w->value_at) : w->text;
    uint8_t quote = split ? w->value_quote : w->quote;
    body = strip_quotes(body, quote);
    bool work = needs_work(body, quote);
    if (!work && !split) {
        w->text = body;
        return;
    }
    struct part p = {.word = w, .pos = w->pos, .escapes = quote == CONF_QUOTED};
    s->scratch.len = 0;
    text_add(&s->scratch, head);
    if (work)
        put_text(s, &p, body);
    else
        text_add(&s->scratch, body);
    w->text = take_scratch(s, &p);
    mark_dollars(s, &p, w->value_at ? &w->value_quote : &w->quote);
}
