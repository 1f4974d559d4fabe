/* sandbox_files.c - files by Landlock (Linux 5.13): rules name folders that are open, by inode.
 *
 * Three layers: what libraries read wherever they run, what the configuration names, and nothing
 * else. A folder that is replaced by another of the same name is another folder to the kernel, so
 * where that is usual its parent is let in: that of a file (databases are exchanged by rename),
 * that of a link's target (current -> releases/42), that of a log (rotation). Connecting to a
 * socket in the file system and reading what is open already are not restricted. */
// SPDX-License-Identifier: Apache-2.0
#include "base/asan.h"
#include "base/assert.h"
#include "main/sandbox_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers may be older than kernels. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

enum {
    VERSION_REFER = 2,
    VERSION_TRUNCATE = 3,
    VERSION_NET = 4,
    VERSION_IOCTL = 5,
    VERSION_SCOPE = 6,
};

#define ACCESS_VERSION_1 ((1ULL << 13) - 1)
#define ACCESS_IOCTL_DEV (1ULL << 15)
#define NET_BIND_TCP     (1ULL << 0)
#define SCOPE_ABSTRACT   (1ULL << 0) /* unix sockets */
#define SCOPE_SIGNAL     (1ULL << 1)

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define MAKES (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)
#define OWNS                                                                     \
    (READS | MAKES | LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REFER)
/* What a rule for a plain file may say. */
#define OF_FILES                                                                                 \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
     LANDLOCK_ACCESS_FS_TRUNCATE)

/* As the kernel takes it, up to version 6; what an older one does not know must be 0. */
struct ruleset {
    uint64_t files, net, scoped;
};

static const uint64_t access_rights[] = {
    [CONF_READS] = READS, [CONF_APPENDS] = MAKES, [CONF_OWNS] = OWNS};

/* For the C library (names, time zones, converters, unwinding), OpenSSL (settings, roots), c-ares;
 * and for the library that counts processors when it makes memory pools. */
static const char *const system_reads[] = {
    "/etc",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/share",
    "/usr/local/lib",
    "/usr/local/share",
    "/lib",
    "/lib64",
    "/var/lib/ca-certificates",
    "/nix/store",
    "/gnu/store",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/sys/devices/system/cpu",
    "/proc/self",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
};

/* These may be links to anywhere, such as a folder of whoever manages the network. */
static const char *const system_links[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs"};

/* OpenSSL finds roots and settings by them. */
static const char *const system_variables[] = {"SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF"};

/* ---- places ---- */

static bool parent_of(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return false; /* never the whole system */
    *slash = '\0';
    return true;
}

static void place_put(struct sandbox *s, const char *real, enum conf_access access)
{
    struct stat st;
    if (strcmp(real, "/") == 0 || stat(real, &st) != 0)
        return;
    struct sandbox_place *more = realloc(s->places, (s->count + 1) * sizeof *more);
    char *path = strdup(real);
    if (more)
        s->places = more;
    if (more && path)
        s->places[s->count++] = (struct sandbox_place){path, st.st_dev, st.st_ino, (uint8_t)access};
    else
        free(path);
}

static bool is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_plain(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The folder that a log lies in, whether or not it is there yet. */
static void log_place_add(struct sandbox *s, const char *path)
{
    char name[PATH_MAX], real[PATH_MAX];
    if (realpath(path, real)) {
        place_put(s, real, CONF_APPENDS); /* /dev/stderr leads anywhere */
        if (is_plain(real) && parent_of(real))
            place_put(s, real, CONF_APPENDS);
    }
    if (strlen(path) >= sizeof name)
        return;
    memcpy(name, path, strlen(path) + 1);
    if (!is_link(path) && parent_of(name) && realpath(name, real))
        place_put(s, real, CONF_APPENDS);
}

void sandbox_place_add(struct sandbox *s, const char *path, enum conf_access access)
{
    char real[PATH_MAX];
    if (access == CONF_APPENDS) {
        log_place_add(s, path);
        return;
    }
    if (access == CONF_OWNS)
        (void)mkdir(path, 0700); /* a rule needs one that is there */
    if (!realpath(path, real))
        return;
    place_put(s, real, access);
    bool changes = !is_folder(real) || is_link(path);
    if (access == CONF_READS && changes && parent_of(real))
        place_put(s, real, access);
}

static void system_places_add(struct sandbox *s)
{
    for (size_t i = 0; i < COUNT_OF(system_links); i++)
        sandbox_place_add(s, system_links[i], CONF_READS);
    for (size_t i = 0; i < COUNT_OF(system_variables); i++) {
        const char *path = getenv(system_variables[i]);
        if (path && *path)
            sandbox_place_add(s, path, CONF_READS);
    }
}

/* ---- rules ---- */

static uint64_t access_known(int version)
{
    uint64_t all = ACCESS_VERSION_1;
    if (version >= VERSION_REFER)
        all |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= VERSION_TRUNCATE)
        all |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (version >= VERSION_IOCTL)
        all |= ACCESS_IOCTL_DEV;
    return all;
}

/* A folder that is not here needs no rule. */
static bool rule_add(int ruleset, const char *path, uint64_t rights)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return true;
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rights &= OF_FILES;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
    long failed = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int error = errno;
    close(fd);
    errno = error;
    return failed == 0;
}

