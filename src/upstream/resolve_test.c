/* resolve_test.c - names become addresses and follow their changes, against a name server that the
 * test itself is (on loopback, served by a timer of the same loop). */
// SPDX-License-Identifier: Apache-2.0
#include "net/dns.h"
#include "upstream/resolve_priv.h"
#include "upstream/shared_priv.h"
#include "upstream/testing.h"
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER_BYTES = 12, SERVE_MS = 2, TYPE_A = 1 };

static struct name_server {
    int fd;
    struct timer timer;
    unsigned char last_byte; /* of the address it answers with: 10.0.0.x; 0: no such name */
    int addr_count;
} ns;

static struct counters_shared counters;
static struct loop loop;
static struct dns *dns;
static struct upstream_resolver *resolver;
static struct test_conf conf;
static int changes;
static enum err last_change;

static void put_address(unsigned char *packet, size_t *len, unsigned char last_byte)
{
    unsigned char record[16] = {0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, 10, 0, 0};
    record[15] = last_byte;
    memcpy(packet + *len, record, sizeof record);
    *len += sizeof record;
    packet[7]++;
}

/* Turns the question in `packet` into its answer. */
static size_t answer(unsigned char *packet)
{
    size_t len = HEADER_BYTES;
    while (packet[len])
        len += packet[len] + 1u;
    bool asks_a = packet[len + 2] == TYPE_A;
    len += 5;
    packet[2] = 0x85;
    packet[3] = ns.last_byte ? 0x80 : 0x83;
    memset(packet + 6, 0, 6);
    for (int i = 0; asks_a && ns.last_byte && i < ns.addr_count; i++)
        put_address(packet, &len, (unsigned char)(ns.last_byte + i));
    return len;
}

static void serve(struct timer *t)
{
    unsigned char packet[1024];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;
    while (recvfrom(ns.fd, packet, 400, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len) > 0)
        sendto(ns.fd, packet, answer(packet), 0, (struct sockaddr *)&from, from_len);
    timer_set(&loop.timers, t, loop.now_ms + SERVE_MS);
}

static void on_change(const struct server_shared *s, enum err e)
{
    assert_string_equal(s->name, "app.test:81");
    changes++;
    last_change = e;
}

static int setup(void **state)
{
    (void)state;
    struct addr a;
    char text[ADDR_TEXT_BYTES];
    assert_int_equal(addr_parse_ip(SLICE("127.0.0.1"), &a), ERR_OK);
    ns = (struct name_server){.fd = socket(AF_INET, SOCK_DGRAM, 0), .addr_count = 1};
    assert_int_equal(bind(ns.fd, &a.sa, a.len), 0);
    assert_int_equal(getsockname(ns.fd, &a.sa, &a.len), 0);
    assert_true(loop_init(&loop, &io_backend_epoll, NULL, &counters, 1 << 20));
    timer_init(&ns.timer, serve);
    timer_set(&loop.timers, &ns.timer, loop.now_ms);
    addr_write(text, &a);
    dns = dns_new(&loop, text);
    assert_non_null(dns);
    resolver = upstream_resolver_new(&loop, dns, on_change);
    test_conf_init(&conf, "upstream app { server app.test:81; server 10.9.9.9 }");
    changes = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    upstream_resolver_free(resolver);
    dns_free(dns);
    timer_stop(&loop.timers, &ns.timer);
    loop_release(&loop);
    close(ns.fd);
    test_conf_release(&conf);
    return 0;
}

static struct server_shared *shared(void)
{
    return conf.conf->upstreams->list[0]->servers[0].shared;
}

/* Ticks until `changes` gets to n, at most so long. */
static void wait_changes(int n, int64_t most_ms)
{
    int64_t until = loop.now_ms + most_ms;
    while (changes < n && loop.now_ms < until)
        loop_tick(&loop);
}

static unsigned char first_last_byte(void)
{
    struct addr a;
    if (!server_addr_get(shared(), 0, &a))
        return 0;
    assert_int_equal(addr_port(&a), 81);
    return (unsigned char)(ntohl(a.in.sin_addr.s_addr) & 0xff);
}

static void name_is_resolved_and_followed(void **state)
{
    (void)state;
    ns.last_byte = 5;
    upstream_resolver_sync(resolver, conf.conf);
    wait_changes(1, 2000);
    assert_int_equal(changes, 1);
    assert_int_equal(last_change, ERR_OK);
    assert_int_equal(first_last_byte(), 5);
    ns.last_byte = 6;
    ns.addr_count = 3;
    wait_changes(2, 3000); /* the TTL is 0, so it asks again after a second */
    assert_int_equal(first_last_byte(), 6);
    assert_int_equal(server_addr_count(shared()), 3);
}

static void failure_keeps_the_old_addresses(void **state)
{
    (void)state;
    ns.last_byte = 5;
    upstream_resolver_sync(resolver, conf.conf);
    wait_changes(1, 2000);
    ns.last_byte = 0;
    wait_changes(2, 3000);
    assert_int_equal(last_change, ERR_DNS_FAILED);
    assert_int_equal(first_last_byte(), 5);
    assert_true(strlen(shared()->resolve_error) > 0);
    ns.last_byte = 5;
    wait_changes(3, 3000);
    assert_int_equal(last_change, ERR_OK);
    assert_int_equal(strlen(shared()->resolve_error), 0);
}

static void name_may_fail_at_start(void **state)
{
    (void)state;
    upstream_resolver_sync(resolver, conf.conf);
    wait_changes(1, 2000);
    assert_int_equal(last_change, ERR_DNS_FAILED);
    assert_int_equal(server_addr_count(shared()), 0);
    ns.last_byte = 7;
    wait_changes(2, 3000);
    assert_int_equal(first_last_byte(), 7);
}

static void sync_keeps_and_forgets(void **state)
{
    (void)state;
    struct test_conf next;
    ns.last_byte = 5;
    upstream_resolver_sync(resolver, conf.conf);
    upstream_resolver_sync(resolver, conf.conf); /* a reload while the query is under way */
    wait_changes(1, 2000);
    assert_int_equal(changes, 1);
    test_conf_init(&next, "upstream app { server 10.0.0.1 }");
    upstream_resolver_sync(resolver, next.conf);
    ns.last_byte = 6;
    wait_changes(2, 1300);
    assert_int_equal(changes, 1);
    test_conf_release(&next);
}

static void times_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(resolve_ttl_ms(0), 1000);
    assert_int_equal(resolve_ttl_ms(60000), 60000);
    assert_int_equal(resolve_ttl_ms(3600001), 3600000);
    int64_t ms = 0;
    static const int64_t due[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    for (size_t i = 0; i < COUNT_OF(due); i++) {
        ms = resolve_backoff_ms(ms);
        assert_int_equal(ms, due[i]);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
UNIT_SUITE(upstream_resolve, CASE(name_is_resolved_and_followed),
           CASE(failure_keeps_the_old_addresses), CASE(name_may_fail_at_start),
           CASE(sync_keeps_and_forgets), cmocka_unit_test(times_are_bounded));
