# SPDX-License-Identifier: Apache-2.0
"""Ways around `limit`, `allow`, `deny` and `ban` that are not of one of them alone: a listener for both
families, spellings of hosts and keys, what HTTP/2 says in two places, duplicate fields, methods."""
import socket

import pytest

from kit import Client, Closed, free_port
from kit.h2raw import H2Raw

BOTH = "workers 1\nlisten @listen@\nlisten [::]:@six@\nadmin @admin@\n"


def both(weir, text):
    """A weir that also listens on both families at once, where IPv4 clients come as ::ffff:a.b.c.d."""
    port = free_port("::")
    w = weir(BOTH + text, six=port)
    w.six = port
    return w


def get(to, path="/", headers=(), method="GET", host="a.test", source=None):
    with bound(to, source) if source else Client(to) as c:
        return c.get(path, host, headers, method=method).status


def bound(to, source):
    """A client that comes from another address of loopback."""
    c = Client.__new__(Client)
    c.sock = socket.create_connection(to, 5, source_address=(source, 0))
    c.buf, c.eof, c.reset = b"", False, False
    return c


# ---------------------------------------------------------------- both families on one listener

def test_deny_by_ipv4_on_a_listener_of_both_families(weir):
    w = both(weir, "site * {\n deny 127.0.0.0/8\n respond 200 x\n}")
    assert get(w.port) == get(("127.0.0.1", w.six)) == 403
    assert get(("::1", w.six)) == 200


def test_allow_by_ipv6_is_none_of_ipv4(weir):
    w = both(weir, "site * {\n allow ::/0\n respond 200 x\n}")
    assert get(w.port) == get(("127.0.0.1", w.six)) == 403
    assert get(("::1", w.six)) == 200


def test_limit_counts_both_listeners_together(weir):
    w = both(weir, "site * {\n limit 1r/m burst=2\n respond 200 x\n}")
    assert [get(w.port), get(("127.0.0.1", w.six)), get(w.port), get(("127.0.0.1", w.six))] == [200, 200, 429, 429]
    assert get(("::1", w.six)) == 200


def test_ban_holds_on_both_listeners(weir):
    w = both(weir, "site * {\n ban 10m when 2 status in 404 within 1m\n respond 404 x\n}")
    assert [get(w.port), get(("127.0.0.1", w.six))] == [404, 404]
    for to in w.port, ("127.0.0.1", w.six):
        with pytest.raises((Closed, OSError)):
            get(to)
    assert get(("::1", w.six)) == 404
    assert get(("127.0.0.1", w.six), source="127.0.0.3") == 404


def test_condition_on_ipv4_on_a_listener_of_both_families(weir):
    w = both(weir, "site * {\n respond 200 x\n when ip in 127.0.0.0/8 { deny all }\n}")
    assert get(w.port) == get(("127.0.0.1", w.six)) == 403 and get(("::1", w.six)) == 200


# ---------------------------------------------------------------- keys that are spelled in other ways

@pytest.mark.parametrize("by,paths", [
    ("$query.key", ["/?key=abc", "/?key=%61bc", "/?key=%61%62%63", "/?a=1&key=abc", "/x?key=ab%63&key=new"]),
    ("$path", ["/abc", "/%61bc", "//abc", "/./abc", "/x/../abc"]),
    ("$query", ["/?abc", "/?%61bc", "/x?ab%63"])])
def test_escapes_make_no_other_key(weir, by, paths):
    w = weir(f"site * {{\n limit 1r/m burst=1 by={by}\n respond 200 x\n}}")
    assert [get(w.port, p) for p in paths] == [200] + [429] * (len(paths) - 1)
    assert get(w.port, "/other?key=other&other") == 200


def test_hosts_make_no_other_key(weir):
    w = weir("site * {\n limit 1r/m burst=1 by=$host\n respond 200 x\n}")
    hosts = ["a.test", "A.Test", "a.test.", f"a.test:{w.port}", "a.test:80"]
    assert [get(w.port, host=h) for h in hosts] == [200, 429, 429, 429, 429]
    assert get(w.port, host="b.test") == 200
    with H2Raw(w.port) as c:
        c.request(1, authority="A.TEST.")
        assert c.response(1)[0] == 429


def test_broken_escapes_are_keys_as_they_are(weir):
    w = weir("site * {\n limit 1r/m burst=1 by=${header.X-Key}\n respond 200 x\n}")
    for key in "100%", "%zz", "%", "a%0", "%00":
        assert [get(w.port, headers=[f"X-Key: {key}"]) for _ in range(2)] == [200, 429]


