/* local_ca_test.c - the local authority in a directory of its own: made, kept, refused. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "tls/local_ca.h"
#include <dirent.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DAY_S = 86400, NOW = 1800000000 };

static char base[64], dir[96];
static struct text why, cert_pem, key_pem;
static struct local_ca *ca;

static int set_up(void **state)
{
    (void)state;
    strcpy(base, "/tmp/weir-ca-test-XXXXXX");
    if (!mkdtemp(base))
        return -1;
    snprintf(dir, sizeof dir, "%s/data/ca", base);
    ca = NULL;
    return 0;
}

static void remove_all(const char *path)
{
    char inner[512];
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlink(inner) != 0)
            remove_all(inner);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static int tear_down(void **state)
{
    (void)state;
    local_ca_close(ca);
    remove_all(base);
    text_release(&why);
    text_release(&cert_pem);
    text_release(&key_pem);
    return 0;
}

static const char *in_dir(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void open_at(int64_t now)
{
    local_ca_close(ca);
    ca = NULL;
    text_clear(&why);
    if (!local_ca_open(dir, now, &ca, &why))
        fail_msg("%s", why.at);
    assert_int_equal(why.len, 0);
}

static void open_fails(const char *words)
{
    local_ca_close(ca);
    ca = NULL;
    text_clear(&why);
    assert_false(local_ca_open(dir, NOW, &ca, &why));
    assert_null(ca);
    if (!strstr(why.at, words))
        fail_msg("'%s' is not in: %s", words, why.at);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static bool issue(const struct slice *names, uint32_t count, int64_t now)
{
    text_clear(&cert_pem);
    text_clear(&key_pem);
    text_clear(&why);
    return local_ca_issue(ca, names, count, now, &cert_pem, &key_pem, &why);
}

static struct tls_cert *issue_ok(const struct slice *names, uint32_t count, int64_t now)
{
    struct tls_cert *c = NULL;
    if (!issue(names, count, now) ||
        tls_cert_load_at(&c, text_slice(&cert_pem), text_slice(&key_pem), now, &why) != ERR_OK)
        fail_msg("%s", why.at);
    assert_null(strstr(cert_pem.at, "PRIVATE KEY"));
    return c;
}

static X509 *read_root(void)
{
    FILE *f = fopen(local_ca_path(ca), "r");
    assert_non_null(f);
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    assert_non_null(x);
    return x;
}

static void is_made_and_found_again(void **state)
{
    (void)state;
    char id[LOCAL_CA_ID_CHARS + 1];
    open_at(NOW);
    assert_string_equal(local_ca_path(ca), in_dir("ca.crt"));
    assert_int_equal(strlen(local_ca_id(ca)), LOCAL_CA_ID_CHARS);
    strcpy(id, local_ca_id(ca));
    assert_int_equal(mode_of(dir), 0700);
    assert_int_equal(mode_of(in_dir("ca.key")), 0600);
    assert_int_equal(mode_of(in_dir("ca.crt")), 0644);
    open_at(NOW + 9 * 365 * DAY_S);
    assert_string_equal(local_ca_id(ca), id);
}

static void the_authority_is_what_it_should_be(void **state)
{
    (void)state;
    char cn[128];
    open_at(NOW);
    X509 *x = read_root();
    assert_int_equal(X509_get_pathlen(x), 0);
    assert_true(X509_check_ca(x) == 1);
    assert_int_equal(X509_get_key_usage(x), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof cn);
    assert_int_equal(strncmp(cn, "weir local CA ", 14), 0);
    assert_string_equal(cn + strlen(cn) - 10, "2027-01-15");
    X509_free(x);
}

/* As a client does: chain, purpose, name. */
static int verify(const struct tls_cert *c, const char *host, int64_t now)
{
    X509 *root = read_root();
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, root);
    X509_STORE_CTX_init(ctx, store, c->leaf, NULL);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_time(param, now);
    if (!X509_VERIFY_PARAM_set1_ip_asc(param, host))
        X509_VERIFY_PARAM_set1_host(param, host, 0);
    X509_verify_cert(ctx);
    int result = X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(root);
    return result;
}

