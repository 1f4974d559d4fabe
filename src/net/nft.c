/* nft.c - see nft.h. A change is one batch, which the kernel carries out whole or not at all. An
 * element that is there already keeps its time when it is added (before Linux 6.12), and one that
 * is not there cannot be taken out. So each is added, taken out, and added again with its time:
 * that holds in both cases. */
// SPDX-License-Identifier: Apache-2.0
#include "net/nft.h"
#include "base/assert.h"
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Types of messages; those of batches have no subsystem. */
enum {
    NEW_ELEMENTS = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM,
    DELETE_ELEMENTS = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELSETELEM,
    GET_SET = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSET,
    GET_GENERATION = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
};

enum { ANSWER_S = 5, V4_BYTES = 4, V6_BYTES = 16, MAPPED_BITS = 96, FIRST_SEQ = 1 };

uint8_t nft_family(struct slice name)
{
    static const struct {
        const char *name;
        uint8_t family;
    } all[] = {{"ip", NFPROTO_IPV4},
               {"ip6", NFPROTO_IPV6},
               {"inet", NFPROTO_INET},
               {"bridge", NFPROTO_BRIDGE},
               {"netdev", NFPROTO_NETDEV}};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (slice_eq(name, slice_of(all[i].name)))
            return all[i].family;
    return 0;
}

/* ---- messages ---- */

static void put(struct text *to, const void *at, size_t len)
{
    static const char zeros[NLA_ALIGNTO];
    text_add(to, (struct slice){at, len});
    text_add(to, (struct slice){zeros, NLA_ALIGN(len) - len});
}

/* The place of its header, for message_end(). */
static size_t message_begin(struct text *to, uint16_t type, uint16_t flags, uint32_t seq,
                            uint8_t family)
{
    size_t at = to->len;
    bool is_batch = type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END;
    struct nlmsghdr h = {
        .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = seq};
    struct nfgenmsg g = {.nfgen_family = family, .version = NFNETLINK_V0};
    g.res_id = is_batch ? htons(NFNL_SUBSYS_NFTABLES) : 0;
    put(to, &h, sizeof h);
    put(to, &g, sizeof g);
    return at;
}

static void message_end(struct text *to, size_t at)
{
    uint32_t len = (uint32_t)(to->len - at);
    memcpy(to->at + at + offsetof(struct nlmsghdr, nlmsg_len), &len, sizeof len);
}

static void attr(struct text *to, uint16_t type, const void *at, size_t len)
{
    struct nlattr a = {(uint16_t)(NLA_HDRLEN + len), type};
    put(to, &a, sizeof a);
    put(to, at, len);
}

static void attr_name(struct text *to, uint16_t type, const char *name)
{
    attr(to, type, name, strlen(name) + 1);
}

static size_t nest_begin(struct text *to, uint16_t type)
{
    size_t at = to->len;
    struct nlattr a = {0, (uint16_t)(type | NLA_F_NESTED)};
    put(to, &a, sizeof a);
    return at;
}

static void nest_end(struct text *to, size_t at)
{
    uint16_t len = (uint16_t)(to->len - at);
    ASSERT(to->len - at <= UINT16_MAX);
    memcpy(to->at + at + offsetof(struct nlattr, nla_len), &len, sizeof len);
}

/* ---- what a change is made of ---- */

static bool is_v4(const struct addr_prefix *p)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return p->bits >= MAPPED_BITS && memcmp(p->bytes, mapped, sizeof mapped) == 0;
}

static void put_element(struct text *to, const struct nft_element *e, int64_t left_ms)
{
    bool v4 = is_v4(&e->who);
    size_t element = nest_begin(to, NFTA_LIST_ELEM), key = nest_begin(to, NFTA_SET_ELEM_KEY);
    attr(to, NFTA_DATA_VALUE, e->who.bytes + (v4 ? V6_BYTES - V4_BYTES : 0),
         v4 ? V4_BYTES : V6_BYTES);
    nest_end(to, key);
    if (left_ms > 0) {
        uint64_t timeout = htobe64((uint64_t)left_ms);
        attr(to, NFTA_SET_ELEM_TIMEOUT, &timeout, sizeof timeout);
    }
    nest_end(to, element);
}

