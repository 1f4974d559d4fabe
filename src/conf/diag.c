/* diag.c - collects configuration errors and prints them with their source line.
 *
 * An entry costs at most DIAG_TEXT_MAX bytes however long the words are that it quotes. Bytes that
 * a terminal could take for commands are shown as '?'. Positions count bytes; the marker under a
 * line counts characters, so that it stands right below UTF-8 text and tabs too. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/secrets.h"
#include <stdarg.h>
#include <stdio.h>

enum {
    DIAG_TEXT_MAX = 512,
    DIAG_ARENA_BYTES = 4 * DIAG_MAX * DIAG_TEXT_MAX,
    DIAG_LINE_MAX = 120, /* bytes of a source line that are shown */
    DIAG_LINE_LEAD = 60, /* how many of them before the error, when it has to be cut */
};

void diag_init(struct diag *d)
{
    *d = (struct diag){0};
    arena_init(&d->arena, DIAG_ARENA_BYTES);
}

void diag_release(struct diag *d)
{
    arena_release(&d->arena);
}

bool diag_failed(const struct diag *d)
{
    return d->error_count > 0;
}

__attribute__((format(printf, 2, 0))) static struct slice text_of(struct diag *d, const char *fmt,
                                                                  va_list args)
{
    char line[DIAG_TEXT_MAX];
    int len = vsnprintf(line, sizeof(line), fmt, args);
    size_t kept = len < 0 ? 0 : (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1;
    struct slice copy = arena_dup(&d->arena, (struct slice){line, kept});
    return copy.at ? copy : SLICE("error (its text did not fit)");
}

__attribute__((format(printf, 4, 0))) static void add(struct diag *d, struct conf_pos pos,
                                                      bool warning, const char *fmt, va_list args)
{
    d->error_count += !warning;
    d->last_dropped = d->count == DIAG_MAX;
    if (d->last_dropped)
        return;
    d->entries[d->count++] =
        (struct diag_entry){.pos = pos, .text = text_of(d, fmt, args), .warning = warning};
}

void diag_error(struct diag *d, struct conf_pos pos, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(d, pos, false, fmt, args);
    va_end(args);
}

void diag_warn(struct diag *d, struct conf_pos pos, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(d, pos, true, fmt, args);
    va_end(args);
}

void diag_hint(struct diag *d, const char *fmt, ...)
{
    if (d->last_dropped || d->count == 0)
        return;
    va_list args;
    va_start(args, fmt);
    d->entries[d->count - 1].hint = text_of(d, fmt, args);
    va_end(args);
}

/* A third of the letters may differ, three at most: more is not a typing error. */
static size_t near_enough(struct slice word)
{
    size_t most = (word.len + 2) / 3;
    return most > 3 ? 3 : most;
}

void diag_nearest(struct diag *d, struct slice word, const struct slice *candidates, size_t count)
{
    const struct slice *nearest = NULL;
    size_t least = near_enough(word) + 1;
    if (word.len > 64)
        return;
    for (size_t i = 0; i < count; i++) {
        size_t distance = text_distance(word, candidates[i]);
        if (distance < least && distance < candidates[i].len) {
            least = distance;
            nearest = &candidates[i];
        }
    }
    if (nearest)
        diag_hint(d, "did you mean '%.*s'?", SLICE_ARG(*nearest));
}

static const char *paint(bool color, const char *code)
{
    return color ? code : "";
}

static void add_clean(struct text *out, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        bool plain = (c >= 0x20 && c != 0x7f) || c == '\t';
        text_add(out, plain ? (struct slice){s.at + i, 1} : SLICE("?"));
    }
}

/* Without what nobody may see. */
static void add_message(struct text *out, const struct diag *d, struct slice s)
{
    struct text shown;
    text_init(&shown);
    conf_secrets_write(&shown, s, d->secrets ? *d->secrets : NULL);
    add_clean(out, text_slice(&shown));
    text_release(&shown);
}

