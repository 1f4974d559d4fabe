/* geo_mmdb.c - geo.h by libmaxminddb. The library maps files by their path, so the bytes go into a
 * file that has no name: a process that may not open the database itself gets it like any other
 * file of the configuration, and nobody can cut short what is mapped. What a damaged database can
 * do is a matter of the library, which checks every offset. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "net/geo.h"
#include <errno.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct geo {
    MMDB_s db;
    struct geo *next; /* of all */
    uint64_t hash;
    size_t bytes;
    uint32_t refs;
};

static struct geo *all; /* the main thread's */

/* --- opening ---------------------------------------------------------------------------------- */

static bool write_all(int fd, struct slice s)
{
    while (s.len > 0) {
        ssize_t n = write(fd, s.at, s.len);
        if (n < 0 && errno != EINTR)
            return false;
        s = slice_from(s, n > 0 ? (size_t)n : 0);
    }
    return true;
}

static const char *open_fd(struct geo *g, int fd, struct slice bytes)
{
    char path[32];
    if (!write_all(fd, bytes))
        return strerror(errno);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int e = MMDB_open(path, MMDB_MODE_MMAP, &g->db);
    return e == MMDB_SUCCESS ? NULL : MMDB_strerror(e);
}

static struct geo *geo_new(struct slice bytes, uint64_t hash, const char **why)
{
    struct geo *g = MEM_NEW(struct geo);
    int fd = memfd_create("weir-geo", MFD_CLOEXEC);
    *why = fd < 0 ? strerror(errno) : open_fd(g, fd, bytes);
    if (fd >= 0)
        close(fd);
    if (*why) {
        free(g);
        return NULL;
    }
    g->hash = hash;
    g->bytes = bytes.len;
    g->next = all;
    all = g;
    return g;
}

struct geo *geo_take(struct slice bytes, const char **why)
{
    uint64_t hash = hash_fast(bytes, 0);
    struct geo *g = all;
    while (g && (g->hash != hash || g->bytes != bytes.len))
        g = g->next;
    if (!g)
        g = geo_new(bytes, hash, why);
    if (g)
        g->refs++;
    return g;
}

void geo_drop(struct geo *g)
{
    if (--g->refs > 0)
        return;
    struct geo **at = &all;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    MMDB_close(&g->db);
    free(g);
}

/* --- asking ----------------------------------------------------------------------------------- */

/* Publishers differ in their words; the first path that leads to a text is the one. */
enum { PATHS_MAX = 4, PATH_WORDS = 4 };
typedef const char *const paths_t[PATHS_MAX][PATH_WORDS];

static paths_t COUNTRY = {{"country", "iso_code"}, {"country_code"}, {"country"}};
static paths_t CITY = {{"city", "names", "en"}, {"city"}};
static paths_t AS_ORG = {{"autonomous_system_organization"}, {"as_name"}};
static paths_t ASN = {{"autonomous_system_number"}, {"asn"}};

static struct slice text_get(MMDB_entry_s *e, paths_t paths)
{
    MMDB_entry_data_s v;
    for (int i = 0; i < PATHS_MAX && paths[i][0]; i++)
        if (MMDB_aget_value(e, &v, paths[i]) == MMDB_SUCCESS && v.has_data &&
            v.type == MMDB_DATA_TYPE_UTF8_STRING)
            return (struct slice){v.utf8_string, v.data_size};
    return SLICE_NONE;
}

/* Some write "AS64500". */
static uint32_t asn_get(MMDB_entry_s *e)
{
    MMDB_entry_data_s v;
    uint64_t number;
    if (MMDB_aget_value(e, &v, ASN[0]) == MMDB_SUCCESS && v.has_data &&
        v.type == MMDB_DATA_TYPE_UINT32)
        return v.uint32;
    struct slice s = text_get(e, ASN);
    s = slice_starts(s, SLICE("AS")) ? slice_from(s, 2) : s;
    return num_parse_u64(s, &number) == ERR_OK && number <= UINT32_MAX ? (uint32_t)number : 0;
}

static void text_add_fact(struct slice *to, MMDB_entry_s *e, paths_t paths)
{
    if (!to->at)
        *to = text_get(e, paths);
}

static bool entry_find(const struct geo *g, const struct addr *a, MMDB_entry_s *out)
{
    int e = MMDB_SUCCESS;
    struct addr plain = *a;
    if (a->len == 0 || a->sa.sa_family == AF_UNIX)
        return false;
    addr_unmap(&plain);
    MMDB_lookup_result_s r = MMDB_lookup_sockaddr(&g->db, &plain.sa, &e);
    *out = r.entry;
    return e == MMDB_SUCCESS && r.found_entry;
}

void geo_look_up(const struct geo *g, const struct addr *a, struct geo_facts *f)
{
    MMDB_entry_s e;
    if (!entry_find(g, a, &e))
        return;
    text_add_fact(&f->country, &e, COUNTRY);
    if (f->country.len != 2) /* the name of one */
        f->country = SLICE_NONE;
    text_add_fact(&f->city, &e, CITY);
    text_add_fact(&f->as_org, &e, AS_ORG);
    if (f->asn == 0)
        f->asn = asn_get(&e);
}