/* What goes to one of the sets. */
struct part {
    const struct nft_sets *sets;
    const struct nft_element *all;
    uint32_t count;
    bool v4;
    bool timed; /* those that stay, with their times; else all */
};

static bool is_in(const struct part *p, const struct nft_element *e)
{
    return is_v4(&e->who) == p->v4 && (!p->timed || e->left_ms > 0);
}

static bool is_empty(const struct part *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (is_in(p, &p->all[i]))
            return false;
    return true;
}

static void put_elements(struct text *to, const struct part *p, uint16_t type, uint32_t seq)
{
    if (is_empty(p))
        return;
    uint16_t flags = type == NEW_ELEMENTS ? NLM_F_CREATE : 0;
    size_t m = message_begin(to, type, flags, seq, p->sets->family);
    attr_name(to, NFTA_SET_ELEM_LIST_TABLE, p->sets->table);
    attr_name(to, NFTA_SET_ELEM_LIST_SET, p->v4 ? p->sets->v4 : p->sets->v6);
    size_t list = nest_begin(to, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (uint32_t i = 0; i < p->count; i++)
        if (is_in(p, &p->all[i]))
            put_element(to, &p->all[i], p->timed ? p->all[i].left_ms : 0);
    nest_end(to, list);
    message_end(to, m);
}

static void put_part(struct text *to, struct part p, uint32_t seq)
{
    put_elements(to, &p, NEW_ELEMENTS, seq);
    put_elements(to, &p, DELETE_ELEMENTS, seq + 1);
    p.timed = true;
    put_elements(to, &p, NEW_ELEMENTS, seq + 2);
}

/* The last of the messages between begin and end is to be answered. */
static void ask_for_answer(struct text *t, size_t from)
{
    struct nlmsghdr h;
    size_t last = from;
    for (size_t at = from; at < t->len; at += h.nlmsg_len) {
        memcpy(&h, t->at + at, sizeof h);
        last = at;
    }
    memcpy(&h, t->at + last, sizeof h);
    h.nlmsg_flags |= NLM_F_ACK;
    h.nlmsg_seq = NFT_LAST_SEQ;
    memcpy(t->at + last, &h, sizeof h);
}

void nft_change_write(struct text *to, const struct nft_sets *s, const struct nft_element *e,
                      uint32_t count)
{
    struct part p = {.sets = s, .all = e, .count = count, .v4 = true};
    message_end(to, message_begin(to, NFNL_MSG_BATCH_BEGIN, 0, FIRST_SEQ, AF_UNSPEC));
    size_t from = to->len;
    put_part(to, p, FIRST_SEQ + 1);
    p.v4 = false;
    put_part(to, p, FIRST_SEQ + 4);
    ask_for_answer(to, from);
    message_end(to, message_begin(to, NFNL_MSG_BATCH_END, 0, NFT_LAST_SEQ + 1, AF_UNSPEC));
}

/* ---- talking to the kernel ---- */

static int open_socket(void)
{
    int one = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    struct timeval wait = {.tv_sec = ANSWER_S};
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one); /* errors without the message */
    return fd;
}

/* The messages of one answer: 0 once the one with `seq` is good, -errno of the first that is not, 1
 * when more are to come. A message that is no error goes to *data. */
static int answer_read(const char *at, size_t len, uint32_t seq, struct slice *data)
{
    struct nlmsghdr h;
    for (; len >= sizeof h; at += NLMSG_ALIGN(h.nlmsg_len), len -= NLMSG_ALIGN(h.nlmsg_len)) {
        memcpy(&h, at, sizeof h);
        if (h.nlmsg_len < sizeof h || h.nlmsg_len > len)
            return -EBADMSG;
        struct nlmsgerr e;
        bool is_error = h.nlmsg_type == NLMSG_ERROR && h.nlmsg_len >= sizeof h + sizeof e.error;
        if (is_error)
            memcpy(&e.error, at + sizeof h, sizeof e.error);
        if (is_error && e.error)
            return e.error;
        if (!is_error)
            *data = (struct slice){at, h.nlmsg_len};
        if (h.nlmsg_seq == seq)
            return 0;
        if (NLMSG_ALIGN(h.nlmsg_len) > len)
            break;
    }
    return 1;
}

