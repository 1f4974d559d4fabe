/* pattern.c - PCRE2 with JIT, made safe for hostile subjects.
 *
 * Work per match is limited (match limit), so a pattern that backtracks without end answers "no
 * match" instead of holding a worker. Compiled code is shared by all threads; what a match writes
 * to is the thread's own and made at its first match. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/pattern.h"
#include "base/mem.h"
#include "conf/snapshot.h"
#include <pcre2.h>
#include <pthread.h>
#include <stdlib.h>

enum { MATCH_LIMIT = 100000, HEAP_LIMIT_KB = 1024 };

struct pattern {
    pcre2_code *code;
};

/* What one thread needs to match. */
struct scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static _Thread_local struct scratch *scratch;

static void scratch_free(void *p)
{
    struct scratch *s = p;
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->context);
    free(s);
}

static void scratch_key_make(void)
{
    if (pthread_key_create(&scratch_key, scratch_free) != 0)
        abort();
}

/* NULL: no memory. */
static struct scratch *scratch_get(void)
{
    if (scratch)
        return scratch;
    pthread_once(&scratch_once, scratch_key_make);
    struct scratch *s = MEM_NEW(struct scratch);
    s->data = pcre2_match_data_create(PATTERN_CAPTURES, NULL);
    s->context = pcre2_match_context_create(NULL);
    if (!s->data || !s->context || pthread_setspecific(scratch_key, s) != 0) {
        scratch_free(s);
        return NULL;
    }
    pcre2_set_match_limit(s->context, MATCH_LIMIT);
    pcre2_set_heap_limit(s->context, HEAP_LIMIT_KB);
    scratch = s;
    return s;
}

static void pattern_free(void *p)
{
    pcre2_code_free(((struct pattern *)p)->code);
}

static void compile_error(struct conf_build *b, const struct conf_word *w, int code, size_t at)
{
    PCRE2_UCHAR text[160];
    struct conf_pos pos = w->pos;
    pcre2_get_error_message(code, text, sizeof(text));
    if (w->text.len == w->pos.len && at <= w->text.len) { /* the word stands as it was written */
        pos.col += (uint32_t)at;
        pos.len = 0;
    }
    diag_error(b->diag, pos, "regular expression: %s (at byte %zu)", (const char *)text, at);
    if (w->quote == CONF_QUOTED)
        diag_hint(b->diag, "in '...' backslashes and $ stand for themselves");
}

struct pattern *pattern_compile(struct conf_build *b, const struct conf_word *w)
{
    int code_err;
    size_t at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)w->text.at, w->text.len, PCRE2_DOLLAR_ENDONLY,
                                     &code_err, &at, NULL);
    if (!code) {
        compile_error(b, w, code_err, at);
        return NULL;
    }
    struct pattern *p = ARENA_NEW(b->arena, struct pattern);
    if (!p) {
        pcre2_code_free(code);
        diag_error(b->diag, w->pos, "the configuration is too large");
        return NULL;
    }
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without JIT it is just slower */
    p->code = code;
    conf_on_free(b->app, pattern_free, p);
    return p;
}

static void captures_fill(pcre2_match_data *data, int count, struct slice subject,
                          struct slice captures[PATTERN_CAPTURES])
{
    const size_t *at = pcre2_get_ovector_pointer(data);
    if (count == 0) /* there are more groups than captures: those that fit are filled in */
        count = PATTERN_CAPTURES;
    for (int i = 0; i < PATTERN_CAPTURES; i++) {
        captures[i] = SLICE_NONE;
        if (i < count && at[2 * i] != PCRE2_UNSET && at[2 * i] <= at[2 * i + 1])
            captures[i] = (struct slice){subject.at + at[2 * i], at[2 * i + 1] - at[2 * i]};
    }
}

bool pattern_match(const struct pattern *p, struct slice subject,
                   struct slice captures[PATTERN_CAPTURES])
{
    struct scratch *s = scratch_get();
    if (!s)
        return false;
    if (!subject.at)
        subject = SLICE("");
    int count =
        pcre2_match(p->code, (PCRE2_SPTR)subject.at, subject.len, 0, 0, s->data, s->context);
    if (count < 0)
        return false;
    if (captures)
        captures_fill(s->data, count, subject, captures);
    return true;
}
