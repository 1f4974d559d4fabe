/* bundle_test.c - what was recorded is what a configuration is later made from, sealed, and bytes
 * that make no entry end the list. */
// SPDX-License-Identifier: Apache-2.0
#include "main/bundle.h"
#include "tests/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct folder {
    char path[64];
};

static void write_file(const struct folder *f, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    fputs(text, to);
    fclose(to);
}

static void remove_file(const struct folder *f, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    unlink(path);
}

static const char *const names[] = {"main.conf", "a.part", "b.part"};

static int setup(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    snprintf(f->path, sizeof f->path, "/tmp/weir-bundle-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    write_file(f, names[0], "include *.part\ninclude *.part\nx ${file:none}\ninclude gone.conf\n");
    write_file(f, names[1], "a 1\n");
    write_file(f, names[2], "b 2\n");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;
    for (size_t i = 0; i < 3; i++)
        remove_file(f, names[i]);
    rmdir(f->path);
    free(f);
    return 0;
}

/* Reads main.conf from `source`: its words by line, then the errors. */
static void describe(const struct folder *f, const struct conf_source *source, struct text *out)
{
    struct arena a;
    struct diag d;
    char path[128];
    snprintf(path, sizeof path, "%s/main.conf", f->path);
    arena_init(&a, 1 << 20);
    diag_init(&d);
    struct conf_tree *t = conf_read_from(source, &a, &d, path, SLICE_NONE);
    CONF_NODE_EACH(n, &t->root)
    for (uint32_t i = 0; i < n->word_count; i++)
        text_addf(out, "%.*s%s", SLICE_ARG(n->words[i].text), i + 1 < n->word_count ? " " : "\n");
    diag_print(&d, out, false);
    diag_release(&d);
    arena_release(&a);
}

static void the_copy_reads_like_the_files(void **state)
{
    struct folder *f = *state;
    struct text bytes, first, again;
    struct conf_source recorder = bundle_recorder;
    text_init(&bytes);
    text_init(&first);
    text_init(&again);
    recorder.ctx = &bytes;
    describe(f, &recorder, &first);
    assert_non_null(strstr(first.at, "a 1\nb 2\na 1\nb 2\n"));
    assert_non_null(strstr(first.at, "cannot read"));
    write_file(f, "a.part", "changed\n");
    remove_file(f, "b.part");
    int fd = bundle_seal(&bytes);
    struct bundle b;
    assert_true(fd >= 0 && bundle_open(&b, fd));
    struct conf_source copy = bundle_source(&b);
    describe(f, &copy, &again);
    assert_string_equal(first.at, again.at);
    bundle_release(&b);
    close(fd);
    text_release(&bytes);
    text_release(&first);
    text_release(&again);
}

/* What the local CA gave the supervisor's reader the worker gets again, and its refusals. */
static void certificates_are_part_of_the_copy(void **state)
{
    const struct folder *f = *state;
    struct slice one[] = {SLICE("a.test"), SLICE("b.test")}, other[] = {SLICE("c.test")};
    struct text bytes, cert, key, cert_again, key_again;
    struct conf_source recorder = bundle_recorder;
    char dir[128];
    snprintf(dir, sizeof dir, "%s/ca", f->path);
    setenv("WEIR_CA_DIR", dir, 1);
    text_init(&bytes);
    text_init(&cert);
    text_init(&key);
    text_init(&cert_again);
    text_init(&key_again);
    recorder.ctx = &bytes;
    assert_null(recorder.issue(&recorder, other, 1, &cert_again, &key_again));
    text_clear(&cert_again);
    text_clear(&key_again);
    assert_null(recorder.issue(&recorder, one, 2, &cert, &key));
    struct bundle b = {.bytes = text_slice(&bytes)};
    struct conf_source copy = bundle_source(&b);
    assert_null(copy.issue(&copy, one, 2, &cert_again, &key_again));
    assert_string_equal(cert.at, cert_again.at);
    assert_string_equal(key.at, key_again.at);
    assert_null(copy.issue(&copy, other, 1, &cert_again, &key_again)); /* in any order */
    assert_non_null(copy.issue(&copy, one, 1, &cert_again, &key_again));
    text_release(&bytes);
    text_release(&cert);
    text_release(&key);
    text_release(&cert_again);
    text_release(&key_again);
    unsetenv("WEIR_CA_DIR");
    char command[160];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
}

/* The worker gets the supervisor's secret, or why it has none. */
static void the_secret_is_part_of_the_copy(void **state)
{
    const struct folder *f = *state;
    uint8_t kept[CONF_SECRET_BYTES], again[CONF_SECRET_BYTES];
    struct text bytes;
    struct conf_source recorder = bundle_recorder;
    char dir[128], command[160];
    snprintf(dir, sizeof dir, "%s/ca", f->path);
    setenv("WEIR_CA_DIR", dir, 1);
    text_init(&bytes);
    recorder.ctx = &bytes;
    assert_null(recorder.secret(&recorder, kept));
    struct bundle b = {.bytes = text_slice(&bytes)};
    struct conf_source copy = bundle_source(&b);
    assert_null(copy.secret(&copy, again));
    assert_memory_equal(kept, again, sizeof kept);
    text_clear(&bytes);
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
    setenv("WEIR_CA_DIR", "/dev/null/ca", 1);
    assert_non_null(recorder.secret(&recorder, kept));
    b.bytes = text_slice(&bytes);
    assert_non_null(strstr(copy.secret(&copy, again), "/dev/null"));
    b.bytes = SLICE_NONE;
    assert_non_null(copy.secret(&copy, again));
    text_release(&bytes);
    unsetenv("WEIR_CA_DIR");
}

static void nobody_changes_a_sealed_one(void **state)
{
    struct text t;
    (void)state;
    text_init(&t);
    bundle_add(&t, &(struct bundle_entry){.kind = BUNDLE_WORKERS, .number = 3});
    int fd = bundle_seal(&t);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 1000), -1);
    close(fd);
    text_release(&t);
}

