# SPDX-License-Identifier: Apache-2.0
"""`allow` and `deny`: who may come, and who tries to come all the same."""
import time

import pytest

from kit import wait_until, weir_cli
from kit.h2raw import H2Raw

TRUSTING = "trust 127.0.0.0/8\n"


def site(lines):
    return TRUSTING + "site * {\n respond 200 ok\n" + lines + "\n}\n"


def status(w, ip, path="/", **kw):
    return w.get(path, headers=[f"X-Forwarded-For: {ip}"], **kw).status


def test_first_that_names_the_address_decides(weir):
    w = weir(site("deny 10.0.0.5\n allow 10.0.0.0/8 2001:db8::/32\n deny all"))
    assert status(w, "10.0.0.5") == 403
    assert status(w, "10.0.0.6") == status(w, "2001:db8::1") == 200
    assert status(w, "11.0.0.1") == status(w, "2001:db9::1") == 403
    assert w.metric("weir_access_denied_total") == 3
    assert w.metrics()['weir_request_errors_total{error="address_denied"}'] == 3


def test_only_allow_refuses_all_others(weir):
    w = weir(site("allow 10.0.0.0/8"))
    assert (status(w, "10.1.1.1"), status(w, "11.1.1.1"), w.get().status) == (200, 403, 403)


def test_only_deny_lets_all_others_in(weir):
    w = weir(site("deny 10.0.0.0/8"))
    assert (status(w, "10.1.1.1"), status(w, "11.1.1.1")) == (403, 200)


def test_nearest_block_alone(weir):
    w = weir(TRUSTING + """site * {
        deny 10.0.0.0/8
        respond 200 ok
        route /admin/ { allow 10.0.0.0/8
            respond 200 ok }
        route /other/ { deny 11.0.0.0/8
            respond 200 ok }
        route /open/ { no deny
            respond 200 ok }
    }""")
    assert (status(w, "10.1.1.1"), status(w, "10.1.1.1", "/admin/")) == (403, 200)
    assert (status(w, "12.1.1.1"), status(w, "12.1.1.1", "/admin/")) == (200, 403)
    assert (status(w, "10.1.1.1", "/other/"), status(w, "11.1.1.1", "/other/")) == (200, 403)
    assert status(w, "10.1.1.1", "/open/") == 200


def test_when_blocks_are_asked_besides(weir):
    w = weir(site("deny 10.0.0.0/8\n when method == POST { deny 11.0.0.0/8 }"))
    with w.client() as c:
        for ip, want in ("10.0.0.1", 403), ("11.0.0.1", 403), ("12.0.0.1", 200):
            assert c.post(headers=[f"X-Forwarded-For: {ip}"]).status == want
    assert status(w, "11.0.0.1") == 200


@pytest.mark.parametrize("alias", ["::ffff:10.0.0.1", "::FFFF:0a00:0001", "[::ffff:10.0.0.1]:80",
                                   "10.0.0.1:99", "0:0:0:0:0:ffff:10.0.0.1"])
def test_mapped_addresses_are_what_they_map(weir, alias):
    assert status(weir(site("deny 10.0.0.0/8")), alias) == 403


def test_prefixes_of_ipv6_hold_no_ipv4(weir):
    w = weir(site("allow ::/0"))
    assert (status(w, "2001:db8::1"), status(w, "10.0.0.1"), status(w, "::ffff:10.0.0.1")) == (
        200, 403, 403)


@pytest.mark.parametrize("headers", [
    ["X-Forwarded-For: 10.0.0.1"], ["Forwarded: for=10.0.0.1"], ["X-Real-IP: 10.0.0.1"],
    ["X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2"], ["x-FORWARDED-for: 10.0.0.1"],
    ["X_Forwarded_For: 10.0.0.1"], ["Connection: X-Forwarded-For", "X-Forwarded-For: 10.0.0.1"]])
def test_nobody_but_trusted_proxies_tells_addresses(weir, headers):
    w = weir("site * {\n respond 200 ok\n allow 10.0.0.0/8\n}\n")
    assert w.get(headers=headers).status == 403