static void leaves_verify(void **state)
{
    (void)state;
    const struct slice names[] = {SLICE_INIT("App.Example"), SLICE_INIT("*.dev.example"),
                                  SLICE_INIT("127.0.0.1"), SLICE_INIT("[::1]"),
                                  SLICE_INIT("localhost")};
    static const char *const hosts[] = {"app.example", "x.dev.example", "127.0.0.1", "::1",
                                        "localhost"};
    open_at(NOW);
    struct tls_cert *c = issue_ok(names, 5, NOW);
    assert_int_equal(c->not_after, NOW + LOCAL_CA_LEAF_DAYS * DAY_S);
    assert_int_equal(c->name_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(verify(c, hosts[i], NOW), X509_V_OK);
    assert_int_equal(verify(c, "other.example", NOW), X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(X509_get_extended_key_usage(c->leaf), XKU_SSL_SERVER);
    tls_cert_drop(c);
}

static void a_leaf_is_kept_until_it_runs_out_soon(void **state)
{
    (void)state;
    const struct slice names[] = {SLICE_INIT("a.example"), SLICE_INIT("b.example")};
    const struct slice turned[] = {SLICE_INIT("B.example"), SLICE_INIT("a.example"),
                                   SLICE_INIT("a.example")};
    int64_t last = NOW + (LOCAL_CA_LEAF_DAYS - LOCAL_CA_RENEW_DAYS) * DAY_S;
    open_at(NOW);
    struct tls_cert *first = issue_ok(names, 2, NOW);
    struct tls_cert *kept = issue_ok(turned, 3, last);
    struct tls_cert *renewed = issue_ok(names, 2, last + 1);
    struct tls_cert *other = issue_ok(names, 1, NOW);
    assert_memory_equal(first->fingerprint, kept->fingerprint, 32);
    assert_memory_not_equal(first->fingerprint, renewed->fingerprint, 32);
    assert_memory_not_equal(first->fingerprint, other->fingerprint, 32);
    tls_cert_drop(first);
    tls_cert_drop(kept);
    tls_cert_drop(renewed);
    tls_cert_drop(other);
}

static void a_leaf_ends_with_its_authority(void **state)
{
    (void)state;
    const struct slice name = SLICE("a.example");
    open_at(NOW);
    struct tls_cert *c = issue_ok(&name, 1, NOW + (LOCAL_CA_DAYS - 10) * (int64_t)DAY_S);
    assert_int_equal(c->not_after, NOW + LOCAL_CA_DAYS * (int64_t)DAY_S);
    tls_cert_drop(c);
}

static void find_leaf(char *to, size_t cap)
{
    DIR *d = opendir(dir);
    *to = '\0';
    for (struct dirent *e; (e = readdir(d));)
        if (strncmp(e->d_name, "leaf-", 5) == 0)
            snprintf(to, cap, "%s/%s", dir, e->d_name);
    closedir(d);
    assert_true(*to);
}

static void a_damaged_leaf_is_replaced(void **state)
{
    (void)state;
    char path[512];
    const struct slice name = SLICE("a.example");
    open_at(NOW);
    struct tls_cert *first = issue_ok(&name, 1, NOW);
    find_leaf(path, sizeof path);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(truncate(path, 300), 0);
    struct tls_cert *second = issue_ok(&name, 1, NOW);
    assert_memory_not_equal(first->fingerprint, second->fingerprint, 32);
    tls_cert_drop(first);
    tls_cert_drop(second);
}

static void a_leaf_of_another_authority_is_replaced(void **state)
{
    (void)state;
    const struct slice name = SLICE("a.example");
    open_at(NOW);
    tls_cert_drop(issue_ok(&name, 1, NOW));
    unlink(in_dir("ca.crt"));
    open_at(NOW);
    struct tls_cert *c = issue_ok(&name, 1, NOW);
    assert_int_equal(verify(c, "a.example", NOW), X509_V_OK);
    tls_cert_drop(c);
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "a b",
                                      "a..b",
                                      ".a",
                                      "a.",
                                      "*",
                                      "a.*.b",
                                      "a,IP:1.2.3",
                                      "a\nb",
                                      "\xc3\xa4.example",
                                      "1.2.3.4,DNS:x",
                                      "x:1",
                                      "[1.2.3",
                                      "**.example"};
    open_at(NOW);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct slice names[] = {SLICE_INIT("ok.example"), slice_of(bad[i])};
        if (issue(names, 2, NOW))
            fail_msg("%s", bad[i]);
        assert_non_null(strstr(why.at, "is neither a host name nor an address"));
    }
}

