/* places.h - files and folders that a process opens while it serves, as directives name them.
 *
 * A worker process is confined to them (main/sandbox.h). What is read once, while a configuration
 * is loaded, comes through conf_need_file() and needs no place. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

enum conf_access {
    CONF_READS,   /* what the folder holds; or a file, and what replaces it in its folder */
    CONF_APPENDS, /* to a file, which is made when it is not there: a log */
    CONF_OWNS,    /* a folder: everything may be done in it */
};

struct conf_place {
    struct conf_place *next;
    const char *path; /* NUL-terminated */
    struct conf_pos pos;
    uint8_t access; /* enum conf_access */
};

/* For apply() functions; `path` lives as long as the configuration. */
void conf_place_add(struct conf_build *b, struct conf_pos pos, const char *path,
                    enum conf_access access);
