/* challenge_test.c - what a challenge signs: who can use it, until when, and what it costs to make
 * one up; and which names are a crawler's. The rest is tested from outside. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/challenge_priv.h"
#include "tests/unit.h"
#include <openssl/sha.h>
#include <stdio.h>

enum { NOW_S = 1790000000, BITS = 8, VALID_S = 3600 };

static const challenge_key key = "a key of thirty-two characters..", other_key = "another key";
static const uint8_t random_bytes[CHALLENGE_RANDOM_BYTES] = {1, 2, 3};

static struct challenge_client client(const char *site, const char *agent, const char *ip)
{
    struct challenge_client c = {.site = slice_of(site), .agent = slice_of(agent)};
    struct addr a;
    assert_int_equal(addr_parse_ip(slice_of(ip), &a), ERR_OK);
    c.who = addr_prefix_of(&a, (struct addr_bits){24, 56});
    return c;
}

static struct challenge_client usual(void)
{
    return client("a.test", "Browser/1", "192.0.2.7");
}

/* --- answers ---------------------------------------------------------------------------------- */

struct answer {
    char text[CHALLENGE_ASK_CHARS + 1 + CHALLENGE_DIGITS_MAX + 1];
};

static int zeros(const char *ask, unsigned n)
{
    char text[80];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    int len = snprintf(text, sizeof text, "%.*s%u", CHALLENGE_ASK_CHARS, ask, n), count = 0;
    SHA256((unsigned char *)text, (size_t)len, hash);
    while (count < 64 && !(hash[count / 8] >> (7 - count % 8) & 1))
        count++;
    return count;
}

/* With at least `least` and at most `most` zeros. */
static struct answer solve(const struct challenge_client *c, uint8_t bits, int64_t at_s, int least,
                           int most)
{
    struct challenge_proof p = {bits, (uint32_t)at_s};
    struct answer a;
    unsigned n = 0;
    challenge_ask_write(key, c, &p, random_bytes, a.text);
    for (int z = zeros(a.text, n); z < least || z > most;)
        z = zeros(a.text, ++n);
    snprintf(a.text + CHALLENGE_ASK_CHARS, sizeof a.text - CHALLENGE_ASK_CHARS, ".%u", n);
    return a;
}

static enum challenge_fault answer_read(const struct challenge_client *c, const char *text,
                                        int64_t now_s, uint8_t least_bits)
{
    struct challenge_proof p;
    return challenge_answer_read(key, c, slice_of(text), now_s, least_bits, &p);
}

static void a_solution_is_taken(void **state)
{
    (void)state;
    struct challenge_client c = usual();
    struct challenge_proof p;
    struct answer a = solve(&c, BITS, NOW_S, BITS, 64);
    assert_int_equal(challenge_answer_read(key, &c, slice_of(a.text), NOW_S + 1, BITS, &p),
                     CHALLENGE_GOOD);
    assert_int_equal(p.bits, BITS);
    assert_int_equal(p.at_s, NOW_S);
    assert_int_equal(challenge_answer_read(other_key, &c, slice_of(a.text), NOW_S + 1, BITS, &p),
                     CHALLENGE_FORGED);
}

static void one_zero_less_is_none(void **state)
{
    (void)state;
    struct challenge_client c = usual();
    assert_int_equal(answer_read(&c, solve(&c, BITS, NOW_S, BITS, BITS).text, NOW_S, BITS),
                     CHALLENGE_GOOD);
    assert_int_equal(answer_read(&c, solve(&c, BITS, NOW_S, BITS - 1, BITS - 1).text, NOW_S, BITS),
                     CHALLENGE_WRONG);
    for (uint8_t bits = BITS + 1; bits < BITS + 5; bits++) { /* in the middle of a byte */
        assert_int_equal(answer_read(&c, solve(&c, bits, NOW_S, bits, bits).text, NOW_S, bits),
                         CHALLENGE_GOOD);
        assert_int_equal(
            answer_read(&c, solve(&c, bits, NOW_S, bits - 1, bits - 1).text, NOW_S, bits),
            CHALLENGE_WRONG);
    }
}