static bool rules_add(int ruleset, const struct sandbox *s, uint64_t known)
{
    const char *temporary = getenv("TMPDIR");
    bool ok = true;
    for (size_t i = 0; ok && i < COUNT_OF(system_reads); i++)
        ok = rule_add(ruleset, system_reads[i], READS & known);
    /* Request bodies that are kept (proxy/spool.c), in files that nobody else sees. */
    ok = ok && rule_add(ruleset, temporary ? temporary : "/tmp",
                        (READS | MAKES | LANDLOCK_ACCESS_FS_REMOVE_FILE) & known);
    ok = ok && rule_add(ruleset, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE);
    for (uint32_t i = 0; ok && i < s->count; i++)
        ok = rule_add(ruleset, s->places[i].path, access_rights[s->places[i].access] & known);
    if (ASAN_ON || TSAN_ON) /* a report is made by a program that knows names */
        ok = ok && rule_add(ruleset, "/usr", (READS | LANDLOCK_ACCESS_FS_EXECUTE) & known) &&
             rule_add(ruleset, "/proc", READS & known);
    return ok;
}

static int ruleset_make(int version, uint64_t known)
{
    struct ruleset r = {.files = known};
    if (version >= VERSION_NET)
        r.net = NET_BIND_TCP; /* sockets that listen come from the supervisor */
    if (version >= VERSION_SCOPE)
        r.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
    size_t size = version >= VERSION_SCOPE ? sizeof r
                  : version >= VERSION_NET ? 2 * sizeof r.files
                                           : sizeof r.files;
    return (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
}

int sandbox_files(struct sandbox *s)
{
    int version =
        (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return 0;
    system_places_add(s);
    uint64_t known = access_known(version);
    int ruleset = ruleset_make(version, known);
    if (ruleset < 0)
        return 0;
    bool ok = rules_add(ruleset, s, known) && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    int error = errno;
    close(ruleset);
    errno = error;
    return ok ? version : 0;
}

/* ---- what later configurations want ---- */

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Its path alone does not tell: it may be another folder by now. */
static bool place_holds(const struct sandbox_place *p, const char *path, enum conf_access access)
{
    struct stat st;
    return (access_rights[access] & ~access_rights[p->access]) == 0 && is_below(path, p->path) &&
           stat(p->path, &st) == 0 && st.st_dev == p->device && st.st_ino == p->inode;
}

static bool reaches(const struct sandbox *s, const char *path, enum conf_access access)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (place_holds(&s->places[i], path, access))
            return true;
    for (size_t i = 0; access == CONF_READS && i < COUNT_OF(system_reads); i++)
        if (is_below(path, system_reads[i]))
            return true;
    return false;
}

bool sandbox_reaches(const struct sandbox *s, const struct conf_place *place)
{
    char real[PATH_MAX], name[PATH_MAX];
    if (s->landlock == 0)
        return true;
    if (realpath(place->path, real))
        return reaches(s, real, (enum conf_access)place->access);
    if (errno != ENOENT || strlen(place->path) >= sizeof name)
        return true; /* it would not be opened anyway, and whoever tries says why */
    memcpy(name, place->path, strlen(place->path) + 1);
    if (place->access == CONF_READS || !parent_of(name) || !realpath(name, real))
        return true;
    return reaches(s, real, (enum conf_access)place->access);
}