static void broken_bytes_end_the_list(void **state)
{
    struct text t;
    struct bundle_entry e;
    (void)state;
    text_init(&t);
    bundle_add(&t, &(struct bundle_entry){BUNDLE_FILE, 7, SLICE("name"), SLICE("body")});
    size_t one = t.len, at;
    bundle_add(&t, &(struct bundle_entry){.kind = BUNDLE_WORKERS});
    for (size_t len = 0; len <= t.len; len++) {
        char *exact = malloc(len ? len : 1);
        memcpy(exact, t.at, len);
        struct bundle b = {.bytes = {exact, len}};
        at = 0;
        assert_int_equal(bundle_next(&b, &at, &e), len >= one);
        if (len >= one) {
            assert_int_equal(at, one);
            assert_int_equal(e.number, 7);
            assert_string_equal(e.name.at, "name");
            assert_string_equal(e.body.at, "body");
            assert_int_equal(bundle_next(&b, &at, &e), len == t.len);
        }
        free(exact);
    }
    memset(t.at + 8, 0xff, 8); /* the length of the name */
    struct bundle b = {.bytes = text_slice(&t)};
    at = 0;
    assert_false(bundle_next(&b, &at, &e));
    text_release(&t);
}

UNIT_SUITE(main_bundle,
           cmocka_unit_test_setup_teardown(the_copy_reads_like_the_files, setup, teardown),
           cmocka_unit_test_setup_teardown(certificates_are_part_of_the_copy, setup, teardown),
           cmocka_unit_test_setup_teardown(the_secret_is_part_of_the_copy, setup, teardown),
           cmocka_unit_test(nobody_changes_a_sealed_one),
           cmocka_unit_test(broken_bytes_end_the_list));
