/* assert.c - the end of the process after one of our own bugs.
 *
 * Only write(2) and abort(): a failed assertion may come from a corrupt heap or from inside the
 * log, so neither is touched here. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void assert_failed(const char *cond, const char *file, int line)
{
    char text[512];
    int len =
        snprintf(text, sizeof(text), "weir: assertion failed: %s (%s:%d)\n", cond, file, line);
    if (len > (int)sizeof(text) - 1)
        len = (int)sizeof(text) - 1;
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)len); /* nobody is left to tell */
    (void)ignored;
    abort();
}