static void names_have_limits(void **state)
{
    (void)state;
    char long_name[300], label[65];
    struct slice names[LOCAL_CA_NAMES_MAX + 1];
    open_at(NOW);
    for (size_t i = 0; i <= LOCAL_CA_NAMES_MAX; i++)
        names[i] = SLICE("a.example");
    assert_true(issue(names, LOCAL_CA_NAMES_MAX, NOW));
    assert_false(issue(names, LOCAL_CA_NAMES_MAX + 1, NOW));
    assert_false(issue(names, 0, NOW));
    for (size_t i = 0; i < sizeof long_name; i++)
        long_name[i] = i % 50 == 49 ? '.' : 'a';
    names[0] = (struct slice){long_name, 253};
    assert_true(issue(names, 1, NOW));
    names[0].len = 254;
    assert_false(issue(names, 1, NOW));
    memset(label, 'a', sizeof label);
    names[0] = (struct slice){label, 63};
    assert_true(issue(names, 1, NOW));
    names[0].len = 64;
    assert_false(issue(names, 1, NOW));
}

static void open_doors_are_refused(void **state)
{
    (void)state;
    open_at(NOW);
    chmod(dir, 0770);
    open_fails("can be written by others: 'chmod 700");
    chmod(dir, 0702);
    open_fails("can be written by others");
    chmod(dir, 0755);
    open_at(NOW);
    chmod(in_dir("ca.key"), 0640);
    open_fails("ca.key holds a key but is open to others");
}

static void links_are_not_followed(void **state)
{
    (void)state;
    char elsewhere[128];
    open_at(NOW);
    snprintf(elsewhere, sizeof elsewhere, "%s/key", base);
    assert_int_equal(rename(in_dir("ca.key"), elsewhere), 0);
    assert_int_equal(symlink(elsewhere, in_dir("ca.key")), 0);
    open_fails("ca.key: Too many levels of symbolic links");
    snprintf(elsewhere, sizeof elsewhere, "%s/data/moved", base);
    assert_int_equal(rename(dir, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, dir), 0);
    open_fails(": Not a directory");
}

static void what_is_missing_or_damaged_is_said(void **state)
{
    (void)state;
    open_at(NOW);
    unlink(in_dir("ca.key"));
    open_fails("ca.crt is there, but ca.key is not; without the directory a new one is made");
    unlink(in_dir("ca.crt"));
    open_at(NOW);
    assert_int_equal(truncate(in_dir("ca.crt"), 100), 0);
    open_fails("certificate 1 cannot be read");
    unlink(in_dir("ca.crt"));
    open_at(NOW);
    assert_int_equal(truncate(in_dir("ca.key"), 65537), 0);
    open_fails("ca.key is no file of at most 65536 bytes");
}

static void an_old_authority_is_refused(void **state)
{
    (void)state;
    open_at(NOW - (LOCAL_CA_DAYS + 2) * (int64_t)DAY_S);
    open_fails("expired on 2027-01-13, 2 days ago");
}

/* Many at once: one makes it, all have the same, and the same leaf. */
static void processes_agree(void **state)
{
    (void)state;
    enum { PROCESSES = 6 };
    const struct slice name = SLICE("a.example");
    pid_t pids[PROCESSES];
    unsigned char prints[PROCESSES][32];
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        struct tls_cert *c = NULL;
        bool ok = local_ca_open(dir, NOW, &ca, &why) && issue(&name, 1, NOW) &&
                  tls_cert_load_at(&c, text_slice(&cert_pem), text_slice(&key_pem), NOW, &why) ==
                      ERR_OK &&
                  write(fds[1], c->fingerprint, 32) == 32;
        _exit(ok ? 0 : 1);
    }
    close(fds[1]);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        waitpid(pids[i], &status, 0);
        assert_int_equal(status, 0);
        assert_int_equal(read(fds[0], prints[i], 32), 32);
        assert_memory_equal(prints[i], prints[0], 32);
    }
    close(fds[0]);
}

UNIT_SUITE(
    tls_local_ca, cmocka_unit_test_setup_teardown(is_made_and_found_again, set_up, tear_down),
    cmocka_unit_test_setup_teardown(the_authority_is_what_it_should_be, set_up, tear_down),
    cmocka_unit_test_setup_teardown(leaves_verify, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_leaf_is_kept_until_it_runs_out_soon, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_leaf_ends_with_its_authority, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_damaged_leaf_is_replaced, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_leaf_of_another_authority_is_replaced, set_up, tear_down),
    cmocka_unit_test_setup_teardown(bad_names_are_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown(names_have_limits, set_up, tear_down),
    cmocka_unit_test_setup_teardown(open_doors_are_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown(links_are_not_followed, set_up, tear_down),
    cmocka_unit_test_setup_teardown(what_is_missing_or_damaged_is_said, set_up, tear_down),
    cmocka_unit_test_setup_teardown(an_old_authority_is_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown(processes_agree, set_up, tear_down));
