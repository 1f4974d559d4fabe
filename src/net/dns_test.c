/* dns_test.c - against a small name server in a thread of the test: addresses of both families,
 * smallest TTL, failures, /etc/hosts, literals, cancel. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "net/dns.h"
#include "tests/unit.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct counters_shared counters;
static struct loop loop;
static struct dns *dns;
static int server_fd;
static pthread_t server_thread;

/* ---- the name server ---- */

enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_AAAA = 28, RCODE_NXDOMAIN = 3, HEADER_BYTES = 12 };

struct packet {
    unsigned char bytes[512];
    size_t len;
};

static void put(struct packet *p, const void *at, size_t len)
{
    memcpy(p->bytes + p->len, at, len);
    p->len += len;
}

static void put_record(struct packet *p, int type, uint32_t ttl_s, const void *data, size_t len)
{
    unsigned char head[12] = {0xc0, HEADER_BYTES, 0, (unsigned char)type, 0, 1};
    head[8] = (unsigned char)(ttl_s >> 8);
    head[9] = (unsigned char)ttl_s;
    head[11] = (unsigned char)len;
    put(p, head, sizeof(head));
    put(p, data, len);
    p->bytes[7]++;
}

static bool asks_for(const struct packet *p, const char *label)
{
    return p->bytes[HEADER_BYTES] == strlen(label) &&
           memcmp(p->bytes + HEADER_BYTES + 1, label, strlen(label)) == 0;
}

/* Turns the question into its answer; false: stays silent. */
static bool answer(struct packet *p)
{
    size_t name_end = HEADER_BYTES;
    while (p->bytes[name_end])
        name_end += p->bytes[name_end] + 1u;
    int type = p->bytes[name_end + 2];
    p->len = name_end + 5; /* drops EDNS */
    p->bytes[2] = 0x85;
    p->bytes[3] = 0x80;
    memset(p->bytes + 6, 0, 6);
    if (asks_for(p, "silent"))
        return false;
    if (asks_for(p, "both") && type == TYPE_A) {
        put_record(p, TYPE_A, 300, "\x0a\x00\x00\x01", 4);
        put_record(p, TYPE_A, 60, "\x0a\x00\x00\x02", 4);
    } else if (asks_for(p, "both") && type == TYPE_AAAA) {
        put_record(p, TYPE_AAAA, 120, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16);
    } else if (asks_for(p, "brief") && type == TYPE_A) {
        put_record(p, TYPE_A, 0, "\x0a\x00\x00\x03", 4);
    } else if (asks_for(p, "9") && type == TYPE_PTR) { /* of 192.0.2.9 */
        put_record(p, TYPE_PTR, 60, "\3bot\4test\0", 10);
        put_record(p, TYPE_PTR, 60, "\5other\4test\0", 12);
    } else if (asks_for(p, "7") && type == TYPE_PTR) { /* of 2001:db8::7 */
        put_record(p, TYPE_PTR, 60, "\3six\4test\0", 10);
    } else if (!asks_for(p, "both") && !asks_for(p, "brief")) {
        p->bytes[3] |= RCODE_NXDOMAIN;
    }
    return true;
}

static void *serve(void *arg)
{
    struct packet p;
    struct sockaddr_storage from;
    (void)arg;
    for (;;) {
        socklen_t from_len = sizeof(from);
        ssize_t n =
            recvfrom(server_fd, p.bytes, sizeof(p.bytes), 0, (struct sockaddr *)&from, &from_len);
        if (n < HEADER_BYTES + 5)
            return NULL; /* the test's end */
        p.len = (size_t)n;
        if (answer(&p))
            sendto(server_fd, p.bytes, p.len, 0, (struct sockaddr *)&from, from_len);
    }
}

static struct addr server_addr;

static int set_up(void **state)
{
    char servers[ADDR_TEXT_BYTES];
    (void)state;
    assert_int_equal(addr_parse_ip(SLICE("127.0.0.1"), &server_addr), ERR_OK);
    server_fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(server_fd, &server_addr.sa, server_addr.len), 0);
    assert_int_equal(getsockname(server_fd, &server_addr.sa, &server_addr.len), 0);
    assert_int_equal(pthread_create(&server_thread, NULL, serve, NULL), 0);
    assert_true(loop_init(&loop, &io_backend_epoll, NULL, &counters, 1 << 20));
    addr_write(servers, &server_addr);
    dns = dns_new(&loop, servers);
    assert_non_null(dns);
    return 0;
}

static int tear_down(void **state)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    (void)state;
    if (dns)
        dns_free(dns);
    loop_release(&loop);
    sendto(fd, "end", 3, 0, &server_addr.sa, server_addr.len);
    pthread_join(server_thread, NULL);
    close(fd);
    close(server_fd);
    return 0;
}

/* ---- what was heard ---- */

struct heard {
    int count;
    enum err err;
    bool none;
    char text[64], addrs[512], names[512];
    int64_t ttl_ms;
};

