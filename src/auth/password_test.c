/* password_test.c - which hashes are taken, and that they fit their passwords alone. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/password.h"
#include "base/assert.h"
#include "tests/unit.h"
#include <string.h>

/* All of "open sesame". */
static const char *const good[] = {
    "$2y$05$0AWnCdPgHYRTgwg/XourDeCx8IJ1kotL92xCa1T8kEMk0Y/pRcPb2", /* htpasswd -B */
    "$2b$05$b4W19ZJ4zQ9CZxgKcKWACOxNGNz.IL5lK8NeNtjcOf4B53E5uQMTy",
    "$6$somesalt$24emLLWMBttd4Vr65bzEmlKcIbbG/U3.Ld4DjG.HYfhQD2VvlUzzvJtTyu40lB0PF2rjSl08Wl7."
    "741Zlz9Kr0", /* openssl passwd -6 */
    "$5$somesalt$6XwqLSgSLhGSGin7fH1LqkWScZmeI37F5I2aPSIE7KA",
    "$5$rounds=5000$j1PwTpIlE0s5N3GU$CJWVz1Fz.siThhPRTCZkJLwtDJTxMK.3OuMe62SPq07",
    "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$6JlLzEdKMvGk83Zgd3owplAejssJr2SFlJFlOc7i54A", /* passwd(1) */
};

static const char *why(const char *hash)
{
    const char *hint;
    return password_hash_refused(slice_of(hash), &hint);
}

static void what_was_made_fits(void **state)
{
    (void)state;
    for (int kind = PASSWORD_YESCRYPT; kind <= PASSWORD_SHA512; kind++) {
        char hash[PASSWORD_HASH_MAX + 1], again[PASSWORD_HASH_MAX + 1];
        assert_true(password_hash_make(kind, SLICE("open sesame"), hash));
        assert_true(password_hash_make(kind, SLICE("open sesame"), again));
        assert_string_not_equal(hash, again);
        assert_null(why(hash));
        assert_true(password_verify(SLICE("open sesame"), hash));
        assert_false(password_verify(SLICE("open sesamE"), hash));
        assert_false(password_verify(SLICE("open sesame "), hash));
        assert_false(password_verify(SLICE(""), hash));
        assert_false(password_verify(SLICE("open sesame\0x"), hash));
        hash[strlen(hash) - 1] = '\0';
        assert_non_null(why(hash));
    }
}

static void hashes_of_other_programs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_null(why(good[i]));
        assert_true(password_verify(SLICE("open sesame"), good[i]));
        assert_false(password_verify(SLICE("Open sesame"), good[i]));
    }
}

static void weak_and_broken_ones_are_refused(void **state)
{
    static const struct {
        const char *hash, *says;
    } bad[] = {
        {"", "missing"},
        {"$apr1$Pdb9cZs2$ajB5OpHKPb9GN.l0G7CRk0", "MD5"},
        {"$1$Pdb9cZs2$ajB5OpHKPb9GN.l0G7CRk0", "MD5"},
        {"{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=", "SHA-1"},
        {"{SSHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=", "SHA-1"},
        {"rl.3StKT.4T8M", "DES"},
        {"open sesame", "not a hash"},
        {"$2x$05$wQ9nMfyNpVfyOLUaIVUsn.LJ2Hsj3nA0YY1yLW2JBUcB3Uhe3UO6i", "not a hash"},
        {"$2y$04$wQ9nMfyNpVfyOLUaIVUsn.LJ2Hsj3nA0YY1yLW2JBUcB3Uhe3UO6i", "below 5"},
        {"$2y$17$wQ9nMfyNpVfyOLUaIVUsn.LJ2Hsj3nA0YY1yLW2JBUcB3Uhe3UO6i", "above 16"},
        {"$2y$5$wQ9nMfyNpVfyOLUaIVUsn.LJ2Hsj3nA0YY1yLW2JBUcB3Uhe3UO6i.", "broken"},
        {"$2y$05$wQ9nMfyNpVfyOLUaIVUsn.LJ2Hsj3nA0YY1yLW2JBUcB3Uhe3UO6:", "broken"},
        {"$2y$05$wQ9nMfyNpVfyOLUaIVUsn.LJ2Hsj3nA0YY1yLW2JBUcB3Uhe3UO6", "broken"},
        {"$6$rounds=1000$abcd$x", "less than 5000"},
        {"$6$rounds=6000000$abcd$x", "more than 5000000"},
        {"$6$rounds=x$abcd$x", "no number"},
        {"$6$salt$tooshort", "end is missing"},
        {"$5$salt$tooshort", "end is missing"},
        {"$y$j9T$abc$tooshort", "end is missing"},
        {"$7$CU..../....x$tooshort", "not a hash"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const char *said = why(bad[i].hash);
        if (!said || !strstr(said, bad[i].says))
            fail_msg("'%s': %s", bad[i].hash, said ? said : "taken");
    }
}

static void limits_of_passwords(void **state)
{
    char hash[PASSWORD_HASH_MAX + 1], text[PASSWORD_MAX + 1];
    (void)state;
    memset(text, 'x', sizeof text);
    assert_false(password_hash_make(PASSWORD_BCRYPT, SLICE(""), hash));
    assert_true(password_hash_make(PASSWORD_BCRYPT, (struct slice){text, 72}, hash));
    assert_false(password_hash_make(PASSWORD_BCRYPT, (struct slice){text, 73}, hash));
    assert_true(password_hash_make(PASSWORD_YESCRYPT, (struct slice){text, PASSWORD_MAX}, hash));
    assert_true(password_verify((struct slice){text, PASSWORD_MAX}, hash));
    assert_false(password_verify((struct slice){text, PASSWORD_MAX + 1}, hash));
    assert_false(
        password_hash_make(PASSWORD_YESCRYPT, (struct slice){text, PASSWORD_MAX + 1}, hash));
}

UNIT_SUITE(auth_password, cmocka_unit_test(what_was_made_fits),
           cmocka_unit_test(hashes_of_other_programs),
           cmocka_unit_test(weak_and_broken_ones_are_refused),
           cmocka_unit_test(limits_of_passwords));
