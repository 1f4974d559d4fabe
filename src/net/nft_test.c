/* nft_test.c - what is sent to the kernel, message by message; that it obeys is tested from
 * outside. */
// SPDX-License-Identifier: Apache-2.0
#include "net/nft.h"
#include "tests/unit.h"
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>

enum {
    NEW = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM,
    MESSAGES_MAX = 8,
    SEND_BYTES = 212992
};
enum { DELETE = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELSETELEM };

static const struct nft_sets SETS = {NFPROTO_INET, "filter", "four", "six"};

static struct nft_element element(const char *text, int64_t left_ms)
{
    struct nft_element e = {.left_ms = left_ms};
    assert_int_equal(addr_prefix_parse(slice_of(text), &e.who), ERR_OK);
    return e;
}

/* Splits a batch; the messages' types. */
static uint32_t split(const struct text *t, struct nlmsghdr heads[MESSAGES_MAX],
                      struct slice bodies[MESSAGES_MAX])
{
    uint32_t count = 0;
    for (size_t at = 0; at < t->len; count++) {
        assert_true(count < MESSAGES_MAX && at % NLMSG_ALIGNTO == 0);
        memcpy(&heads[count], t->at + at, sizeof *heads);
        bodies[count] = (struct slice){t->at + at, heads[count].nlmsg_len};
        at += heads[count].nlmsg_len;
        assert_true(heads[count].nlmsg_len > 0 && at <= t->len);
    }
    return count;
}

static bool holds(struct slice s, const void *at, size_t len)
{
    return memmem(s.at, s.len, at, len) != NULL;
}

static void each_is_added_taken_out_and_added_with_its_time(void **state)
{
    (void)state;
    struct nlmsghdr heads[MESSAGES_MAX];
    struct slice bodies[MESSAGES_MAX];
    struct text t;
    struct nft_element all[] = {element("192.0.2.1", 0x01020304), element("192.0.2.2", 0),
                                element("2001:db8:1:2::/64", 5000)};
    static const uint16_t types[] = {NFNL_MSG_BATCH_BEGIN, NEW, DELETE, NEW, NEW, DELETE, NEW,
                                     NFNL_MSG_BATCH_END};
    text_init(&t);
    nft_change_write(&t, &SETS, all, 3);
    assert_int_equal(split(&t, heads, bodies), 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(heads[i].nlmsg_type, types[i]);
        assert_int_equal((heads[i].nlmsg_flags & NLM_F_ACK) != 0, i == 6);
    }
    assert_int_equal(heads[6].nlmsg_seq, NFT_LAST_SEQ);
    for (int i = 1; i < 4; i++) {
        assert_true(holds(bodies[i], "four", 5) && holds(bodies[i], "\xc0\x00\x02\x01", 4));
        assert_int_equal(holds(bodies[i], "\xc0\x00\x02\x02", 4), i < 3); /* it is to go */
        assert_int_equal(holds(bodies[i], "\0\0\0\0\x01\x02\x03\x04", 8), i == 3);
    }
    for (int i = 4; i < 7; i++)
        assert_true(holds(bodies[i], "six", 4) &&
                    holds(bodies[i], "\x20\x01\x0d\xb8\0\1\0\2\0\0\0\0\0\0\0\0", 16));
    text_release(&t);
}

static void one_family_alone(void **state)
{
    (void)state;
    struct nlmsghdr heads[MESSAGES_MAX];
    struct slice bodies[MESSAGES_MAX];
    struct text t;
    struct nft_element gone = element("192.0.2.1", 0);
    text_init(&t);
    nft_change_write(&t, &SETS, &gone, 1);
    assert_int_equal(split(&t, heads, bodies), 4);
    assert_int_equal(heads[2].nlmsg_type, DELETE);
    assert_int_equal(heads[2].nlmsg_seq, NFT_LAST_SEQ);
    text_release(&t);
}

/* Lists of elements have 16 bits for their length, and a socket takes so much at once. */
static void the_most_fit(void **state)
{
    (void)state;
    static struct nft_element all[NFT_ELEMENTS_MAX];
    struct text t;
    for (int i = 0; i < NFT_ELEMENTS_MAX; i++)
        all[i] = element("2001:db8:1:2::/64", 1 << 30);
    text_init(&t);
    nft_change_write(&t, &SETS, all, NFT_ELEMENTS_MAX);
    assert_in_range(t.len, 1, SEND_BYTES / 2);
    text_release(&t);
}

static void families_have_names(void **state)
{
    (void)state;
    assert_int_equal(nft_family(SLICE("inet")), NFPROTO_INET);
    assert_int_equal(nft_family(SLICE("ip6")), NFPROTO_IPV6);
    assert_int_equal(nft_family(SLICE("arp")), 0);
}

UNIT_SUITE(net_nft, cmocka_unit_test(each_is_added_taken_out_and_added_with_its_time),
           cmocka_unit_test(one_family_alone), cmocka_unit_test(the_most_fit),
           cmocka_unit_test(families_have_names));