/* Sends and waits for the answer to `seq`, whose data goes to *reply. 0 or -errno. */
static int ask(const struct text *t, uint32_t seq, struct text *reply)
{
    char bytes[8192];
    int fd = open_socket(), result = 1;
    if (fd < 0)
        return -errno;
    if (send(fd, t->at, t->len, 0) != (ssize_t)t->len)
        result = -errno;
    while (result == 1) {
        struct slice data = SLICE_NONE;
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        result = n < 0 ? -errno : answer_read(bytes, (size_t)n, seq, &data);
        if (result == 0 && reply && data.at)
            text_add(reply, data);
    }
    close(fd);
    return result;
}

static bool explain(int error, const struct nft_sets *s, const char *set, struct text *why)
{
    if (error == -ENOENT)
        text_addf(why, "there is no set %s in a table %s of this family", set, s->table);
    else if (error == -EPERM || error == -EACCES)
        text_addf(why, "the supervisor lacks CAP_NET_ADMIN");
    else
        text_addf(why, "set %s of table %s: %s", set, s->table, strerror(-error));
    return false;
}

bool nft_change(const struct nft_sets *s, const struct nft_element *e, uint32_t count,
                struct text *why)
{
    struct text t;
    ASSERT(count > 0 && count <= NFT_ELEMENTS_MAX);
    text_init(&t);
    nft_change_write(&t, s, e, count);
    int error = ask(&t, NFT_LAST_SEQ, NULL);
    text_release(&t);
    return error == 0 || explain(error, s, is_v4(&e->who) ? s->v4 : s->v6, why);
}

/* ---- questions ---- */

/* A number of the reply; 0: it has none. */
static uint32_t number_of(const struct text *reply, uint16_t type)
{
    size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));
    struct nlattr a;
    uint32_t number;
    while (at + sizeof a + sizeof number <= reply->len) {
        memcpy(&a, reply->at + at, sizeof a);
        if ((a.nla_type & NLA_TYPE_MASK) == type && a.nla_len == NLA_HDRLEN + sizeof number) {
            memcpy(&number, reply->at + at + NLA_HDRLEN, sizeof number);
            return ntohl(number);
        }
        at += a.nla_len >= NLA_HDRLEN ? NLA_ALIGN(a.nla_len) : reply->len;
    }
    return 0;
}

static int set_ask(const struct nft_sets *s, const char *set, struct text *reply)
{
    struct text t;
    text_init(&t);
    size_t m = message_begin(&t, GET_SET, 0, FIRST_SEQ, s->family);
    attr_name(&t, NFTA_SET_TABLE, s->table);
    attr_name(&t, NFTA_SET_NAME, set);
    message_end(&t, m);
    int error = ask(&t, FIRST_SEQ, reply);
    text_release(&t);
    return error;
}

/* An interval that nobody ends would hold all addresses behind it. */
static bool set_check(const struct nft_sets *s, const char *set, uint32_t key_bytes,
                      struct text *why)
{
    struct text reply;
    text_init(&reply);
    int error = set_ask(s, set, &reply);
    uint32_t flags = number_of(&reply, NFTA_SET_FLAGS);
    uint32_t bytes = number_of(&reply, NFTA_SET_KEY_LEN);
    text_release(&reply);
    if (error)
        return explain(error, s, set, why);
    if (bytes == key_bytes && (flags & NFT_SET_TIMEOUT) &&
        !(flags & (NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_CONSTANT)))
        return true;
    text_addf(why, "set %s of table %s must be of type %s with 'flags timeout' and no others", set,
              s->table, key_bytes == V4_BYTES ? "ipv4_addr" : "ipv6_addr");
    return false;
}

bool nft_check(const struct nft_sets *s, struct text *why)
{
    return set_check(s, s->v4, V4_BYTES, why) && set_check(s, s->v6, V6_BYTES, why);
}

uint32_t nft_generation(void)
{
    struct text t, reply;
    text_init(&t);
    text_init(&reply);
    message_end(&t, message_begin(&t, GET_GENERATION, 0, FIRST_SEQ, AF_UNSPEC));
    uint32_t id = ask(&t, FIRST_SEQ, &reply) == 0 ? number_of(&reply, NFTA_GEN_ID) : 0;
    text_release(&t);
    text_release(&reply);
    return id;
}
