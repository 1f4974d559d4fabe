/* beneath_test.c - what may be opened below a folder, by the kernel and by the walk. */
// SPDX-License-Identifier: Apache-2.0
#include "io/beneath.h"
#include "tests/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* root/{file, sub/file, in -> sub/file, out -> ../secret, abs -> /..., up -> sub/../file, d -> sub}
 */
static char base[64];
static int root, before; /* where the other tests work */

static void put(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int make_tree(void **state)
{
    (void)state;
    char absolute[80];
    snprintf(base, sizeof base, "/tmp/weir-beneath-XXXXXX");
    before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (before < 0 || !mkdtemp(base) || chdir(base) != 0)
        return -1;
    mkdir("root", 0700);
    mkdir("root/sub", 0700);
    put("secret");
    put("root/file");
    put("root/sub/file");
    snprintf(absolute, sizeof absolute, "%s/root/file", base);
    int bad = symlink("sub/file", "root/in") | symlink("../secret", "root/out") |
              symlink(absolute, "root/abs") | symlink("sub/../file", "root/up") |
              symlink("sub", "root/d") | symlink("loop", "root/loop") | symlink("..", "root/outd");
    root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return bad || root < 0 ? -1 : 0;
}

static int remove_tree(void **state)
{
    (void)state;
    static const char *const all[] = {"root/in",   "root/out",  "root/abs",  "root/up",
                                      "root/d",    "root/outd", "root/loop", "root/sub/file",
                                      "root/file", "root/sub",  "root",      "secret"};
    close(root);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        remove(all[i]);
    if (fchdir(before) != 0)
        return -1;
    close(before);
    return rmdir(base);
}

static const struct {
    const char *path;
    int inside, none, any, walk; /* 0: opens; else the errno */
} ROWS[] = {
    {"file", 0, 0, 0, 0},
    {"sub/file", 0, 0, 0, 0},
    {"sub//file", 0, 0, 0, 0},
    {"./file", 0, 0, 0, 0},
    {".", 0, 0, 0, 0},
    {"sub/", 0, 0, 0, 0},
    {"sub//", 0, 0, 0, 0},
    {"d/", 0, ELOOP, 0, ENOTDIR},
    {"outd/", EXDEV, ELOOP, 0, ENOTDIR},
    {"outd//", EXDEV, ELOOP, 0, ENOTDIR},
    {"outd/secret", EXDEV, ELOOP, 0, ENOTDIR},
    {"none", ENOENT, ENOENT, ENOENT, ENOENT},
    {"none/file", ENOENT, ENOENT, ENOENT, ENOENT},
    {"file/", ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR},
    {"file/x", ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR},
    {"in", 0, ELOOP, 0, ELOOP},
    {"d/file", 0, ELOOP, 0, ENOTDIR},
    {"up", 0, ELOOP, 0, ELOOP},
    {"out", EXDEV, ELOOP, 0, ELOOP},
    {"abs", EXDEV, ELOOP, 0, ELOOP},
    {"loop", ELOOP, ELOOP, ELOOP, ELOOP},
    {"../secret", EXDEV, EXDEV, EXDEV, EXDEV},
    {"..", EXDEV, EXDEV, EXDEV, EXDEV},
    {"sub/../../secret", EXDEV, EXDEV, EXDEV, EXDEV},
    {"/etc/passwd", EXDEV, EXDEV, EXDEV, EXDEV},
};

static void expect_open(const char *path, int fd, int expected)
{
    if (fd >= 0)
        close(fd);
    if ((fd >= 0 ? 0 : -fd) != expected)
        fail_msg("%s: %d, not %d", path, fd, -expected);
}

static void paths_follow_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        const char *p = ROWS[i].path;
        expect_open(p, open_beneath(root, p, O_RDONLY, LINKS_INSIDE), ROWS[i].inside);
        expect_open(p, open_beneath(root, p, O_RDONLY, LINKS_NONE), ROWS[i].none);
        expect_open(p, open_beneath(root, p, O_RDONLY, LINKS_ANY), ROWS[i].any);
        expect_open(p, open_beneath_walk(root, p, O_RDONLY), ROWS[i].walk);
    }
}

/* Not the root of the system, which "/" alone would be. */
static void slashes_at_the_end_name_the_folder(void **state)
{
    (void)state;
    static const char *const paths[] = {"sub", "sub/", "sub//", "sub///"};
    struct stat sub, got;
    assert_int_equal(stat("root/sub", &sub), 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        int fd = open_beneath_walk(root, paths[i], O_RDONLY);
        assert_true(fd >= 0 && fstat(fd, &got) == 0);
        close(fd);
        assert_true(got.st_ino == sub.st_ino && got.st_dev == sub.st_dev);
    }
}

static void a_name_that_is_too_long_is_none(void **state)
{
    (void)state;
    char path[300] = "";
    memset(path, 'a', 256);
    memcpy(path + 256, "/x", 3);
    expect_open(path, open_beneath(root, path, O_RDONLY, LINKS_INSIDE), ENAMETOOLONG);
    expect_open(path, open_beneath_walk(root, path, O_RDONLY), ENAMETOOLONG);
}

UNIT_SUITE(
    io_beneath, cmocka_unit_test_setup_teardown(paths_follow_the_table, make_tree, remove_tree),
    cmocka_unit_test_setup_teardown(slashes_at_the_end_name_the_folder, make_tree, remove_tree),
    cmocka_unit_test_setup_teardown(a_name_that_is_too_long_is_none, make_tree, remove_tree));
