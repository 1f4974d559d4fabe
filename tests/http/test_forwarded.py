# SPDX-License-Identifier: Apache-2.0
"""Who the client is: X-Forwarded-* and Forwarded from strangers and from trusted proxies."""
import pytest

SITE = "site * { proxy @o@ }\n"
TRUST = "trust 127.0.0.1 10.0.0.0/8 fd00::/8\n" + SITE


def seen(weir, origin, text, *fields, host="a.test"):
    o = origin()
    w = weir(text, o=o)
    assert w.get(host=host, headers=fields).status == 200
    return o.requests[0], w


def test_a_stranger_is_not_believed(weir, origin):
    got, w = seen(weir, origin, SITE, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https",
                  "X-Forwarded-Host: evil", "X-Forwarded-Port: 1", "X-Real-IP: 1.2.3.4",
                  "Forwarded: for=1.2.3.4")
    assert got.all("X-Forwarded-For") == ["127.0.0.1"]
    assert got.all("X-Forwarded-Proto") == ["http"]
    assert got.all("X-Forwarded-Host") == ["a.test"]
    assert got.all("X-Real-IP") in ([], ["127.0.0.1"])
    assert "1.2.3.4" not in str(got.all("Forwarded"))
    assert w.last_access()["client"] == "127.0.0.1"


def test_a_trusted_proxy_is_believed_and_extended(weir, origin):
    got, w = seen(weir, origin, TRUST, "X-Forwarded-For: 203.0.113.9",
                  "X-Forwarded-Proto: https", "X-Forwarded-Host: www.test",
                  "X-Forwarded-Port: 443")
    assert got.get("X-Forwarded-For") == "203.0.113.9, 127.0.0.1"
    assert got.get("X-Forwarded-Proto") == "https"
    assert got.get("X-Forwarded-Host") == "www.test"
    assert got.get("X-Forwarded-Port") == "443"
    line = w.last_access()
    assert (line["client"], line["scheme"]) == ("203.0.113.9", "https")


@pytest.mark.parametrize("value,client", [
    ("203.0.113.9", "203.0.113.9"),
    ("9.9.9.9, 203.0.113.9", "203.0.113.9"),          # the nearest stranger, not the first
    ("203.0.113.9, 10.1.1.1", "203.0.113.9"),         # trusted hops are passed over
    ("10.2.2.2, 10.1.1.1", "10.2.2.2"),               # all trusted: the farthest
    ("evil, 203.0.113.9", "203.0.113.9"),
    ("203.0.113.9, evil", "127.0.0.1"),               # junk ends the walk
    ("203.0.113.9, unknown, 10.1.1.1", "10.1.1.1"),
    ("203.0.113.9:1234", "203.0.113.9"),
    ("2001:db8::1", "2001:db8::1"),
    ("[2001:db8::1]:99", "2001:db8::1"),
    ("", "127.0.0.1"),
])
def test_client_out_of_x_forwarded_for(weir, origin, value, client):
    _, w = seen(weir, origin, TRUST, f"X-Forwarded-For: {value}")
    assert w.last_access()["client"] == client


@pytest.mark.parametrize("value,client", [
    ("for=203.0.113.9", "203.0.113.9"),
    ("for=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
    ("proto=https;for=203.0.113.9", "203.0.113.9"),
    ('for="[2001:db8::1]:99"', "2001:db8::1"),
    ("for=9.9.9.9, for=203.0.113.9, for=10.0.0.1", "203.0.113.9"),
    ("for=_hidden", "127.0.0.1"),
    ("for=unknown", "127.0.0.1"),
])
def test_client_out_of_forwarded(weir, origin, value, client):
    _, w = seen(weir, origin, TRUST, f"Forwarded: {value}")
    assert w.last_access()["client"] == client


def test_several_lines_are_one_list(weir, origin):
    got, w = seen(weir, origin, TRUST, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 10.3.3.3")
    assert got.all("X-Forwarded-For") == ["203.0.113.9, 10.3.3.3, 127.0.0.1"]
    assert w.last_access()["client"] == "203.0.113.9"


def test_forwarded_of_a_trusted_proxy_is_extended(weir, origin):
    got, _ = seen(weir, origin, TRUST, "Forwarded: for=203.0.113.9;proto=https")
    assert got.get("Forwarded").startswith("for=203.0.113.9;proto=https, for=127.0.0.1")


def test_broken_values_of_a_trusted_proxy(weir, origin):
    got, w = seen(weir, origin, TRUST, "X-Forwarded-Proto: javascript:x", "X-Forwarded-Port: no",
                  "X-Forwarded-For: 203.0.113.9")
    assert w.last_access()["scheme"] == "http"
    assert got.status if hasattr(got, "status") else True


def test_port_of_the_host_field(weir, origin):
    got, _ = seen(weir, origin, SITE, host="a.test:8443")
    assert got.get("X-Forwarded-Host") == "a.test:8443"
    assert got.get("X-Forwarded-Port") == "8443"


def test_via_of_http_10(weir, origin):
    o = origin()
    with weir(SITE, o=o).client() as c:
        c.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        c.response()
    assert o.requests[0].get("Via") == "1.0 weir"


def test_admin_sees_no_forwarded_client(weir):
    """Trust does not open anything on the admin listener."""
    w = weir("trust 127.0.0.1\nsite * { respond 200 }\n")
    assert w.admin("/status").status == 200
