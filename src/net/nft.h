/* nft.h - addresses in sets of nftables, each until its time is over: packets from them can then
 * die in the kernel. By netlink, without a library or a child process.
 *
 * Table and sets are the administrator's; nothing is made here but elements. Calls wait for the
 * kernel, which takes some microseconds for each element. They need CAP_NET_ADMIN in the network
 * namespace. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "net/addr.h"

enum { NFT_NAME_BYTES = 64, NFT_ELEMENTS_MAX = 512 };

struct nft_sets {
    uint8_t family; /* of the table: NFPROTO_INET and such */
    char table[NFT_NAME_BYTES];
    char v4[NFT_NAME_BYTES]; /* of type ipv4_addr, flags timeout */
    char v6[NFT_NAME_BYTES]; /* of type ipv6_addr, flags timeout: networks by their first address */
};

struct nft_element {
    struct addr_prefix who;
    int64_t left_ms; /* 0: it is not to be there */
};

/* The family of that name: ip, ip6, inet, bridge or netdev. 0: there is none. */
uint8_t nft_family(struct slice name);
/* Can elements be added to both sets? False with the reason in *why, for people. */
bool nft_check(const struct nft_sets *s, struct text *why);
/* Makes the sets so, all or nothing; what is there gets the new time. At most NFT_ELEMENTS_MAX. */
bool nft_change(const struct nft_sets *s, const struct nft_element *e, uint32_t count,
                struct text *why);
/* A number that grows by one with every change of anybody's. 0: unknown. */
uint32_t nft_generation(void);

/* What nft_change() sends; the last message asks for an answer with this number. For tests. */
void nft_change_write(struct text *to, const struct nft_sets *s, const struct nft_element *e,
                      uint32_t count);
enum { NFT_LAST_SEQ = 1000 };
