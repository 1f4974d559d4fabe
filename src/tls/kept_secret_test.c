/* The secret of an installation: made once, the same ever after, closed to others. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "tls/kept_secret.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct folder {
    char path[64];
};

static int folder_make(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/weir-secret-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    *state = f;
    return 0;
}

static int folder_remove(void **state)
{
    struct folder *f = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", f->path);
    int failed = system(command);
    free(f);
    return failed;
}

static void it_is_made_once(void **state)
{
    const struct folder *f = *state;
    uint8_t first[KEPT_SECRET_BYTES], again[KEPT_SECRET_BYTES], other[KEPT_SECRET_BYTES];
    char dir[96], path[128];
    struct text why;
    struct stat st;
    text_init(&why);
    snprintf(dir, sizeof dir, "%s/not/there", f->path);
    snprintf(path, sizeof path, "%s/a.key", dir);
    assert_true(kept_secret(dir, "a.key", first, &why));
    assert_true(kept_secret(dir, "a.key", again, &why));
    assert_true(kept_secret(dir, "b.key", other, &why));
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, KEPT_SECRET_BYTES);
    assert_int_equal(why.len, 0);
    text_release(&why);
}

static void what_others_could_have_seen_is_refused(void **state)
{
    const struct folder *f = *state;
    uint8_t got[KEPT_SECRET_BYTES];
    char path[96];
    struct text why;
    text_init(&why);
    assert_true(kept_secret(f->path, "a.key", got, &why));
    snprintf(path, sizeof path, "%s/a.key", f->path);
    assert_int_equal(chmod(path, 0644), 0);
    assert_false(kept_secret(f->path, "a.key", got, &why));
    assert_non_null(strstr(why.at, "open to others"));
    text_release(&why);
}

static void another_length_is_refused(void **state)
{
    const struct folder *f = *state;
    uint8_t got[KEPT_SECRET_BYTES];
    char path[96];
    struct text why;
    text_init(&why);
    assert_true(kept_secret(f->path, "a.key", got, &why));
    snprintf(path, sizeof path, "%s/a.key", f->path);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputc('x', file);
    fclose(file);
    assert_false(kept_secret(f->path, "a.key", got, &why));
    assert_non_null(strstr(why.at, "33 bytes"));
    text_release(&why);
}

UNIT_SUITE(tls_kept_secret,
           cmocka_unit_test_setup_teardown(it_is_made_once, folder_make, folder_remove),
           cmocka_unit_test_setup_teardown(what_others_could_have_seen_is_refused, folder_make,
                                           folder_remove),
           cmocka_unit_test_setup_teardown(another_length_is_refused, folder_make, folder_remove));
