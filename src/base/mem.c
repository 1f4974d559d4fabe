/* mem.c - allocation for start-up and control plane, where running out of memory ends the
 * process: there is no better answer while a configuration is half built. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((noreturn, cold)) static void out_of_memory(size_t size)
{
    char text[80];
    int len = snprintf(text, sizeof(text), "weir: out of memory (%zu bytes wanted)\n", size);
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)len); /* nobody is left to tell */
    (void)ignored;
    _exit(EXIT_FAILURE);
}

void *mem_must(void *at, size_t size)
{
    if (!at)
        out_of_memory(size);
    return at;
}

void *mem_new(size_t size)
{
    return mem_must(calloc(1, size ? size : 1), size);
}

void *mem_grow(void *old, size_t size)
{
    return mem_must(realloc(old, size ? size : 1), size);
}

char *mem_dup(const char *at, size_t len)
{
    char *copy = mem_grow(NULL, len + 1);
    if (len)
        memcpy(copy, at, len);
    copy[len] = '\0';
    return copy;
}

void mem_keep_out_of_cores(const void *at, size_t len)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = (uintptr_t)at & ~(page - 1);
    if (len > 0)
        (void)madvise((void *)from, len + ((uintptr_t)at - from), MADV_DONTDUMP);
}

void mem_give_back(void)
{
    malloc_trim(0);
}