def test_first_of_duplicate_fields_is_the_key(weir):
    w = weir("site * {\n limit 1r/m burst=1 by=${header.X-Key}\n respond 200 x\n}")
    assert get(w.port, headers=["X-Key: a", "X-Key: b"]) == 200
    assert get(w.port, headers=["x-kEY: a", "X-Key: c"]) == 429
    with H2Raw(w.port) as c:
        c.request(1, extra=[("x-key", "a"), ("x-key", "d")])
        assert c.response(1)[0] == 429


# ---------------------------------------------------------------- what is said twice

def test_two_hosts(weir):
    w = weir("site a.test {\n deny all\n respond 200 x\n}\nsite b.test { respond 200 open }\n")
    for lines in (["Host: b.test", "Host: a.test"], ["Host: a.test, b.test"], ["Host: b.test,a.test"]):
        with w.client() as c:
            c.send(("GET / HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())
            assert c.response().status == 400
    with w.client() as c:
        assert c.get("http://a.test/", "b.test").status == 400
    with H2Raw(w.port) as c:
        c.request(1, authority="b.test", extra=[("host", "a.test")])
        assert c.response(1)[0] in (400, None)
        c.request(3, authority="a.test", extra=[("host", "a.test")])
        assert c.response(3)[0] == 403


@pytest.mark.parametrize("field", ["X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Forwarded-Host",
                                   "X-Forwarded-Prefix", "X-Original-Host", "X-Host", "X-Method"])
def test_fields_that_others_obey(weir, field):
    w = weir("site * {\n respond 200 open\n route /admin {\n  deny all\n  respond 200 secret\n }\n"
             " when method == POST { deny all }\n}")
    assert get(w.port, "/admin", [f"{field}: /"]) == 403
    with w.client() as c:
        assert c.post("/", headers=[f"{field}: GET"]).status == 403


@pytest.mark.parametrize("path", ["/admin;x=1", "/admin/", "/ADMIN/../admin", "/admin/.", "/admin%2f", "/admin%2e",
                                  "/.%2fadmin", "/admin\\", "/admin%00", "/admin?", "/admin#x", "/%2561dmin"])
def test_paths_that_might_be_another_to_the_server(weir, origin, path):
    """Either it is refused, or what the server gets is not the guarded path."""
    o = origin()
    w = weir("site * {\n proxy @o@\n route /admin {\n  deny all\n }\n}", o=o)
    status = get(w.port, path)
    assert status in (400, 403) or o.requests[-1].target.split("?")[0] in (
        "/admin;x=1", "/admin%2F", "/admin.", "/.%2Fadmin", "/admin%5C", "/%2561dmin"), (status, o.requests)


# ---------------------------------------------------------------- bans

@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "FOO", "DELETE"])
def test_errors_of_any_method_count_for_a_ban(weir, method):
    w = weir("site * {\n ban 10m when 2 status in 404 within 1m\n respond 404 x\n}")
    with w.client() as c:
        assert c.get(method=method).status == 404
        assert c.get(method=method, headers=["X-HTTP-Method-Override: GET"]).status == 404
        assert c.get().status == 403


def test_errors_of_http1_and_http2_count_together(weir):
    w = weir("site * {\n ban 10m when 3 status in 404 within 1m\n respond 404 x\n}")
    with w.client() as c, H2Raw(w.port) as h:
        assert [c.get().status, h.get("/", 1)[0], c.get().status] == [404, 404, 404]
        assert h.get("/", 3)[0] == 403
        assert c.get().status == 403


def test_many_requests_at_once_pass_no_more_than_the_rule(weir):
    w = weir("site * {\n ban 10m when 3 status in 404 within 1m\n respond 404 x\n}")
    with H2Raw(w.port) as h:
        for stream in range(1, 41, 2):
            h.request(stream)
        got = [h.response(stream)[0] for stream in range(1, 41, 2)]
    assert got.count(404) == 3 and set(got) <= {404, 403, None}


def test_errors_of_weir_itself_count_for_a_ban(weir):
    """Also those from before a route was found."""
    w = weir("site a.test {\n ban 10m when 2 status in 403 400 within 1m\n respond 200 x\n deny all\n}")
    with w.client() as c:
        assert [c.get().status, c.get("/..%2f").status] == [403, 400]
