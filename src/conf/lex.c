/* lex.c - words, braces, ends and comments of a configuration file.
 *
 * A word is bare, "quoted" or 'raw'; a bare KEY= may be followed by a quoted or raw value. A quote
 * anywhere else in a bare word is an ordinary character, ${...} is taken whole, and text glued to
 * a closing quote or a '#' glued to a word are errors, because both are usually mistakes that
 * would otherwise change the meaning silently. Quotes end on their line, so that a forgotten one
 * is reported where it stands; "..." goes on after a "\" at the end of the line. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/lex_priv.h"

enum { TAB_COLUMNS = 4 };

static const struct slice order_mark = SLICE_INIT("\xef\xbb\xbf"); /* of some editors */

void conf_lex_init(struct conf_lexer *l, const struct conf_file *file, struct diag *d)
{
    *l = (struct conf_lexer){.file = file, .diag = d, .line = 1, .fresh_line = true};
    if (slice_starts(file->text, order_mark))
        l->at = order_mark.len;
}

static bool at_end(const struct conf_lexer *l)
{
    return l->at >= l->file->text.len;
}

/* The byte `ahead` from here, or NUL past the end. */
static char peek(const struct conf_lexer *l, size_t ahead)
{
    size_t at = l->at + ahead;
    return at < l->file->text.len ? l->file->text.at[at] : '\0';
}

static struct conf_pos pos_at(const struct conf_lexer *l, size_t at, size_t len)
{
    return (struct conf_pos){.file = l->file,
                             .line = l->line,
                             .col = (uint32_t)(at - l->line_start) + 1,
                             .len = (uint32_t)len};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f;
}

/* Bytes of the end of line `ahead` from here: 1, 2 with a carriage return, 0 when there is none. */
static size_t newline_len(const struct conf_lexer *l, size_t ahead)
{
    if (peek(l, ahead) == '\n')
        return 1;
    return peek(l, ahead) == '\r' && peek(l, ahead + 1) == '\n' ? 2 : 0;
}

static void start_line(struct conf_lexer *l)
{
    l->line++;
    l->line_start = l->at;
    l->indent = 0;
    l->fresh_line = true;
}

static bool skip_continuation(struct conf_lexer *l)
{
    size_t newline = peek(l, 0) == '\\' ? newline_len(l, 1) : 0;
    if (newline == 0)
        return false;
    l->at += 1 + newline;
    start_line(l);
    return true;
}

static void skip_control(struct conf_lexer *l)
{
    diag_error(l->diag, pos_at(l, l->at, 1), "control character 0x%02x", (uint8_t)peek(l, 0));
    l->at++;
}

/* Skips blanks and continued ends of lines; true when there was one of the latter. */
static bool skip_blanks(struct conf_lexer *l)
{
    bool continued = false;
    while (!at_end(l)) {
        char c = peek(l, 0);
        if (is_control(c)) {
            skip_control(l);
        } else if (is_blank(c)) {
            if (l->fresh_line)
                l->indent += c == '\t' ? TAB_COLUMNS : 1;
            l->at++;
        } else if (skip_continuation(l)) {
            continued = true;
        } else {
            break;
        }
    }
    return continued;
}

/* Moves past "${...}". Without its end on this line: error, and past the "${" only. */
static void lex_reference(struct conf_lexer *l)
{
    size_t len = 2;
    while (peek(l, len) != '}' && peek(l, len) != '\n' && l->at + len < l->file->text.len)
        len++;
    if (peek(l, len) == '}') {
        l->at += len + 1;
        return;
    }
    diag_error(l->diag, pos_at(l, l->at, 2), "'${' is not closed");
    diag_hint(l->diag, "a '}' is due on the same line; write '...' where a '$' is just a '$'");
    l->broken = true;
    l->at += 2;
}

/* Moves past the rest of a quoted or raw text whose opening quote stands here. */
static void lex_quoted(struct conf_lexer *l)
{
    size_t start = l->at;
    struct conf_pos open = pos_at(l, start, 1);
    char quote = peek(l, 0);
    l->at++;
    while (!at_end(l) && peek(l, 0) != quote && peek(l, 0) != '\n') {
        if (is_control(peek(l, 0)))
            skip_control(l);
        else if (quote == '\'' || peek(l, 0) != '\\')
            l->at++;
        else if (!skip_continuation(l))
            l->at += l->at + 1 < l->file->text.len && peek(l, 1) != '\n' ? 2 : 1;
    }
    if (peek(l, 0) == quote && !at_end(l)) {
        l->at++;
        return;
    }
    diag_error(l->diag, open, "this quote is not closed");
    diag_hint(l->diag, "a %c is due on the same line", quote);
    l->broken = true;
}

static bool ends_word(const struct conf_lexer *l)
{
    char c = peek(l, 0);
    return at_end(l) || is_blank(c) || c == '\n' || c == ';' || c == '{' || c == '}' ||
           (c == '\\' && newline_len(l, 1));
}

