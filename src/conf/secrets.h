/* secrets.h - what nobody may see of a configuration, and its texts without that.
 *
 * Secret are the words that a row marks so (directive.h), what ${file:PATH} put in, what
 * ${env.NAME} put in when NAME says so itself (TOKEN, SECRET, PASS, KEY), and what follows the name
 * of a header field that carries credentials. Files are shown with *** in their place; messages,
 * which quote words, with *** wherever one of them stands. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

/* Shorter ones are hidden in files, but not looked for in messages: every "on" would be one. */
enum { CONF_SECRET_MIN_BYTES = 4 };

struct conf_secret {
    struct conf_secret *next;
    struct slice text;
};

/* Bytes of a file's text. */
struct conf_hidden {
    uint32_t from, to;
};

/* Notes a value; `text` lives as long as the arena. */
void conf_secret_add(struct arena *a, struct conf_secret **list, struct slice text);
bool conf_secret_env(struct slice name); /* is a variable of that name one? */

/* Finds the secret words of a tree that was checked, as far as it could be: fills in t->secrets and
 * the hidden places of its files. conf_check() ends with it. */
void conf_secrets_find(const struct conf_schema *s, struct conf_tree *t);

/* `s` with *** for every secret in it, and for the beginning of one that was cut off at its end. */
void conf_secrets_write(struct text *out, struct slice s, const struct conf_secret *list);
/* The bytes of a file's text from `from` up to `to`, with *** for what is hidden. */
void conf_file_write(struct text *out, const struct conf_file *f, size_t from, size_t to);
