/* coded_test.c - forms by content coding: made once, kept with their content, gone with it. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/store_rig_test.h"
#include "http/coding.h"

static const struct rig_object plain = {0};

struct fixture {
    struct cache_shared *c;
    char text[RIG_KEY_BYTES];
    struct cache_query q;
    struct cache_result r;
};

static void begin(struct fixture *f)
{
    f->c = rig_cache(1 << 20);
    f->q =
        (struct cache_query){.key = rig_key(f->text, 1), .match = rig_match_fresh, .alone = true};
    rig_put(f->c, 1, 100);
    cache_lookup(f->c, &f->q, &f->r);
    assert_non_null(f->r.object);
}

static void end(struct fixture *f)
{
    rig_result_drop(&f->r);
    cache_free(f->c);
}

static bool has(struct fixture *f, struct object_shared *o, unsigned coding)
{
    struct content_shared *k;
    if (!cache_coded_get(f->c, o, coding, &k))
        return false;
    content_drop(k);
    return true;
}

static void put(struct fixture *f, unsigned coding)
{
    struct content_shared *k = rig_content(f->c, coding, 30);
    cache_coded_put(f->c, f->r.object, coding, k);
    content_drop(k);
}

/* As a 304 does. */
static struct object_shared *renew(struct fixture *f)
{
    struct object_shared *o = rig_object_with(f->c, &f->q.key, content_take(f->r.content), &plain);
    assert_true(cache_insert(f->c, o, cache_now(f->c)));
    return o;
}

static void one_makes_it(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_true(cache_coded_claim(f.c, f.r.object, CODING_GZIP));
    assert_false(cache_coded_claim(f.c, f.r.object, CODING_GZIP));
    assert_true(cache_coded_claim(f.c, f.r.object, CODING_BR));
    cache_coded_leave(f.c, f.r.object, CODING_GZIP);
    assert_true(cache_coded_claim(f.c, f.r.object, CODING_GZIP));
    put(&f, CODING_GZIP);
    assert_true(has(&f, f.r.object, CODING_GZIP));
    assert_false(has(&f, f.r.object, CODING_BR));
    assert_false(cache_coded_claim(f.c, f.r.object, CODING_GZIP));
    end(&f);
}

static void what_left_keeps_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_true(cache_coded_claim(f.c, f.r.object, CODING_GZIP));
    cache_remove(f.c, f.r.object);
    assert_false(cache_coded_claim(f.c, f.r.object, CODING_BR));
    put(&f, CODING_GZIP);
    assert_false(has(&f, f.r.object, CODING_GZIP));
    cache_coded_leave(f.c, f.r.object, CODING_GZIP);
    end(&f);
}

static void another_answer_does_not_get_it(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    rig_put(f.c, 1, 200);
    put(&f, CODING_GZIP);
    assert_false(has(&f, f.r.object, CODING_GZIP));
    struct cache_result now;
    cache_lookup(f.c, &f.q, &now);
    assert_false(has(&f, now.object, CODING_GZIP));
    rig_result_drop(&now);
    end(&f);
}

/* A claim on the old head is void; what comes of it is kept with the new one. */
static void a_new_head_gets_what_was_made_meanwhile(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_true(cache_coded_claim(f.c, f.r.object, CODING_GZIP));
    struct object_shared *o = renew(&f);
    put(&f, CODING_GZIP);
    assert_true(has(&f, o, CODING_GZIP));
    assert_true(cache_coded_claim(f.c, o, CODING_BR));
    struct object_shared *next = renew(&f);
    assert_true(has(&f, next, CODING_GZIP));
    assert_true(cache_coded_claim(f.c, next, CODING_BR));
    object_drop(next);
    object_drop(o);
    end(&f);
}

static void forms_are_charged(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint64_t before = rig_stats(f.c).memory_bytes;
    put(&f, CODING_ZSTD);
    uint64_t with = rig_stats(f.c).memory_bytes;
    assert_in_range(with - before, 30, 300);
    put(&f, CODING_ZSTD); /* in the place of the other */
    assert_int_equal(rig_stats(f.c).memory_bytes, with);
    cache_remove(f.c, f.r.object);
    rig_result_drop(&f.r);
    f.r = (struct cache_result){0};
    assert_true(rig_stats(f.c).memory_bytes < before);
    end(&f);
}

UNIT_SUITE(cache_coded, cmocka_unit_test(one_makes_it), cmocka_unit_test(what_left_keeps_nothing),
           cmocka_unit_test(another_answer_does_not_get_it),
           cmocka_unit_test(a_new_head_gets_what_was_made_meanwhile),
           cmocka_unit_test(forms_are_charged));