/* Is `key` followed by a '=' what an option is written with? */
static bool is_key(struct slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        char c = key.at[i];
        if (!((c >= 'a' && c <= 'z') || c == '_' || (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return key.len > 0;
}

static struct slice raw_from(const struct conf_lexer *l, size_t start)
{
    return (struct slice){l->file->text.at + start, l->at - start};
}

/* After "KEY=": notes where the value starts and moves past it when it is in quotes. */
static void lex_value(struct conf_lexer *l, size_t start, struct conf_token *t)
{
    t->value_at = (uint32_t)(l->at - start);
    if (peek(l, 0) == '"' || peek(l, 0) == '\'') {
        t->value_quote = peek(l, 0) == '"' ? CONF_QUOTED : CONF_RAW;
        lex_quoted(l);
    }
}

static void refuse_glued_comment(struct conf_lexer *l)
{
    diag_error(l->diag, pos_at(l, l->at, 1), "a '#' inside a word");
    diag_hint(l->diag, "put a space before it to start a comment, or the word in quotes");
    l->at++;
}

/* It can not be seen, and `weir fmt` may move such a word to the front, where the mark is none. */
static void refuse_order_mark(struct conf_lexer *l, size_t start)
{
    if (!slice_starts(raw_from(l, start), order_mark))
        return;
    diag_error(l->diag, pos_at(l, start, order_mark.len), "a byte order mark inside the file");
    diag_hint(l->diag, "delete the three bytes EF BB BF before this word");
}

static void lex_bare(struct conf_lexer *l, struct conf_token *t)
{
    size_t start = l->at;
    while (!ends_word(l) && t->value_quote == CONF_BARE) {
        char c = peek(l, 0);
        if (c == '$' && peek(l, 1) == '{') {
            lex_reference(l);
        } else if (c == '#') {
            refuse_glued_comment(l);
        } else if (is_control(c)) {
            skip_control(l);
        } else if (c == '=' && t->value_at == 0 && is_key(raw_from(l, start))) {
            l->at++;
            lex_value(l, start, t);
        } else {
            l->at++;
        }
    }
    refuse_order_mark(l, start);
    if (t->value_quote == CONF_BARE && slice_ends(raw_from(l, start), SLICE("\\"))) {
        diag_error(l->diag, pos_at(l, l->at - 1, 1),
                   "a '\\' continues a line only at its very end");
        diag_hint(l->diag, "remove what follows it, or put the word in quotes");
    }
}

/* "a{2}" in an unquoted pattern would open a block. */
static void refuse_glued_brace(struct conf_lexer *l)
{
    if (peek(l, 0) != '{' || peek(l, 1) < '0' || peek(l, 1) > '9')
        return;
    diag_error(l->diag, pos_at(l, l->at, 1), "a '{' inside a word");
    diag_hint(l->diag, "put the pattern in '...'; a block's '{' stands after a space");
    l->broken = true;
}

static void refuse_glued_text(struct conf_lexer *l)
{
    diag_error(l->diag, pos_at(l, l->at, 1), "text right after a closing quote");
    diag_hint(l->diag, "put a space between, or the whole word in quotes");
    while (!ends_word(l))
        l->at++;
}

static void lex_word(struct conf_lexer *l, struct conf_token *t)
{
    size_t start = l->at, line_start = l->line_start;
    char c = peek(l, 0);
    t->kind = TOKEN_WORD;
    t->pos = pos_at(l, start, 0);
    t->quote = c == '"' ? CONF_QUOTED : c == '\'' ? CONF_RAW : CONF_BARE;
    if (t->quote == CONF_BARE)
        lex_bare(l, t);
    else
        lex_quoted(l);
    t->raw = raw_from(l, start);
    t->pos.len = (uint32_t)(line_start == l->line_start ? t->raw.len : 1);
    t->end_line = l->line;
    if (t->quote != CONF_BARE || t->value_quote != CONF_BARE) {
        if (!ends_word(l))
            refuse_glued_text(l);
    } else {
        refuse_glued_brace(l);
    }
}

static void lex_comment(struct conf_lexer *l, struct conf_token *t)
{
    size_t start = l->at;
    while (!at_end(l) && peek(l, 0) != '\n')
        l->at++;
    t->kind = TOKEN_COMMENT;
    t->raw = raw_from(l, start);
    while (t->raw.len && is_blank(t->raw.at[t->raw.len - 1]))
        t->raw.len--;
}

static uint8_t punctuation_kind(char c)
{
    return c == '{' ? TOKEN_OPEN : c == '}' ? TOKEN_CLOSE : TOKEN_END;
}

struct conf_token conf_lex_next(struct conf_lexer *l)
{
    struct conf_token t = {.kind = TOKEN_EOF};
    t.continued = skip_blanks(l);
    t.first = l->fresh_line && !t.continued;
    t.indent = l->indent;
    t.pos = pos_at(l, l->at, 1);
    t.end_line = l->line;
    l->fresh_line = false;
    if (at_end(l))
        return t;
    char c = peek(l, 0);
    if (c == '#') {
        lex_comment(l, &t);
    } else if (c == '{' || c == '}' || c == ';' || c == '\n') {
        t.kind = punctuation_kind(c);
        t.raw = (struct slice){l->file->text.at + l->at, 1};
        l->at++;
        if (c == '\n')
            start_line(l);
    } else {
        lex_word(l, &t);
        l->fresh_line = false; /* it may have gone on over an end of line */
    }
    return t;
}
