/* rows.c - the directive `admin`: where the admin API is served, and to whom. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "base/mem.h"
#include "http/uri.h"

enum { NAMES_MAX = 16, UNIX_MODE = 0600, UNIX_GROUP_MODE = 0660 };

/* Options as they are read; lists are made of them afterwards. */
struct admin_terms {
    int64_t cert_role;
    bool insecure;
    struct slice group, mode;
};

#define TERM(field) offsetof(struct admin_terms, field)

static const struct conf_choice roles[] = {
    {"full", ADMIN_FULL, "everything, also what changes something"},
    {"read", ADMIN_READ, "all that changes nothing"},
    {"metrics", ADMIN_METRICS, "`/metrics` alone"},
    {0},
};

static const struct directive admin_options[] = {
    {.name = "token",
     .where = IN_OPTIONS,
     .type = CONF_STRING, /* read by the builder, as all without a field */
     .repeat = true,
     .secret = 1,
     .usage = "TOKEN",
     .text = "Who sends `Authorization: Bearer TOKEN` may do everything. At least 16 characters, "
             "made by chance: `openssl rand -hex 24`. Several may stand there, also of the two "
             "kinds below. `${file:/run/secrets/admin}` keeps it out of the configuration."},
    {.name = "read_token",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .repeat = true,
     .secret = 1,
     .usage = "TOKEN",
     .text = "Who sends this one may look at everything and change nothing."},
    {.name = "metrics_token",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .repeat = true,
     .secret = 1,
     .usage = "TOKEN",
     .text = "Who sends this one gets `/metrics`, and nothing else."},
    {.name = "name",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .repeat = true,
     .usage = "HOST",
     .text = "A name by which it may be asked. Addresses and `localhost` always may; other names "
             "are refused, because a page in a browser could make them its own (DNS rebinding)."},
    {.name = "cert_role",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = roles,
     .offset = TERM(cert_role),
     .def = "full",
     .usage = "full|read|metrics",
     .text = "What those may do whom a client certificate lets in, where no tokens are asked "
             "for."},
    {.name = "insecure",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = TERM(insecure),
     .usage = "",
     .text = "Other machines may look without a token or a certificate. Something else must keep "
             "strangers away."},
    {.name = "group",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = TERM(group),
     .usage = "NAME",
     .text = "The group of a unix socket, whose members may look. Root and weir's own user may do "
             "everything there."},
    {.name = "mode",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = TERM(mode),
     .usage = "OCTAL",
     .text = "The permission bits of a unix socket. Without it 0600, with `group` 0660."},
    {0},
};

/* ERR_BAD_ADDRESS when it is neither an IP address nor a unix socket. */
static enum err address_read(struct slice text, struct addr *out)
{
    struct addr_spec spec;
    TRY(addr_spec_parse(text, &spec));
    if (!spec.is_unix && !spec.is_literal && slice_eq_nocase(spec.host, SLICE("localhost"))) {
        spec.host = SLICE("127.0.0.1");
        spec.is_literal = true;
    }
    if (!spec.is_unix && !spec.is_literal && spec.host.len > 0)
        return ERR_BAD_ADDRESS;
    TRY(addr_from_spec(&spec, out));
    if (!spec.is_unix && spec.port == 0)
        addr_set_port(out, ADMIN_PORT_DEFAULT);
    return ERR_OK;
}

static bool is_unix(const struct admin_listen *line)
{
    return line->addr.sa.sa_family == AF_UNIX;
}

/* --- tokens and names ------------------------------------------------------------------------- */

static enum admin_role role_of_option(const struct directive *row)
{
    static const struct {
        const char *name;
        enum admin_role role;
    } kinds[] = {
        {"token", ADMIN_FULL}, {"read_token", ADMIN_READ}, {"metrics_token", ADMIN_METRICS}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(row->name, kinds[i].name) == 0)
            return kinds[i].role;
    return ADMIN_NOBODY;
}

/* What a file says ends with a line end, most often. */
static struct slice without_line_end(struct slice s)
{
    while (s.len > 0 && (s.at[s.len - 1] == '\n' || s.at[s.len - 1] == '\r'))
        s.len--;
    return s;
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] <= ' ' || s.at[i] > '~')
            return false;
    return s.len >= ADMIN_TOKEN_MIN_BYTES;
}

static void token_add(struct conf_build *b, struct admin_listen *line, const struct conf_word *w,
                      enum admin_role role)
{
    struct slice text = without_line_end(w->text);
    struct admin_token *t = mem_must(arena_zalloc(b->arena, sizeof *t), sizeof *t);
    if (!is_token(text)) {
        diag_error(b->diag, w->pos,
                   "a token has at least %d characters, and none but those of ASCII without blanks",
                   ADMIN_TOKEN_MIN_BYTES);
        diag_hint(b->diag, "openssl rand -hex 24");
        return;
    }
    t->next = line->tokens;
    t->role = role;
    admin_token_hash(text, t->digest);
    line->tokens = t;
}

static void name_add(struct conf_build *b, struct admin_listen *line, const struct conf_word *w)
{
    struct slice *names = (struct slice *)line->names;
    uint16_t port;
    struct slice host;
    if (!names)
        names =
            mem_must(arena_alloc(b->arena, NAMES_MAX * sizeof *names), NAMES_MAX * sizeof *names);
    line->names = names;
    if (uri_host_parse(b->arena, w->text, &host, &port) != ERR_OK || port != 0)
        diag_error(b->diag, w->pos, "'%.*s' is not a host's name", SLICE_ARG(w->text));
    else if (line->name_count == NAMES_MAX)
        diag_error(b->diag, w->pos, "more than %d names", NAMES_MAX);
    else
        names[line->name_count++] = host;
}