static void on_answer(void *ctx, const struct dns_answer *a)
{
    struct heard *h = ctx;
    h->count++;
    h->err = a->err;
    h->none = a->none;
    h->ttl_ms = a->ttl_ms;
    snprintf(h->text, sizeof(h->text), "%s", a->text ? a->text : "");
    for (size_t i = 0; a->names && i < a->count; i++)
        strcat(strcat(h->names, a->names[i]), " ");
    for (size_t i = 0; a->addrs && i < a->count; i++) {
        char one[ADDR_TEXT_BYTES];
        addr_write(one, &a->addrs[i]);
        strcat(strcat(h->addrs, one), " ");
    }
}

static void hear(const struct heard *h)
{
    assert_int_equal(h->count, 0); /* never from inside the call */
    for (int i = 0; i < 200 && !h->count; i++)
        loop_tick(&loop);
    assert_int_equal(h->count, 1);
}

static struct heard resolve(const char *name)
{
    struct heard h = {0};
    assert_non_null(dns_resolve(dns, slice_of(name), on_answer, &h));
    hear(&h);
    return h;
}

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(slice_of(text), &a), ERR_OK);
    return a;
}

static struct heard reverse(const char *text)
{
    struct heard h = {0};
    struct addr a = ip(text);
    assert_non_null(dns_reverse(dns, &a, on_answer, &h));
    hear(&h);
    return h;
}

static void gives_both_families_and_the_smallest_ttl(void **state)
{
    (void)state;
    struct heard h = resolve("both.test.");
    assert_int_equal(h.err, ERR_OK);
    assert_non_null(strstr(h.addrs, "10.0.0.1:0 "));
    assert_non_null(strstr(h.addrs, "10.0.0.2:0 "));
    assert_non_null(strstr(h.addrs, "[2001:db8::7]:0 "));
    assert_int_equal(h.ttl_ms, 60000);
}

static void ttl_of_zero_is_a_second(void **state)
{
    (void)state;
    struct heard h = resolve("brief.test.");
    assert_int_equal(h.err, ERR_OK);
    assert_string_equal(h.addrs, "10.0.0.3:0 ");
    assert_int_equal(h.ttl_ms, 1000);
}

static void tells_why_it_failed(void **state)
{
    char name[300];
    (void)state;
    struct heard h = resolve("missing.test.");
    assert_int_equal(h.err, ERR_DNS_FAILED);
    assert_true(strlen(h.text) > 0);
    assert_true(h.ttl_ms > 0);
    memset(name, 'a', sizeof(name));
    name[256] = '\0';
    assert_int_equal(resolve(name).err, ERR_DNS_FAILED);
    assert_int_equal(resolve("").err, ERR_DNS_FAILED);
}

static void knows_literals(void **state)
{
    (void)state;
    assert_string_equal(resolve("192.0.2.9").addrs, "192.0.2.9:0 ");
    assert_string_equal(resolve("2001:db8::9").addrs, "[2001:db8::9]:0 ");
}

static void knows_names_of_addresses(void **state)
{
    (void)state;
    struct heard h = reverse("192.0.2.9");
    assert_int_equal(h.err, ERR_OK);
    assert_non_null(strstr(h.names, "bot.test"));
    assert_non_null(strstr(h.names, "other.test"));
    assert_non_null(strstr(reverse("::ffff:192.0.2.9").names, "bot.test"));
    assert_non_null(strstr(reverse("2001:db8::7").names, "six.test"));
    h = reverse("192.0.2.8");
    assert_int_equal(h.err, ERR_DNS_FAILED);
    assert_true(h.none);
    struct addr nobody = {0};
    struct heard none = {0};
    dns_reverse(dns, &nobody, on_answer, &none);
    hear(&none);
    assert_int_equal(none.err, ERR_DNS_FAILED);
    assert_false(none.none);
}

static void canceled_queries_stay_silent(void **state)
{
    struct heard h = {0};
    (void)state;
    dns_cancel(dns_resolve(dns, SLICE("silent.test."), on_answer, &h));
    dns_cancel(dns_resolve(dns, SLICE("192.0.2.1"), on_answer, &h)); /* answered, not delivered */
    struct dns_query *q = dns_resolve(dns, SLICE("both.test."), on_answer, &h);
    loop_tick(&loop);
    if (!h.count)
        dns_cancel(q);
    int before = h.count;
    resolve("brief.test.");
    assert_int_equal(h.count, before);
}

static void free_ends_what_is_outstanding(void **state)
{
    struct heard h = {0};
    (void)state;
    dns_resolve(dns, SLICE("silent.test."), on_answer, &h);
    dns_resolve(dns, SLICE("both.test."), on_answer, &h);
    dns_resolve(dns, SLICE("127.0.0.1"), on_answer, &h);
    dns_free(dns);
    dns = NULL;
    for (int i = 0; i < 3; i++) {
        loop_stop(&loop);
        loop_tick(&loop);
    }
    assert_int_equal(h.count, 0);
    assert_int_equal(loop.timers.count, 0);
    assert_true(list_empty(&loop.dead));
}

static void refuses_bad_servers(void **state)
{
    (void)state;
    assert_null(dns_new(&loop, "not an address"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
UNIT_SUITE(net_dns, CASE(gives_both_families_and_the_smallest_ttl), CASE(ttl_of_zero_is_a_second),
           CASE(tells_why_it_failed), CASE(knows_literals), CASE(knows_names_of_addresses),

           CASE(canceled_queries_stay_silent), CASE(free_ends_what_is_outstanding),
           CASE(refuses_bad_servers));
