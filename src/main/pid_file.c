/* pid_file.c - the file that names the supervisor's process id. */
// SPDX-License-Identifier: Apache-2.0
#include "main/supervisor_priv.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

bool pid_file_write(const char *path)
{
    FILE *f = fopen(path, "we");
    if (f) {
        fprintf(f, "%ld\n", (long)getpid());
        if (fclose(f) == 0)
            return true;
    }
    fprintf(stderr, "weir: %s: %s\n", path, strerror(errno));
    return false;
}

/* After an upgrade it is the successor's. */
void pid_file_remove(const char *path)
{
    long pid = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    bool ours = fscanf(f, "%ld", &pid) == 1 && pid == (long)getpid();
    fclose(f);
    if (ours)
        unlink(path);
}