static struct slice source_line(const struct conf_pos *pos)
{
    struct slice rest = pos->file->text, line = SLICE_NONE;
    for (uint32_t i = 0; i < pos->line; i++) {
        if (!slice_cut(&rest, '\n', &line))
            return SLICE_NONE;
    }
    if (line.len && line.at[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* A line as it may be shown, and which of its bytes to mark. */
struct shown_line {
    struct text text;
    size_t from, len;
};

static void show_line(struct shown_line *l, const struct conf_pos *pos)
{
    struct slice line = source_line(pos);
    size_t start = line.at ? (size_t)(line.at - pos->file->text.at) : 0;
    size_t from = start + pos->col - 1;
    text_init(&l->text);
    conf_file_write(&l->text, pos->file, start, from);
    l->from = line.at ? l->text.len : pos->col - 1;
    l->text.len = 0;
    conf_file_write(&l->text, pos->file, from, from + pos->len);
    l->len = l->text.len;
    l->text.len = 0;
    conf_file_write(&l->text, pos->file, start, start + line.len);
}

static bool inside_char(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80; /* a UTF-8 continuation byte takes no column */
}

/* Blanks up to the error and carets below it. `line` is what is shown, `from` bytes into it. */
static void add_marker(struct text *out, struct slice line, size_t from, size_t len)
{
    for (size_t i = 0; i < from; i++) {
        char c = i < line.len ? line.at[i] : ' ';
        if (!inside_char(c))
            text_add(out, c == '\t' ? SLICE("\t") : SLICE(" "));
    }
    text_add(out, SLICE("^"));
    for (size_t i = from + 1; i < from + len && i < line.len; i++) {
        if (!inside_char(line.at[i]))
            text_add(out, SLICE("^"));
    }
}

static void add_source(struct text *out, const struct conf_pos *pos, bool color)
{
    struct shown_line l;
    show_line(&l, pos);
    struct slice line = text_slice(&l.text);
    size_t from = l.from, skipped = 0;
    if (line.len > DIAG_LINE_MAX && from > DIAG_LINE_LEAD)
        skipped = from - DIAG_LINE_LEAD;
    line = slice_head(slice_from(line, skipped), DIAG_LINE_MAX);
    text_addf(out, "%5u | ", pos->line);
    add_clean(out, line);
    text_addf(out, "\n      | %s", paint(color, "\033[1;31m"));
    add_marker(out, line, from - skipped, l.len);
    text_addf(out, "%s\n", paint(color, "\033[0m"));
    text_release(&l.text);
}

static void print_entry(const struct diag *d, const struct diag_entry *e, struct text *out,
                        bool color)
{
    const char *kind = e->warning ? "warning" : "error";
    text_addf(out, "%s", paint(color, "\033[1m"));
    if (e->pos.file)
        text_addf(out, "%s:%u:%u: ", e->pos.file->path, e->pos.line, e->pos.col);
    text_addf(out, "%s%s: %s", paint(color, e->warning ? "\033[33m" : "\033[31m"), kind,
              paint(color, "\033[0;1m"));
    add_message(out, d, e->text);
    text_addf(out, "%s\n", paint(color, "\033[0m"));
    if (e->pos.file && e->pos.line)
        add_source(out, &e->pos, color);
    if (e->hint.len) {
        text_add(out, SLICE("      = "));
        add_message(out, d, e->hint);
        text_add(out, SLICE("\n"));
    }
    for (const struct conf_pos *u = e->pos.used; u; u = u->used)
        text_addf(out, "      = used here: %s:%u:%u\n", u->file->path, u->line, u->col);
}

void diag_print(const struct diag *d, struct text *out, bool color)
{
    uint32_t shown_errors = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        print_entry(d, &d->entries[i], out, color);
        shown_errors += !d->entries[i].warning;
    }
    if (d->error_count > shown_errors)
        text_addf(out, "... and %u more errors\n", d->error_count - shown_errors);
}
