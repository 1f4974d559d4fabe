/* special.c - see special.h. One table, made from the registries for special purposes (RFC 6890 and
 * those that added to it: 5737, 6598, 7335, 7534, 7535, 8155, 9602, 9637) and for multicast.
 *
 * Of IPv6 only 2000::/3 is given out to hosts at all: what lies outside of it is refused without a
 * row, except what NAT64 makes of public IPv4 addresses. */
// SPDX-License-Identifier: Apache-2.0
#include "net/special.h"
#include "base/assert.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct special {
    struct addr_prefix prefix;
    const char *what;
};

#define V4(a, b, c, d, bits_)                                                \
    {                                                                        \
        .bytes = {[10] = 255, [11] = 255, a, b, c, d}, .bits = 96 + (bits_), \
    }
#define V6(bits_, ...)                           \
    {                                            \
        .bytes = {__VA_ARGS__}, .bits = (bits_), \
    }

static const struct special specials[] = {
    {V4(0, 0, 0, 0, 8), "this network"},
    {V4(10, 0, 0, 0, 8), "private use"},
    {V4(100, 64, 0, 0, 10), "shared by carriers (CGNAT)"},
    {V4(127, 0, 0, 0, 8), "loopback"},
    {V4(169, 254, 0, 0, 16), "link-local"},
    {V4(172, 16, 0, 0, 12), "private use"},
    {V4(192, 0, 0, 0, 24), "protocol assignments"},
    {V4(192, 0, 2, 0, 24), "documentation"},
    {V4(192, 31, 196, 0, 24), "anycast of AS112"},
    {V4(192, 52, 193, 0, 24), "anycast of AMT"},
    {V4(192, 88, 99, 0, 24), "anycast of 6to4"},
    {V4(192, 168, 0, 0, 16), "private use"},
    {V4(192, 175, 48, 0, 24), "anycast of AS112"},
    {V4(198, 18, 0, 0, 15), "benchmarks"},
    {V4(198, 51, 100, 0, 24), "documentation"},
    {V4(203, 0, 113, 0, 24), "documentation"},
    {V4(224, 0, 0, 0, 4), "multicast"},
    {V4(240, 0, 0, 0, 4), "reserved"},
    {V6(127, 0), "loopback"}, /* and ::, which a connect() takes for it */
    {V6(10, 0xfe, 0x80), "link-local"},
    {V6(10, 0xfe, 0xc0), "private use"}, /* site-local, RFC 3879 */
    {V6(7, 0xfc), "private use"},
    {V6(8, 0xff), "multicast"},
    {V6(23, 0x20, 0x01), "protocol assignments"}, /* Teredo, ORCHID, benchmarks and others */
    {V6(32, 0x20, 0x01, 0x0d, 0xb8), "documentation"},
    {V6(16, 0x20, 0x02), "6to4"},
    {V6(48, 0x26, 0x20, 0, 0x4f, 0x80), "anycast of AS112"},
    {V6(20, 0x3f, 0xff), "documentation"},
};

static const struct addr_prefix nat64 = V6(96, 0, 0x64, 0xff, 0x9b); /* RFC 6052 2.1 */
static const struct addr_prefix global_unicast = V6(3, 0x20);

bool special_nat64(const struct addr *a, struct addr *v4)
{
    if (a->sa.sa_family != AF_INET6 || !addr_prefix_match(&nat64, a))
        return false;
    *v4 = (struct addr){.len = sizeof(v4->in), .in = {.sin_family = AF_INET}};
    memcpy(&v4->in.sin_addr, a->in6.sin6_addr.s6_addr + 12, 4);
    return true;
}

const char *special_find(const struct addr *a)
{
    if (a->len == 0 || (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6))
        return "not an address of the Internet";
    struct addr plain = *a, v4;
    addr_unmap(&plain);
    for (size_t i = 0; i < COUNT_OF(specials); i++)
        if (addr_prefix_match(&specials[i].prefix, &plain))
            return specials[i].what;
    if (plain.sa.sa_family == AF_INET || addr_prefix_match(&global_unicast, &plain))
        return NULL;
    return special_nat64(&plain, &v4) ? special_find(&v4) : "not given out to hosts";
}

/* A connect() of UDP only chooses a route and a source: that of one's own address is itself.
 * 0 or -errno. */
static int source_for(const struct addr *to, struct addr *source)
{
    int fd = socket(to->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;
    if (fd < 0)
        return -errno;
    socklen_t len = sizeof(source->un);
    if (connect(fd, &to->sa, to->len) != 0 || getsockname(fd, &source->sa, &len) != 0)
        error = -errno;
    source->len = len;
    close(fd);
    return error;
}

/* Nothing could be found out, for want of a descriptor, memory or a port: a client may have brought
 * that about, and a connection a moment later may succeed. */
static bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS ||
           error == -EAGAIN;
}

bool special_is_own(const struct addr *a)
{
    struct addr to = *a, source;
    if (a->len == 0 || (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6))
        return true;
    addr_set_port(&to, 9); /* any will do */
    int error = source_for(&to, &source);
    if (error)
        return is_shortage(error); /* else no route: no connection either */
    addr_set_port(&source, 9);
    return addr_eq(&source, &to);
}
