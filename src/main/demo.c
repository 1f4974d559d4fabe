/* demo.c - configurations that are made on the spot: the demonstration, and `weir proxy`.
 *
 * The demo's servers are sites of the same weir on loopback ports of their own, so it needs
 * nothing but itself; the fourth server is an address where nobody listens. */
// SPDX-License-Identifier: Apache-2.0
#include "main/demo.h"
#include "main/control.h"
#include "main/main_conf.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TLS_PORT = 8443 };

static void add_server_site(struct text *out, uint16_t port, const char *name, const char *text)
{
    text_addf(out,
              "# %s\n"
              "site * {\n"
              "    listen 127.0.0.1:%u\n"
              "    log access off\n"
              "    respond 200 \"%s\\n\"\n"
              "    response set X-Demo-Server %s\n"
              "}\n\n",
              name, port, text, name);
}

static void add_tls(struct text *out, uint16_t port)
{
    if (port)
        text_addf(out,
                  "    listen 127.0.0.1:%u tls # the certificate comes from the local CA\n"
                  "    tls redirect=off\n",
                  port);
}

/* A socket of its own: several demos may run. */
static void add_admin(struct text *out, const uint16_t ports[DEMO_PORTS])
{
    char folder[CONTROL_FOLDER_BYTES];
    control_folder(folder, sizeof folder);
    text_addf(out, "%s/demo-%u.sock", folder, ports[0]);
}

void demo_config(struct text *out, const char *listen, uint16_t tls_port,
                 const uint16_t ports[DEMO_PORTS])
{
    text_add(out, SLICE("# The demo of weir: one site, two servers, a third that is dead.\n"
                        "admin unix:"));
    add_admin(out, ports);
    text_addf(
        out,
        "\nlog access \"$method $uri -> $status from $server, tries $tries, $duration_ms ms\"\n\n"
        "upstream app {\n"
        "    server 127.0.0.1:%u\n"
        "    server 127.0.0.1:%u\n"
        "    server 127.0.0.1:%u # nobody listens here\n"
        "    balance round_robin\n"
        "}\n\n"
        "site * {\n"
        "    listen %s\n",
        ports[0], ports[1], ports[3], listen);
    add_tls(out, tls_port);
    text_addf(out,
              "    proxy app\n"
              "    route /api/ strip {\n"
              "        proxy 127.0.0.1:%u\n"
              "        request set X-Tenant acme\n"
              "        response del X-Demo-Server\n"
              "        response set X-Served-By weir\n"
              "    }\n"
              "    route /broken/ {\n"
              "        proxy 127.0.0.1:%u\n"
              "    }\n"
              "}\n\n",
              ports[2], ports[3]);
    add_server_site(out, ports[0], "one", "Hello from server one.");
    add_server_site(out, ports[1], "two", "Hello from server two.");
    add_server_site(out, ports[2], "api",
                    "The API got the path $path and the tenant ${header.X-Tenant}.");
}

/* "localhost:8080" for what is bound to 127.0.0.1 or to everything. */
static void add_url(struct text *out, const char *listen)
{
    struct slice l = slice_of(listen);
    struct slice any[] = {SLICE_INIT("127.0.0.1:"), SLICE_INIT("localhost:"), SLICE_INIT("[::]:"),
                          SLICE_INIT("0.0.0.0:"), SLICE_INIT(":")};
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        if (!slice_starts(l, any[i]))
            continue;
        l = slice_from(l, any[i].len);
        text_addf(out, "http://localhost:%.*s", SLICE_ARG(l));
        return;
    }
    text_addf(out, "http://%.*s", SLICE_ARG(l));
}

static void add_tls_try(struct text *out, uint16_t port, const char *ca)
{
    if (port)
        text_addf(out,
                  "  curl --cacert %s https://localhost:%u/  # TLS; 'weir trust' for browsers\n",
                  ca, port);
}

void demo_banner(struct text *out, const char *listen, uint16_t tls_port,
                 const uint16_t ports[DEMO_PORTS], const char *ca)
{
    struct text url;
    text_init(&url);
    add_url(&url, listen);
    text_addf(
        out,
        "\nThe demo runs on %s - %s things to try in another terminal:\n\n"
        "  curl %s/  # again and again: two servers take turns, a third, dead one is skipped\n"
        "  curl -i %s/api/users  # prefix stripped, header added, answer edited\n"
        "  curl -i %s/broken/  # only the dead server: a 502 that says why\n",
        url.at, tls_port ? "five" : "four", url.at, url.at, url.at);
    add_tls_try(out, tls_port, ca);
    text_add(out, SLICE("  curl --unix-socket "));
    add_admin(out, ports);
    text_add(out, SLICE(" http://localhost/status  # what weir knows; look for the dead server\n\n"
                        "Ctrl-C ends it. The log follows.\n\n"));
    text_release(&url);
}

static bool port_is_free(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0)
        close(fd);
    return is_free;
}

uint16_t demo_tls_port(void)
{
    uint16_t ports[DEMO_PORTS];
    if (port_is_free(TLS_PORT))
        return TLS_PORT;
    return demo_ports(ports) ? ports[0] : 0;
}

/* All sockets are open until every port is known, so that no port comes twice. */
bool demo_ports(uint16_t ports[DEMO_PORTS])
{
    int fds[DEMO_PORTS];
    int count = 0;
    for (; count < DEMO_PORTS; count++) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t len = sizeof a;
        fds[count] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fds[count] < 0 || bind(fds[count], (struct sockaddr *)&a, len) != 0 ||
            getsockname(fds[count], (struct sockaddr *)&a, &len) != 0)
            break;
        ports[count] = ntohs(a.sin_port);
    }
    int error = errno, opened = count < DEMO_PORTS ? count + 1 : count;
    for (int i = 0; i < opened; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    errno = error;
    return count == DEMO_PORTS;
}

/* As a quoted word: what a shell passed may hold anything. */
static void add_word(struct text *out, const char *word)
{
    text_add(out, SLICE(" \""));
    for (; *word; word++) {
        if (*word == '"' || *word == '\\')
            text_add(out, SLICE("\\"));
        text_add(out, (struct slice){word, 1});
    }
    text_add(out, SLICE("\""));
}

void proxy_config(struct text *out, const char *listen, const char *const *targets, uint32_t count)
{
    text_add(out, SLICE("listen"));
    add_word(out, listen);
    text_add(out, SLICE("\nsite * {\n    proxy"));
    for (uint32_t i = 0; i < count; i++)
        add_word(out, targets[i]);
    text_add(out, SLICE("\n}\n"));
}