def test_what_clients_wrote_before_a_trusted_proxy_is_hearsay(weir):
    w = weir(site("allow 10.0.0.0/8"))
    assert status(w, "10.0.0.1, 203.0.113.9") == 403
    assert status(w, "10.0.0.1, nonsense, 127.0.0.1") == 403


@pytest.mark.parametrize("path", ["/admin/x", "/%61dmin/x", "/./admin/x", "/x/../admin/x", "//admin/x",
                                  "/admin/../admin/x", "/x/%2e%2e/admin/x", "/admin//x"])
def test_paths_spelled_in_other_ways(weir, path):
    w = weir("site * {\n respond 200 open\n"
             " route /admin/ {\n  respond 200 secret\n  allow 10.0.0.0/8\n }\n}\n")
    assert w.get(path).status == 403


@pytest.mark.parametrize("host", ["a.test", "A.TEST", "a.test:80", "a.test."])
def test_hosts_spelled_in_other_ways(weir, host):
    w = weir("site a.test {\n respond 200 secret\n allow 10.0.0.0/8\n}\n"
             "site b.test {\n respond 200 open\n}\n")
    assert w.get(host=host).status in (403, 421, 400)


def test_http2(weir):
    w = weir("site * {\n respond 200 ok\n allow 10.0.0.0/8\n}\n")
    with H2Raw(w.port) as c:
        assert c.get("/")[0] == 403


def test_methods(weir):
    w = weir("site * {\n respond 200 ok\n allow 10.0.0.0/8\n}\n")
    for method in "HEAD", "OPTIONS", "PUT", "FOO":
        with w.client() as c:
            assert c.get(method=method, headers=["X-HTTP-Method-Override: GET"]).status == 403


# ---------------------------------------------------------------- files

def test_file_of_100000_prefixes_is_watched(weir, tmp_path):
    bad = tmp_path / "bad.txt"
    lines = [f"11.{i >> 8 & 255}.{i & 255}.{32 * (i >> 16)}/30" for i in range(100_000)]
    bad.write_text("# bad ones\n" + "\n".join(lines) + "\n")
    w = weir(site(f"deny file:{bad}"))
    assert (status(w, "11.1.2.3"), status(w, "11.1.2.5"), status(w, "12.0.0.1")) == (403, 200, 200)
    before = w.generation()
    bad.write_text("12.0.0.1\n")
    wait_until(lambda: w.generation() != before, 20, "the file being read again")
    assert (status(w, "11.1.2.3"), status(w, "12.0.0.1")) == (200, 403)


def test_file_that_gets_wrong_changes_nothing(weir, tmp_path):
    bad = tmp_path / "bad.txt"
    bad.write_text("10.0.0.0/8\n")
    w = weir(site(f"deny file:{bad}"))
    bad.write_text("10.0.0.0/8\n12.0.0.0/44\n")
    w.wait_stderr(f"{bad}:2: an address or a prefix is due", 20)
    time.sleep(0.1)
    assert status(w, "10.1.1.1") == 403


def test_file_beside_the_configuration(tmp_path):
    (tmp_path / "bad.txt").write_text("10.0.0.0/8\n")
    conf = tmp_path / "weir.conf"
    conf.write_text("site * {\n respond 200 x\n deny file:bad.txt\n}\n")
    assert weir_cli("check", "-c", conf).returncode == 0
    done = weir_cli("explain", "http://a.test/", "--from", "10.1.1.1", "-c", conf)
    assert "deny" in done.stdout and "403" in done.stdout


@pytest.mark.parametrize("line,want", [
    ("deny 10.0.0.0/33", "is not an address"), ("deny a.test", "is not an address"),
    ("allow", "allow"), ("deny file:/nonexistent", "cannot read /nonexistent")])
def test_mistakes(tmp_path, line, want):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"site * {{\n respond 200 x\n {line}\n}}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and want in done.stderr, done.stderr
