/* cmd_run.c - run, proxy, demo: what serves. */
// SPDX-License-Identifier: Apache-2.0
#include "main/authority.h"
#include "main/command.h"
#include "main/demo.h"
#include "main/supervisor.h"
#include "tls/cert.h"
#include <errno.h>
#include <stdio.h>

#define LISTEN_DEFAULT "127.0.0.1:8080"
#define LISTEN_HINT    "Another address can be given: --listen 127.0.0.1:8081"

static const char *args_listen(const struct args *a)
{
    return a->values[OPTION_LISTEN] ? a->values[OPTION_LISTEN] : LISTEN_DEFAULT;
}

int cmd_run(const struct args *a)
{
    return supervisor_run(&(struct process_options){.path = args_config(a), .argv = a->argv});
}

int cmd_proxy(const struct args *a)
{
    struct text config;
    text_init(&config);
    proxy_config(&config, args_listen(a), a->words, a->word_count);
    int code = supervisor_run(&(struct process_options){.path = "(command line)",
                                                        .text = text_slice(&config),
                                                        .hint = LISTEN_HINT,
                                                        .argv = a->argv});
    text_release(&config);
    return code;
}

/* Can there be a local CA? Without a place for it the demo does without TLS. */
static bool local_ca_ready(struct text *file)
{
    struct slice name = SLICE("localhost");
    struct text why, cert, key;
    text_init(&why);
    text_init(&cert);
    text_init(&key);
    bool ok = authority_dir(file, &why) && !authority_issue(NULL, &name, 1, &cert, &key);
    text_add(file, SLICE("/ca.crt"));
    text_release(&why);
    text_release(&cert);
    tls_text_wipe(&key);
    return ok;
}

int cmd_demo(const struct args *a)
{
    struct text config, banner, ca;
    uint16_t ports[DEMO_PORTS];
    if (!demo_ports(ports)) {
        fprintf(stderr, "weir: demo: no free ports: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    text_init(&config);
    text_init(&banner);
    text_init(&ca);
    uint16_t tls_port = local_ca_ready(&ca) ? demo_tls_port() : 0;
    demo_config(&config, args_listen(a), tls_port, ports);
    demo_banner(&banner, args_listen(a), tls_port, ports, ca.at);
    int code = supervisor_run(&(struct process_options){.path = "(demo)",
                                                        .text = text_slice(&config),
                                                        .hint = LISTEN_HINT,
                                                        .banner = banner.at,
                                                        .argv = a->argv});
    text_release(&config);
    text_release(&banner);
    text_release(&ca);
    return code;
}
