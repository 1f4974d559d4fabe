/* log_testdir.h - a temporary directory for the log's tests, and what stands in its files. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/unit.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct test_dir {
    char path[64];
    char name[512];    /* what test_path() returned last */
    char text[262144]; /* what test_read() returned last */
};

static inline int test_dir_setup(void **state)
{
    struct test_dir *d = calloc(1, sizeof(*d));
    strcpy(d->path, "/tmp/weir-log-test-XXXXXX");
    *state = d;
    return mkdtemp(d->path) ? 0 : -1;
}

/* Lives until the next call. */
static inline const char *test_path(struct test_dir *d, const char *name)
{
    snprintf(d->name, sizeof(d->name), "%s/%s", d->path, name);
    return d->name;
}

static inline int test_dir_teardown(void **state)
{
    struct test_dir *d = *state;
    DIR *dir = opendir(d->path);
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] != '.')
            unlink(test_path(d, e->d_name));
    }
    closedir(dir);
    int failed = rmdir(d->path);
    free(d);
    return failed;
}

/* The whole file, "" when there is none; lives until the next call. */
static inline const char *test_read(struct test_dir *d, const char *name)
{
    int fd = open(test_path(d, name), O_RDONLY);
    ssize_t len = fd >= 0 ? read(fd, d->text, sizeof(d->text) - 1) : 0;
    if (fd >= 0)
        close(fd);
    d->text[len > 0 ? len : 0] = '\0';
    return d->text;
}

/* Until the file contains `due`; fails after 5 s. */
static inline void test_wait_for(struct test_dir *d, const char *name, const char *due)
{
    for (int tries = 0; !strstr(test_read(d, name), due); tries++) {
        if (tries == 1000)
            fail_msg("\"%s\" never came; there is: %s", due, d->text);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}