static void what_was_easier_is_not_enough(void **state)
{
    (void)state;
    struct challenge_client c = usual();
    struct answer a = solve(&c, BITS, NOW_S, BITS, 64);
    assert_int_equal(answer_read(&c, a.text, NOW_S, BITS), CHALLENGE_GOOD);
    assert_int_equal(answer_read(&c, a.text, NOW_S, BITS + 1), CHALLENGE_EASY);
    assert_int_equal(answer_read(&c, a.text, NOW_S, BITS - 1), CHALLENGE_GOOD);
}

static void answers_come_in_time(void **state)
{
    (void)state;
    struct challenge_client c = usual();
    struct answer a = solve(&c, BITS, NOW_S, BITS, 64);
    assert_int_equal(answer_read(&c, a.text, NOW_S + CHALLENGE_ANSWER_S - 1, BITS), CHALLENGE_GOOD);
    assert_int_equal(answer_read(&c, a.text, NOW_S + CHALLENGE_ANSWER_S, BITS), CHALLENGE_LATE);
    assert_int_equal(answer_read(&c, a.text, NOW_S - CHALLENGE_AHEAD_S, BITS), CHALLENGE_GOOD);
    assert_int_equal(answer_read(&c, a.text, NOW_S - CHALLENGE_AHEAD_S - 1, BITS), CHALLENGE_LATE);
}

static void others_can_not_use_it(void **state)
{
    (void)state;
    struct challenge_client c = usual();
    struct answer a = solve(&c, BITS, NOW_S, BITS, 64);
    const struct challenge_client others[] = {
        client("b.test", "Browser/1", "192.0.2.7"), client("a.tes", "tBrowser/1", "192.0.2.7"),
        client("a.test", "Browser/2", "192.0.2.7"), client("a.test", "", "192.0.2.7"),
        client("a.test", "Browser/1", "192.0.3.7"), client("a.test", "Browser/1", "2001:db8::1"),
    };
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_int_equal(answer_read(&others[i], a.text, NOW_S, BITS), CHALLENGE_FORGED);
    struct challenge_client near = client("a.test", "Browser/1", "::ffff:192.0.2.99");
    assert_int_equal(answer_read(&near, a.text, NOW_S, BITS), CHALLENGE_GOOD);
}

/* Each bit of what was signed. */
static void nothing_of_it_can_be_changed(void **state)
{
    (void)state;
    struct challenge_client c = usual();
    struct answer a = solve(&c, BITS, NOW_S, BITS, 64);
    for (int i = 0; i < CHALLENGE_ASK_CHARS; i++) {
        struct answer bad = a;
        bad.text[i] = bad.text[i] == 'A' ? 'B' : 'A';
        assert_int_equal(answer_read(&c, bad.text, NOW_S, 0), CHALLENGE_FORGED);
    }
}

static void other_spellings_are_refused(void **state)
{
    (void)state;
    struct challenge_client c = usual();
    struct answer a = solve(&c, BITS, NOW_S, BITS, 64);
    char text[128];
    int n = CHALLENGE_ASK_CHARS;
    const char *digits = a.text + n + 1;
    const char *const forms[] = {"%.*s",     "%.*s.",    "%.*s.%s.", "%.*s. %s",
                                 "%.*s.+%s", "%.*s.-%s", "%.*s.%sx", "%.*s.0x%s",
                                 "%.*s%s",   ".%.*s.%s", " %.*s.%s"};
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, forms[i], n, a.text, digits);
#pragma GCC diagnostic pop
        assert_int_equal(answer_read(&c, text, NOW_S, BITS), CHALLENGE_MALFORMED);
    }
    snprintf(text, sizeof text, "%.*s.%016u", n, a.text, 1u); /* one digit too many */
    assert_int_equal(answer_read(&c, text, NOW_S, BITS), CHALLENGE_MALFORMED);
    snprintf(text, sizeof text, "%.*s.%015u", n, a.text, 1u);
    assert_int_equal(answer_read(&c, text, NOW_S, BITS), CHALLENGE_WRONG);
    assert_int_equal(answer_read(&c, "", NOW_S, BITS), CHALLENGE_MALFORMED);
    assert_int_equal(answer_read(&c, ".", NOW_S, BITS), CHALLENGE_MALFORMED);
}

/* --- passes ----------------------------------------------------------------------------------- */

