/* bad.c - requests that must be refused without any origin seeing them. Each with its status. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim.h"
#include <stdio.h>
#include <string.h>

#define HOST "Host: sim.test\r\n"

enum { LONG_LINE_BYTES = 17000, BIG_FIELD_BYTES = 33000, MANY_FIELDS = 120 };

/* What is too large is made, not written: its text is a mark. */
static const char long_line[] = "long line", big_field[] = "big field",
                  many_fields[] = "many fields", endless[] = "endless";

static const struct bad_request requests[] = {
    {400, "GET /bad/%u HTTP/1.1\r\n\r\n"},
    {400, "GET  /bad/%u HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET /bad/%u HTTP/1.1\n" HOST "\r\n"},
    {400, "GET /bad/%u HTTP/1.1\r\n" HOST "\n"},
    {400, "GET /bad/%u HTTP/1.1\r\n" HOST " folded: x\r\n\r\n"},
    {400, "GET /bad/%u HTTP/1.1\r\n" HOST "A\rB: x\r\n\r\n"},
    {400, "GET /bad/%u HTTP/1.1\r\n" HOST "Name : x\r\n\r\n"},
    {400, "GET /bad/%u HTTP/1.1\r\n" HOST "no colon\r\n\r\n"},
    {400, "GET /bad/%u HTTP/1.1\r\n" HOST HOST "\r\n"},
    {400, "GET /bad/%u HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {400, "GET /bad/%u/%%zz HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET http://other.test/bad/%u HTTP/1.1\r\n" HOST "\r\n"},
    {400, "POST /bad/%u HTTP/1.1\r\n" HOST
          "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {400, "POST /bad/%u HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345"},
    {400, "POST /bad/%u HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n12345"},
    {400, "POST /bad/%u HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n"},
    {501, "POST /bad/%u HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    {400, "POST /bad/%u HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n"},
    {400, "POST /bad/%u HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {400, "G@T /bad/%u HTTP/1.1\r\n" HOST "\r\n"},
    {505, "GET /bad/%u HTTP/2.0\r\n" HOST "\r\n"},
    {400, "GET /bad/%u HTTP/x\r\n" HOST "\r\n"},
    {501, "TRACE /bad/%u HTTP/1.1\r\n" HOST "\r\n"},
    {417, "POST /bad/%u HTTP/1.1\r\n" HOST "Expect: tea\r\nContent-Length: 0\r\n\r\n"},
    {400, "\x16\x03\x01\x02 tls %u\r\n\r\n"},
    {414, long_line},
    {431, big_field},
    {431, many_fields},
    {431, endless},
};

const struct bad_request *bad_request(uint32_t variant)
{
    return &requests[variant % (sizeof requests / sizeof requests[0])];
}

static size_t repeat(char *to, size_t count, char c)
{
    memset(to, c, count);
    return count;
}

static size_t many_fields_write(char *to, size_t cap)
{
    size_t len = (size_t)snprintf(to, cap, "GET /bad/ HTTP/1.1\r\n" HOST);
    for (int i = 0; i < MANY_FIELDS; i++)
        len += (size_t)snprintf(to + len, cap - len, "X-%d: x\r\n", i);
    return len + (size_t)snprintf(to + len, cap - len, "\r\n");
}

size_t bad_request_write(const struct bad_request *b, uint32_t id, char *to, size_t cap)
{
    size_t len;
    if (b->text == many_fields)
        return many_fields_write(to, cap);
    if (b->text == long_line) {
        len = (size_t)snprintf(to, cap, "GET /bad/");
        len += repeat(to + len, LONG_LINE_BYTES, 'l');
        return len + (size_t)snprintf(to + len, cap - len, " HTTP/1.1\r\n" HOST "\r\n");
    }
    if (b->text == big_field) {
        len = (size_t)snprintf(to, cap, "GET /bad/ HTTP/1.1\r\n" HOST "X-Big: ");
        len += repeat(to + len, BIG_FIELD_BYTES, 'b');
        return len + (size_t)snprintf(to + len, cap - len, "\r\n\r\n");
    }
    if (b->text == endless) {
        len = (size_t)snprintf(to, cap, "GET /bad/ HTTP/1.1\r\n" HOST "X-Endless: ");
        return len + repeat(to + len, BIG_FIELD_BYTES, 'e');
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return (size_t)snprintf(to, cap, b->text, id);
#pragma GCC diagnostic pop
}
