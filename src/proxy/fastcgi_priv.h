/* fastcgi_priv.h - what the files behind `fastcgi` share. Private to src/proxy. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/exchange_priv.h"
#include "proxy/fastcgi.h"
#include "proxy/files_priv.h"

enum { FASTCGI_PARAMS_MAX = 128 /* in the configuration */ };

struct fastcgi_param {
    struct slice name;
    const struct template *value;
};

struct fastcgi_conf {
    struct slice root;          /* as the server sees it; empty: `split off` */
    struct slice index;         /* a name */
    struct slice split;         /* ".php"; empty: there are no script files */
    struct slice fallback;      /* "/index.php"; empty: 404 */
    struct files_conf look;     /* where weir sees the scripts: look.root empty: nowhere */
    const struct target *files; /* what else is sent from there; NULL: nothing */
    struct fastcgi_param *params;
    uint32_t param_count;
    bool params_name_fields; /* one of them begins with HTTP_ */
    /* as written */
    struct slice root_word, split_word, try_word;
    bool check_file;
};

/* What a request is to its application; in the exchange's arena. */
struct fastcgi_use {
    const struct fastcgi_conf *conf;
    struct slice script;    /* below the root: "/blog/index.php", decoded; empty: `split off` */
    struct slice path_info; /* what follows it, decoded */
};

/* fastcgi_script.c: sets x->fastcgi (NEXT), or answers: a file, a redirect (SKIP). */
enum outcome fastcgi_choose(struct exchange *x, const struct fastcgi_conf *c);
/* fastcgi_params.c: x->req.cgi, once. */
enum err fastcgi_params_make(struct exchange *x) MUST_CHECK;
/* said.c: what the server said for the error log. */
void said_log(struct exchange *x);