static enum challenge_fault pass_read(const struct challenge_client *c, const char *text,
                                      size_t len, int64_t now_s)
{
    struct challenge_proof p;
    return challenge_pass_read(key, c, (struct slice){text, len}, now_s, VALID_S, BITS, &p);
}

static void a_pass_is_good_for_its_time(void **state)
{
    (void)state;
    char pass[CHALLENGE_PASS_CHARS];
    struct challenge_client c = usual(), far = client("a.test", "Browser/1", "192.0.3.1");
    struct challenge_proof p = {BITS, NOW_S}, easy = {BITS - 1, NOW_S};
    challenge_pass_write(key, &c, &p, pass);
    assert_int_equal(pass_read(&c, pass, sizeof pass, NOW_S), CHALLENGE_GOOD);
    assert_int_equal(pass_read(&c, pass, sizeof pass, NOW_S + VALID_S - 1), CHALLENGE_GOOD);
    assert_int_equal(pass_read(&c, pass, sizeof pass, NOW_S + VALID_S), CHALLENGE_LATE);
    assert_int_equal(pass_read(&c, pass, sizeof pass, NOW_S - CHALLENGE_AHEAD_S - 1),
                     CHALLENGE_LATE);
    assert_int_equal(pass_read(&far, pass, sizeof pass, NOW_S), CHALLENGE_FORGED);
    assert_int_equal(pass_read(&c, pass, sizeof pass - 1, NOW_S), CHALLENGE_MALFORMED);
    challenge_pass_write(key, &c, &easy, pass);
    assert_int_equal(pass_read(&c, pass, sizeof pass, NOW_S), CHALLENGE_EASY);
}

/* A question is no pass, whatever is cut off it. */
static void a_question_is_no_pass(void **state)
{
    (void)state;
    char ask[CHALLENGE_ASK_CHARS];
    struct challenge_client c = usual();
    struct challenge_proof p = {BITS, NOW_S};
    challenge_ask_write(key, &c, &p, random_bytes, ask);
    assert_int_equal(pass_read(&c, ask, sizeof ask, NOW_S), CHALLENGE_MALFORMED);
    for (size_t i = 0; i + CHALLENGE_PASS_CHARS <= sizeof ask; i++)
        assert_int_equal(pass_read(&c, ask + i, CHALLENGE_PASS_CHARS, NOW_S), CHALLENGE_FORGED);
}

/* --- crawlers --------------------------------------------------------------------------------- */

static void names_of_crawlers(void **state)
{
    (void)state;
    struct slice domain = SLICE("googlebot.com");
    static const char *const good[] = {"crawl-1.googlebot.com", "a.b.googlebot.com",
                                       "A.GoogleBot.COM", "a.googlebot.com."};
    static const char *const bad[] = {"googlebot.com",
                                      "evilgooglebot.com",
                                      "a.evilgooglebot.com",
                                      ".googlebot.com",
                                      "googlebot.com.",
                                      "a.googlebot.com.tk",
                                      "googlebot.com.evil.tk",
                                      "a.googlebot.comm",
                                      "a.googlebot.com..",
                                      "a-googlebot.com",
                                      "",
                                      "."};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(crawler_name_is_below(slice_of(good[i]), domain));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(crawler_name_is_below(slice_of(bad[i]), domain));
    assert_false(crawler_name_is_below(SLICE("a."), SLICE("")));
}

static void known_crawlers_are_complete(void **state)
{
    (void)state;
    for (const struct crawler *w = crawlers_known; w->name; w++)
        assert_true(w->agent.len > 3 && w->domains[0].len > 3);
}

UNIT_SUITE(filter_challenge, cmocka_unit_test(a_solution_is_taken),
           cmocka_unit_test(one_zero_less_is_none), cmocka_unit_test(what_was_easier_is_not_enough),
           cmocka_unit_test(answers_come_in_time), cmocka_unit_test(others_can_not_use_it),
           cmocka_unit_test(nothing_of_it_can_be_changed),
           cmocka_unit_test(other_spellings_are_refused),
           cmocka_unit_test(a_pass_is_good_for_its_time), cmocka_unit_test(a_question_is_no_pass),
           cmocka_unit_test(names_of_crawlers), cmocka_unit_test(known_crawlers_are_complete));