static void options_read(struct conf_build *b, struct admin_listen *line, const struct conf_node *n,
                         struct admin_terms *t)
{
    conf_defaults(admin_options, IN_OPTIONS, t);
    for (uint32_t i = 0; i < n->option_count; i++) {
        const struct conf_option *o = &n->options[i];
        enum admin_role role = role_of_option(o->row);
        if (role != ADMIN_NOBODY)
            token_add(b, line, &o->value, role);
        else if (strcmp(o->row->name, "name") == 0)
            name_add(b, line, &o->value);
        else
            conf_set(b->diag, o->row, &o->value, t);
    }
}

/* --- what must not be ------------------------------------------------------------------------- */

static const struct conf_node *tls_line(const struct conf_node *n)
{
    CONF_NODE_EACH(child, n)
    {
        if (slice_eq(child->words[0].text, SLICE("tls")))
            return child;
    }
    return NULL;
}

static bool needs_certificate(const struct conf_node *n)
{
    CONF_NODE_EACH(child, n)
    {
        for (uint32_t i = 0; i < child->option_count; i++)
            if (strcmp(child->options[i].row->name, "client") == 0 &&
                slice_eq(child->options[i].value.text, SLICE("required")))
                return true;
    }
    return false;
}

static void strangers_check(struct conf_build *b, const struct admin_listen *line)
{
    bool guarded = line->tokens || line->cert_role != ADMIN_NOBODY;
    if (is_unix(line) || addr_is_loopback(&line->addr) || line->insecure)
        return;
    if (!guarded) {
        diag_error(b->diag, line->pos,
                   "other machines could look here: tokens or client certificates are due");
        diag_hint(b->diag, "token=${file:/run/secrets/admin}, or a block with "
                           "'tls client=required ca=FILE', or 'insecure'");
    } else if (!tls_line(line->node)) {
        diag_warn(b->diag, line->pos, "tokens pass the network without TLS here");
        diag_hint(b->diag, "admin ADDRESS { tls cert=FILE key=FILE }");
    }
}

static void socket_check(struct conf_build *b, struct admin_listen *line,
                         const struct admin_terms *t)
{
    unsigned mode = 0;
    line->group = t->group.len ? arena_dup(b->arena, t->group) : SLICE_NONE;
    line->mode = t->group.len ? UNIX_GROUP_MODE : UNIX_MODE;
    if (!is_unix(line) && (t->group.len || t->mode.len))
        diag_error(b->diag, line->pos, "only a unix socket has a group and a mode");
    for (size_t i = 0; i < t->mode.len; i++) {
        if (t->mode.at[i] < '0' || t->mode.at[i] > '7' || mode > 077) {
            diag_error(b->diag, line->pos, "mode: octal digits such as 0660 are due");
            return;
        }
        mode = mode * 8 + (unsigned)(t->mode.at[i] - '0');
    }
    if (t->mode.len)
        line->mode = (uint16_t)mode;
}

/* --- lines ------------------------------------------------------------------------------------ */

static void line_add(struct conf_build *b, struct admin_listens *all, struct admin_listen *line)
{
    for (const struct admin_listen *it = all->first; it; it = it->next)
        if (addr_eq(&it->addr, &line->addr))
            diag_error(b->diag, line->pos, "another 'admin' has this address");
    if (all->count == ADMIN_LISTENS_MAX)
        diag_error(b->diag, line->pos, "more than %d 'admin'", ADMIN_LISTENS_MAX);
    *(all->last ? &all->last->next : &all->first) = line;
    all->last = line;
    all->count++;
}

static void line_read(struct conf_build *b, struct admin_listen *line, const struct conf_node *n)
{
    struct admin_terms t = {0};
    options_read(b, line, n, &t);
    line->insecure = t.insecure;
    line->cert_role = needs_certificate(n) ? t.cert_role : ADMIN_NOBODY;
    strangers_check(b, line);
    socket_check(b, line, &t);
}

static void admin_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct admin_listens *all = scope;
    struct admin_listen *line = mem_must(arena_zalloc(b->arena, sizeof *line), sizeof *line);
    bool off = slice_eq(n->args[0].text, SLICE("off"));
    line->node = n;
    line->pos = n->args[0].pos;
    if (off || all->off) {
        if (all->first || all->off)
            diag_error(b->diag, line->pos, "'admin off' stands alone");
        all->off = true;
        return;
    }
    if (address_read(n->args[0].text, &line->addr) != ERR_OK) {
        diag_error(b->diag, line->pos,
                   "expected an address such as 127.0.0.1:%d, unix:/run/weir/admin.sock, or off",
                   ADMIN_PORT_DEFAULT);
        return;
    }
    line_read(b, line, n);
    line_add(b, all, line);
}

const struct directive admin_rows[] = {
    {.name = "admin",
     .where = IN_TOP,
     .type = CONF_NONE,
     .repeat = true,
     .args_min = 1,
     .args_max = 1,
     .options = admin_options,
     .opens = IN_ADMIN,
     .apply = admin_apply,
     .usage = "ADDRESS [token=TOKEN] [OPTION=VALUE...] | off",
     .text = "Where `/metrics`, `/status` and `/config` are served, and to those who may, `POST "
             "/reload` and the like. Without such a line on a unix socket beside the control "
             "socket: `/run/weir/admin.sock` for root; when that is taken, weir starts without. "
             "On a unix socket root and weir's own user may do everything. Over TCP the token "
             "decides, or the client certificate that a `tls` line in the block asks for, as in a "
             "site; on loopback without either everybody may look. See [admin](../admin.md).",
     .example = "admin 127.0.0.1:9180"},
    {0},
};
