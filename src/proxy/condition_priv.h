/* condition_priv.h - a compiled condition as condition_parse.c makes it and condition.c evaluates
 * it.
 *
 * A tree in the snapshot's arena. Private to src/proxy. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/addr.h"
#include "proxy/condition.h"
#include "proxy/pattern.h"

enum condition_kind { CONDITION_AND, CONDITION_OR, CONDITION_NOT, CONDITION_TEST };

enum subject_id {
    SUBJECT_METHOD,
    SUBJECT_HOST,
    SUBJECT_PATH,
    SUBJECT_QUERY,
    SUBJECT_QUERY_ARG,
    SUBJECT_HEADER,
    SUBJECT_COOKIE,
    SUBJECT_IP,
    SUBJECT_COUNTRY,
    SUBJECT_ASN,
    SUBJECT_SCHEME,
    SUBJECT_PROTO,
    SUBJECT_USER,
    SUBJECT_CLAIM,
    SUBJECT_VARIABLE, /* any other: "$tls_version" */
};

enum test_op {
    TEST_PRESENT, /* the subject alone: it is there */
    TEST_IN,      /* equal to one of the values; "==" has one value */
    TEST_MATCH,   /* "~" */
};

struct variable;

struct condition {
    enum condition_kind kind;
    const struct condition *left, *right; /* AND, OR; NOT: left only */
    enum subject_id subject;
    enum test_op op;   /* "!=", "!~" and "not in" are a NOT above */
    struct slice name; /* of the header, cookie, query parameter or claim */
    const struct variable *variable;
    const struct slice *values;
    const struct addr_prefix *prefixes; /* SUBJECT_IP */
    uint32_t value_count;
    const struct pattern *pattern;
};
