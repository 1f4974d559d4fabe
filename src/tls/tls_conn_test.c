/* tls_conn_test.c - what a user of a TLS connection sees, on both backends and under faults: pieces
 * when asked, everything whole and in order, ends that can not be forged. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_testing_priv.h"

static void talk(void)
{
    rig_connect();
    assert_true(conn_is_tls(rig.a.conn) && conn_is_tls(rig.b.conn));
    conn_recv(rig.a.conn);
    conn_recv(rig.b.conn);
    rig_write(rig.a.conn, "ping");
    RIG_UNTIL(rig.b.seen_bytes == 4);
    rig_write(rig.b.conn, "pong");
    RIG_UNTIL(rig.a.seen_bytes == 4);
    rig_expect(&rig.b, "ping");
    rig_expect(&rig.a, "pong");
    rig_turns(20);
    /* Idle: no buffer, no ring. */
    assert_int_equal(rig.loop.bufs.held_bytes, 0);
    assert_null(rig.a.conn->out);
    assert_true(conn_recv_armed(rig.a.conn));
}

static void talks_both_ways(void **state)
{
    (void)state;
    rig_on_both(talk, &rig_odd);
}

UNIT_SUITE(tls_tls_conn, cmocka_unit_test(talks_both_ways));
