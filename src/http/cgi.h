/* cgi.h - what a server that speaks CGI is told of a request beside the message itself.
 *
 * Made by who knows the script and the addresses, and carried by the message to the engine, which
 * adds what the head says (RFC 3875 4.1). Owner: the exchange's arena. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct cgi_param {
    struct slice name, value;
};

struct cgi_params {
    struct cgi_param *at;
    uint32_t count, cap;
    bool names_fields; /* some begin with HTTP_: they win over the fields of the head */
    bool keep_conn;    /* the server is to leave the connection open */
};
