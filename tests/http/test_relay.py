# SPDX-License-Identifier: Apache-2.0
"""`relay`: targets that clients name. What may be fetched, what is refused, and the ways around it that people
try: odd forms of addresses, names that lead to private ones, answers that change, redirects."""
import hashlib
import pathlib
import socket
import subprocess
import time
from urllib.parse import quote

import pytest

from kit import Hold, Origin, Pki, Weir, answer, chunked, server_context, wait_until, weir_cli
from kit.h2raw import H2Raw
from kit.names import Names

LOCAL = "private 127.0.0.1/32"
HOSTS = {"a.ok.test": "127.0.0.1", "b.ok.test": "127.0.0.1", "www.other.test": "127.0.0.1"}


@pytest.fixture
def names():
    with Names(HOSTS) as n:
        yield n


@pytest.fixture
def target():
    with Origin(lambda r: answer(r.method + " " + r.target, headers=["Content-Type: text/plain"])) as o:
        yield o


def relay(names, block=LOCAL, words="*.ok.test:*", site="", **kw):
    return Weir("resolver @names@\nlog error info\nsite * {\n relay " + words + " {\n" + block + "\n }\n" + site +
                "\n}\n", names=names.address, **kw)


def fetch(w, url, headers=()):
    return w.get("/?url=" + quote(url, safe=""), "relay.test", headers)


def url(target, path="/", host="a.ok.test", scheme="http"):
    return f"{scheme}://{host}:{target.port}{path}"


# ---- what is relayed

def test_by_query_and_by_path(names, target):
    with relay(names) as w:
        r = fetch(w, url(target, "/x/y?a=b&c=%2520"))
        assert (r.status, r.text) == (200, "GET /x/y?a=b&c=%2520")
        assert target.requests[0].get("Host") == f"a.ok.test:{target.port}"
        assert w.get("/" + url(target, "/p//q?url=http://no.test/"), "relay.test").text == "GET /p//q?url=http://no.test/"
        assert w.get("/?x=1&url=" + url(target, "/raw?a=b&c=d"), "relay.test").text == "GET /raw?a=b"
        line = w.access(3)[0]
        assert w.metric("weir_relayed_total") == 3
        assert w.metric("weir_relays_active") == 0
        assert line["upstream"] == "relay" and line["server"] == f"a.ok.test:{target.port}"


def test_relay_url_in_the_log(names, target):
    with Weir("resolver @names@\nworkers 1\nlisten @listen@\nadmin @admin@\n"
              'log access "$status $relay_url" to=@dir@/access.log\n'
              "site * { relay *.ok.test:* { " + LOCAL + " } }", names=names.address) as w:
        fetch(w, url(target, "/x?y"))
        fetch(w, "http://no.test/")
        wait_until(lambda: len(w.log_lines()) == 2, 3, "two lines")
        assert w.log_lines() == [f"200 {url(target, '/x?y')}", "403 -"]


def test_strip_and_route(names, target):
    with relay(names, words="no.test", site="route /fetch/ strip { relay *.ok.test:* { " + LOCAL + " } }") as w:
        assert w.get("/fetch/" + url(target, "/x"), "relay.test").text == "GET /x"
        assert w.get("/fetch/?url=" + url(target, "/y"), "relay.test").text == "GET /y"
        assert w.get("/?url=" + url(target, "/y"), "relay.test").status == 403


def test_body_of_a_post_and_methods(names, target):
    with relay(names, LOCAL + "\n methods GET POST PUT") as w:
        with w.client() as c:
            c.send(b"POST /?url=" + quote(url(target, "/p"), safe="").encode() +
                   b" HTTP/1.1\r\nHost: relay.test\r\nContent-Length: 5\r\nContent-Type: text/x\r\n\r\nhello")
            r = c.response()
        assert (r.status, r.text) == (200, "POST /p")
        assert target.requests[0].body == b"hello" and target.requests[0].get("Content-Type") == "text/x"
        for method in "DELETE", "PATCH", "HEAD", "BREW":
            with w.client() as c:
                c.send(f"{method} /{url(target)} HTTP/1.1\r\nHost: relay.test\r\nConnection: close\r\n\r\n".encode())
                head = c.response(method=method)
            assert head.status == 405 and head.get("Allow") == "GET, POST, PUT"
        with w.client() as c:  # the method is the request line's
            r = c.get("/" + url(target, "/o"), "relay.test", ["X-HTTP-Method-Override: DELETE"])
        assert r.text == "GET /o"
        assert len(target.requests) == 2
        assert w.metric("weir_relay_refused_total") == 4


def test_client_that_waits_for_100(names, target):
    with relay(names, LOCAL + "\n methods POST") as w, w.client() as c:
        c.send(f"POST /{url(target)} HTTP/1.1\r\nHost: relay.test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n".encode())
        c.send(0.2, b"hi")
        assert c.response().text == "POST /"
        assert target.requests[0].get("Expect") is None and target.requests[0].body == b"hi"


def test_over_h2(names, target):
    with relay(names) as w, H2Raw(w.port, host="relay.test") as c:
        status, body, _ = c.get("/" + url(target, "/two"))
        assert (status, body) == (200, b"GET /two")
        refused = [("/?url=" + quote("http://127.1/", safe=""), 400), (f"/http://127.0.0.2:{target.port}/", 403),
                   (f"/http://A.ok.test.:{target.port}@127.0.0.2/", 400)]
        for i, (path, status) in enumerate(refused):
            assert c.get(path, stream=3 + 2 * i)[0] == status


def test_large_and_slow_answers(names):
    body = b"x" * (8 << 20)
    with Origin(lambda r: [answer(body)] if r.target == "/big" else
                [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0.3, b"1\r\na\r\n", 0.3, b"1\r\nb\r\n0\r\n\r\n"]) as o, \
            relay(names) as w:
        assert fetch(w, url(o, "/big")).body == body
        assert fetch(w, url(o, "/slow")).body == b"ab"


def test_slow_reader_holds_the_target_back(names):
    sent = []

    def endless(s):
        try:
            while True:
                sent.append(s.send(b"x" * 65536))
        except OSError:
            pass
    with Origin(lambda r: [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", endless]) as o, relay(names) as w:
        with w.client(rcvbuf=4096) as c:
            c.send(f"GET /{url(o)} HTTP/1.1\r\nHost: relay.test\r\n\r\n".encode())
            time.sleep(1)
            before = sum(sent)
            time.sleep(0.5)
            assert sum(sent) == before < 40 << 20
        wait_until(lambda: o.open == 0, 5, "the target is let go")
        assert w.metric("weir_relays_active") == 0


def test_answers_that_are_too_large(names):
    def script(r):
        if r.target == "/known":
            return answer(b"x" * 1001)
        if r.target == "/fits":
            return answer(b"x" * 1000)
        return chunked(b"x" * 600, b"x" * 401)
    with Origin(script) as o, relay(names, LOCAL + "\n max 1000B") as w:
        assert fetch(w, url(o, "/known")).status == 502
        assert fetch(w, url(o, "/fits")).body == b"x" * 1000
        with w.client() as c:
            c.send(f"GET /{url(o, '/chunked')} HTTP/1.1\r\nHost: relay.test\r\n\r\n".encode())
            assert not c.response().complete
        assert w.access(3)[2]["error"] == "relay_too_large"
        errors = w.metrics()
        assert errors['weir_request_errors_total{error="relay_too_large"}'] == 2


def test_deadlines(names):
    hold = Hold()
    with Origin(lambda r: [hold]) as o, relay(names, site="timeout first_byte=300ms connect=500ms") as w:
        names.silent.add("slow.ok.test")
        assert fetch(w, url(o)).status == 504
        assert fetch(w, "http://slow.ok.test/").status == 502
        hold.release()
        assert w.metric("weir_relays_active") == 0


def test_a_client_that_leaves_ends_it(names):
    hold = Hold()
    with Origin(lambda r: [hold]) as o, relay(names, site="timeout half_close=200ms") as w:
        with w.client() as c:
            c.send(f"GET /{url(o)} HTTP/1.1\r\nHost: relay.test\r\n\r\n".encode())
            assert hold.reached.wait(5)
        wait_until(lambda: w.metric("weir_relays_active") == 0, 5, "it ends")
        hold.release()


# ---- which targets

@pytest.mark.parametrize("words,allowed,refused", [
    ("a.ok.test:*", ["a.ok.test", "A.OK.TEST", "a.ok.test."], ["b.ok.test", "xa.ok.test", "x.a.ok.test", "ok.test"]),
    ("*.ok.test:*", ["a.ok.test", "b.ok.test"], ["ok.test", "notok.test", "a.ok.test.evil.test", "aok.test",
                                                 "a.ok.test@evil.test"]),
])
def test_hosts_of_the_list(names, target, words, allowed, refused):
    names.hosts.update({h: "127.0.0.1" for h in refused})
    with relay(names, words=words) as w:
        for host in allowed:
            assert fetch(w, url(target, host=host)).status == 200, host
        for host in refused:
            assert fetch(w, url(target, host=host)).status in (400, 403), host
        assert len(target.requests) == len(allowed)


def test_schemes_and_ports_of_the_list(names, target):
    with relay(names, words=f"http://a.ok.test:{target.port} https://b.ok.test:*") as w:
        assert fetch(w, url(target)).status == 200
        assert fetch(w, url(target, scheme="https")).status == 403
        assert fetch(w, url(target, host="b.ok.test")).status == 403
        assert fetch(w, "http://a.ok.test:1/").status == 403
        assert fetch(w, "http://a.ok.test/").status == 403
    with relay(names, LOCAL + f"\n ports {target.port}", words="a.ok.test") as w:
        assert fetch(w, url(target)).status == 200
        assert fetch(w, "http://a.ok.test:1/").status == 403


def test_any_takes_public_names_alone(names, target):
    names.hosts["single"] = "127.0.0.1"
    with relay(names, f"private 127.0.0.1/32\n ports {target.port}", words="any") as w:
        assert fetch(w, url(target)).status == 200
        assert fetch(w, url(target, host="127.0.0.1")).status == 200
        assert fetch(w, url(target, host="single")).status == 403
        assert fetch(w, url(target, host="localhost")).status == 403
        assert fetch(w, "http://a.ok.test:22/").status == 403


BAD = ["", "a.ok.test", "//a.ok.test/", "ftp://a.ok.test/", "file:///etc/passwd", "javascript:alert(1)", "http://", "http:/a.ok.test/",
       "http://user@a.ok.test/", "http://a.ok.test:x/", "http://a.ok.test:99999/", " http://a.ok.test/",
       "http://a.ok.test/\r\nX: y", "http://a.ok.test/\x00", "http://a.ok\t.test/", "http://a.ok.test\\@evil.test/",
       "http:\\\\a.ok.test", "http://a.ok.test/\\..\\", "http://a.ok.test/ x", "http://ａ.ok.test/", "http://a。ok.test/",
       "http://a.ok.test/../..", "http://%61.ok.test/", "http://[::1", "http://[fe80::1%25eth0]/", "http://0x7f.1/", "http://2130706433/",
       "http://0177.0.0.1/", "http://127.1/", "http://0/", "http://127.0.0.1.1/", "http://0x7f000001/", "http://①27.0.0.1/"]


def test_urls_that_are_none(names, target):
    with relay(names, words="any") as w:
        for bad in BAD:
            assert fetch(w, bad).status == 400, bad
        for path in "/", "/?url", "/?url=", "/?URL=http://a.ok.test/", "/?url=http%3A%2F%2Fa.ok.test%2", "/?url=http%253A%252F%252Fa.ok.test%252F", \
                "/?url=http://a.ok.test/&url=http://b.ok.test/", "/x/http://a.ok.test/", "/ftp://a.ok.test/":
            assert w.get(path, "relay.test").status == 400, path
        assert not names.asked and not target.requests
        assert w.metric("weir_relay_refused_total") == len(BAD) + 9


# ---- addresses

PRIVATE = ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
           "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
           "::127.0.0.1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
           "2001:db8::1", "2001::1"]


def test_addresses_that_are_not_public(names):
    """As literals, in every form that is read as one, and as what a name leads to."""
    with relay(names, "", words="any") as w:
        for i, ip in enumerate(PRIVATE):
            host = f"[{ip}]" if ":" in ip else ip
            assert fetch(w, f"http://{host}/").status == 403, ip
            assert fetch(w, f"https://{host.upper()}/").status == 403, ip
            names.hosts[f"n{i}.evil.test"] = ip
            assert fetch(w, f"http://n{i}.evil.test/").status == 403, ip
        assert fetch(w, "http://127.0.0.1./").status == 403
        assert w.metrics()['weir_request_errors_total{error="relay_private"}'] == 3 * len(PRIVATE) + 1
        wait_until(lambda: "169.254.169.254: link-local" in w.stderr, 3, "the reason")


def test_one_private_address_spoils_the_answer(names, target):
    names.hosts["mixed.ok.test"] = ["127.0.0.1", "10.0.0.1"]
    names.hosts["six.ok.test"] = ["127.0.0.1", "::1"]
    names.hosts["alias.ok.test"] = "cname:inside.corp.test"
    names.hosts["inside.corp.test"] = "10.1.2.3"
    names.hosts["good.ok.test"] = "cname:a.ok.test"
    with relay(names) as w:
        for host in "mixed", "six", "alias":
            assert fetch(w, url(target, host=host + ".ok.test")).status == 403, host
        assert fetch(w, url(target, host="good.ok.test")).status == 200
        assert len(target.requests) == 1


def test_rebinding(names, target):
    """A name whose answer changes between the check and the connection, and after it."""
    names.hosts["rebind.ok.test"] = [["127.0.0.1"], ["10.0.0.1"]]
    with relay(names) as w:
        assert fetch(w, url(target, host="rebind.ok.test")).status == 200
        assert names.count("rebind.ok.test") == 1  # looked up once: what was checked was connected to
        assert fetch(w, url(target, host="rebind.ok.test")).status == 200  # remembered
        time.sleep(1.2)  # a TTL of 0 counts as a second
        assert fetch(w, url(target, host="rebind.ok.test")).status == 403
        assert len(target.requests) == 2
        assert w.metric("weir_relay_lookups_total") == 2


def test_no_name_is_looked_up_twice_at_once(names, target):
    with relay(names) as w:
        clients = [w.client() for _ in range(8)]
        for c in clients:
            c.send(f"GET /{url(target)} HTTP/1.1\r\nHost: relay.test\r\n\r\n".encode())
        assert [c.response().status for c in clients] == [200] * 8
        assert names.count("a.ok.test") == 1
        for c in clients:
            c.close()


def test_denied_addresses(names, target):
    with relay(names, LOCAL + "\n deny 127.0.0.0/30") as w:
        assert fetch(w, url(target)).status == 403


def test_names_that_lead_nowhere(names):
    names.hosts["empty.ok.test"] = []
    with relay(names) as w:
        assert fetch(w, "http://missing.ok.test/").status == 502
        assert fetch(w, "http://empty.ok.test/").status == 502
        assert w.metrics()['weir_request_errors_total{error="relay_unresolved"}'] == 2


def test_dead_target(names):
    with Origin() as o, relay(names) as w:
        o.stop()
        assert fetch(w, url(o)).status == 502
        assert w.last_access()["error"] == "connect_refused"


def test_the_relay_itself(names):
    """By an address that is let in: the mark in the request ends it."""
    with relay(names) as w:
        own = f"http://a.ok.test:{w.port}/"
        r = fetch(w, own + "?url=" + quote(own, safe=""))
        assert r.status == 508
        assert fetch(w, url(w), headers=["CDN-Loop: other, Weir; x=y"]).status == 508
        assert fetch(w, "http://nowhere.ok.test/", headers=["CDN-Loop: other"]).status == 502


# ---- redirects

def redirecting(to, status=302):
    return answer("", f"{status} Moved", headers=[f"Location: {to}"])


def test_redirects_are_followed(names, target):
    with Origin(lambda r: redirecting({"/1": "2", "/2": url(target, "/end?x", "b.ok.test"), "/3": "//b.ok.test:%d/s" % target.port}[r.target])) as o, \
            relay(names) as w:
        r = fetch(w, url(o, "/1"))
        assert (r.status, r.text) == (200, "GET /end?x")
        assert r.get("X-Final-Url") == url(target, "/end?x", "b.ok.test")
        assert r.get("Location") is None
        assert fetch(w, url(o, "/3")).text == "GET /s"
        assert w.metric("weir_relay_redirects_total") == 3
        assert w.metric("weir_relayed_total") == 2


@pytest.mark.parametrize("to,status", [
    ("http://127.0.0.2/", 403), ("http://169.254.169.254/latest/meta-data/", 403), ("http://[::1]/", 403), ("http://www.other.test/", 403),
    ("http://inside.ok.test/", 403), ("https://0x7f.1/", 502), ("ftp://a.ok.test/", 502), ("file:///etc/passwd", 502), ("javascript:x", 502),
    ("http://u@a.ok.test/", 502), ("//2130706433/", 502), ("http://a.ok.test\\@evil.test/", 502), ("/..", 502),
])
def test_redirects_obey_the_same_rules(names, to, status):
    names.hosts["inside.ok.test"] = "10.0.0.1"
    with Origin(lambda r: redirecting(to)) as o, relay(names, words="*.ok.test:* 127.0.0.2 169.254.169.254 [::1]") as w:
        r = fetch(w, url(o))
        assert (r.status, r.get("Location")) == (status, None)
        assert len(o.requests) == 1


def test_redirects_end(names):
    with Origin(lambda r: redirecting("/" + str(int(r.target[1:] or 0) + 1))) as o:
        with relay(names, LOCAL + "\n redirects 3") as w:
            assert fetch(w, url(o)).status == 502
            assert [r.target for r in o.requests] == ["/", "/1", "/2", "/3"]
            assert w.last_access()["error"] == "relay_redirect"
        o.clear()
        with relay(names, LOCAL + "\n redirects off") as w:
            assert fetch(w, url(o)).status == 502
            assert len(o.requests) == 1


@pytest.mark.parametrize("status,method,then", [(301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (303, "PUT", "GET"),
                                                (302, "PUT", None), (307, "POST", None), (308, "POST", None)])
def test_methods_and_bodies_of_redirects(names, target, status, method, then):
    with Origin(lambda r: redirecting(url(target, "/end"), status)) as o, relay(names, LOCAL + "\n methods POST PUT") as w:
        with w.client() as c:
            c.send(f"{method} /{url(o)} HTTP/1.1\r\nHost: r.test\r\nContent-Length: 2\r\nContent-Type: a/b\r\n\r\nhi".encode())
            r = c.response()
        if then is None:
            assert r.status == 502 and not target.requests
            return
        assert r.text == then + " /end"
        got = target.requests[0]
        assert got.body == b"" and got.get("Content-Type") is None and got.get("Content-Length") is None


def test_redirect_without_a_body_keeps_its_method(names, target):
    with Origin(lambda r: redirecting(url(target, "/end"), 307)) as o, relay(names, LOCAL + "\n methods DELETE") as w:
        with w.client() as c:
            c.send(f"DELETE /{url(o)} HTTP/1.1\r\nHost: r.test\r\n\r\n".encode())
            assert c.response().text == "DELETE /end"


def test_rebinding_between_redirects(names, target):
    names.hosts["r.ok.test"] = [["127.0.0.1"], ["10.0.0.1"]]

    def script(r):
        time.sleep(1.3)
        return redirecting(url(target, "/", "r.ok.test"))
    with Origin(script) as o, relay(names) as w:
        assert fetch(w, url(o, host="r.ok.test")).status == 403
        assert not target.requests


# ---- fields

def test_what_stays_here(names, target):
    sent = ["Cookie: a=b", "Authorization: Basic eDp5", "X-Api-Key: k", "Origin: https://page.test", "Referer: https://page.test/x",
            "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Foo: x", "Forwarded: for=1.2.3.4", "X-Real-IP: 1.2.3.4", "Proxy-Authorization: x",
            "Proxy-Foo: x", "Sec-Fetch-Mode: cors", "TE: trailers", "X-Auth-User: me", "Upgrade: websocket", "Connection: upgrade, X-Hop",
            "X-Hop: 1"]
    with relay(names) as w:
        fetch(w, url(target), sent + ["Accept: text/x", "X-Own: 1", "Range: bytes=0-1"])
        got = {n.lower() for n, _ in target.requests[0].headers}
        assert got <= {"host", "accept", "x-own", "range", "via", "cdn-loop", "connection"}
        assert {"accept", "x-own", "range", "cdn-loop"} <= got
        assert target.requests[0].get("Connection") in (None, "close")


def test_pass_and_redirects_to_others(names, target):
    with Origin(lambda r: redirecting("/2" if r.target == "/1" else url(target))) as o, relay(names, LOCAL + "\n pass Authorization x-api-key") as w:
        fetch(w, url(o, "/1"), ["Authorization: Bearer t", "X-Api-Key: k", "Cookie: c=d"])
        for r in o.requests:
            assert (r.get("Authorization"), r.get("X-Api-Key"), r.get("Cookie")) == ("Bearer t", "k", None)
        assert len(o.requests) == 2
        assert target.requests[0].get("Authorization") is None and target.requests[0].get("X-Api-Key") is None


def test_answers_speak_for_nobody_here(names):
    own = ["Set-Cookie: a=b", "SET-COOKIE: c=d", "Set-Cookie2: x", "WWW-Authenticate: Basic realm=x", "Clear-Site-Data: *",
           "Strict-Transport-Security: max-age=1", "Content-Security-Policy: default-src *", "Content-Security-Policy-Report-Only: x",
           "Access-Control-Allow-Origin: https://evil.test", "Access-Control-Allow-Credentials: true", "Service-Worker-Allowed: /",
           "Alt-Svc: h3", "X-Final-Url: x", "Refresh: 0", "X-Content-Type-Options: no", "Cross-Origin-Resource-Policy: same-origin"]
    with Origin(lambda r: answer("<script>", "401 No", headers=own + ["Content-Type: text/html", "X-Theirs: 1"])) as o, relay(names) as w:
        r = fetch(w, url(o))
        assert r.status == 401 and r.get("X-Theirs") == "1" and r.get("Content-Type") == "text/html"
        for name in "Set-Cookie", "Set-Cookie2", "WWW-Authenticate", "Clear-Site-Data", "Strict-Transport-Security", \
                "Content-Security-Policy-Report-Only", "Access-Control-Allow-Credentials", "Service-Worker-Allowed", "Alt-Svc", "Refresh":
            assert r.get(name) is None, name
        assert r.all("Content-Security-Policy") == ["sandbox"]
        assert r.all("X-Content-Type-Options") == ["nosniff"]
        assert r.all("Access-Control-Allow-Origin") == ["*"]
        assert r.all("Access-Control-Expose-Headers") == ["*"]
        assert r.all("Cross-Origin-Resource-Policy") == ["cross-origin"]
        assert r.all("X-Final-Url") == [url(o)]


def test_errors_can_be_read_by_pages(names):
    with relay(names) as w:
        assert fetch(w, "http://no.test/", ["Origin: https://page.test"]).get("Access-Control-Allow-Origin") == "*"
        assert w.get("/", "relay.test").get("Access-Control-Allow-Origin") == "*"


def preflight(w, path, origin="https://page.test", headers="x-one, authorization"):
    with w.client() as c:
        c.send(f"OPTIONS {path} HTTP/1.1\r\nHost: relay.test\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n"
               f"Access-Control-Request-Headers: {headers}\r\n\r\n".encode())
        return c.response()


def test_preflight_is_answered_here(names, target):
    with relay(names, LOCAL + "\n methods GET POST") as w:
        r = preflight(w, "/" + url(target))
        assert r.status == 204
        assert r.get("Access-Control-Allow-Origin") == "*"
        assert r.get("Access-Control-Allow-Methods") == "GET, POST"
        assert r.get("Access-Control-Allow-Headers") == "x-one, authorization"
        assert preflight(w, "/" + url(target), headers="a b").get("Access-Control-Allow-Headers") is None
        assert preflight(w, "/http://no.test/").status == 403
        assert not target.requests and not names.asked
        with w.client() as c:  # not a preflight, and no method of the list
            c.send(f"OPTIONS /{url(target)} HTTP/1.1\r\nHost: relay.test\r\n\r\n".encode())
            assert c.response().status == 405


def test_origins(names, target):
    with relay(names, LOCAL + "\n origins https://app.test http://localhost:*") as w:
        r = fetch(w, url(target), ["Origin: https://app.test"])
        assert (r.status, r.get("Access-Control-Allow-Origin"), r.get("Vary")) == (200, "https://app.test", "Origin")
        assert fetch(w, url(target), ["Origin: http://localhost:3000"]).status == 200
        assert fetch(w, url(target)).get("Access-Control-Allow-Origin") is None  # a program
        for bad in ["Origin: https://app.test.evil.test"], ["Origin: http://app.test"], ["Origin: null"], ["Origin: https://APP.test"], \
                ["Origin: https://app.test", "Origin: https://evil.test"], ["Origin: https://app.test, https://evil.test"]:
            r = fetch(w, url(target), bad)
            assert (r.status, r.get("Access-Control-Allow-Origin")) == (403, None), bad
        assert preflight(w, "/" + url(target), "https://evil.test").status == 403
        assert len(target.requests) == 3


# ---- TLS

@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    p = Pki(tmp_path_factory.mktemp("pki"))
    p.good = p.cert("good", "a.ok.test")
    return p


def test_certificates_are_verified_for_the_name(names, pki):
    with Origin(tls=server_context(pki.good)) as o:
        with relay(names, LOCAL + "\n ca @pki@/ca.crt", pki=pki.folder) as w:
            assert fetch(w, url(o, scheme="https")).status == 200
            assert o.handshakes[0][0] == "a.ok.test"  # SNI
            assert fetch(w, url(o, scheme="https", host="b.ok.test")).status == 502
            wait_until(lambda: "is not for b.ok.test" in w.stderr, 3, "the reason")
        with relay(names) as w:
            assert fetch(w, url(o, scheme="https")).status == 502
        assert len(o.requests) == 1


# ---- with others

def test_limits_by_key(names, target):
    with relay(names, site="limit 2r/m burst=2 by=${query.key}") as w:
        def ask(key):
            return w.get(f"/?key={key}&url=" + quote(url(target), safe=""), "relay.test").status
        assert [ask("one") for _ in range(3)] == [200, 200, 429]
        assert ask("two") == 200
        assert all("one" not in r.target for r in target.requests)


def test_another_resolver_after_a_reload(names, target):
    with Names({"a.ok.test": "10.0.0.1"}) as other, relay(names) as w:
        assert fetch(w, url(target)).status == 200
        w.write("resolver @other@\nsite * { relay *.ok.test:* { " + LOCAL + " } }", other=other.address)
        w.reload()
        wait_until(lambda: fetch(w, url(target)).status == 403, 5, "the other resolver's answer")


def test_several_workers(names, target):
    with Weir("workers 2\nlisten @listen@\nadmin @admin@\nresolver @names@\nsite * { relay *.ok.test:* { " + LOCAL + " } }",
              names=names.address) as w:
        for _ in range(20):
            assert fetch(w, url(target)).status == 200


def test_explain_and_tests(tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text("""listen :8080
        site relay.test {
            relay https://*.ok.test [2606:4700::1]:* { methods GET POST
                private 10.0.0.0/8 }
            test "listed" { GET /?url=https://a.ok.test/x
                expect status 200 }
            test "not listed" { GET /?url=https://evil.test/
                expect status 403 }
        }""")
    done = weir_cli("explain", "-c", str(conf), "http://relay.test:8080/https://a.ok.test/x?y")
    assert done.returncode == 0, done.stderr
    assert "relay      https://*.ok.test [2606:4700::1]:*, GET, POST, redirects=5, 1 private prefix" in done.stdout
    assert "target     https://a.ok.test/x?y" in done.stdout
    assert weir_cli("check", "-c", str(conf)).returncode == 0


@pytest.mark.parametrize("line,said", [
    ("relay", "relay"), ("relay any a.test", "stands alone"), ("relay https://a.test/path", "not a target"), ("relay ftp://a.test", "not a target"),
    ("relay *", "not a target"), ("relay *.1.2.3.4", "not a target"), ("relay 0x7f.1", "not a target"), ("relay a.test:0", "not a target"),
    ("relay a.test:80:*", "not a target"), ("relay u@a.test", "not a target"), ("relay a.test { methods CONNECT }", "can not be relayed"),
    ("relay a.test { private all }", "prefix"), ("relay a.test { ports 0 }", "ports are"), ("relay a.test { pass Connection }", "no field"),
    ("relay a.test { origins app.test }", "not an origin"), ("relay a.test { origins https://a.test/ }", "not an origin"), ("relay a.test { origins a.test b.test }", "not an origin"),
    ("relay a.test { redirects 21 }", "21"), ("relay a.test\n proxy 127.0.0.1:1", "already"), ("relay a.test ca=missing", "missing"),
])
def test_mistakes_are_told(tmp_path, line, said):
    conf = tmp_path / "weir.conf"
    conf.write_text("listen :8080\nsite a.test {\n " + line + "\n}\n")
    done = weir_cli("check", "-c", str(conf))
    assert done.returncode != 0 and said in done.stderr + done.stdout, done.stderr + done.stdout


def test_cors_of_the_site_takes_over(names, target):
    with relay(names, site="cors https://app.test credentials") as w:
        r = fetch(w, url(target), ["Origin: https://app.test"])
        assert (r.all("Access-Control-Allow-Origin"), r.all("Access-Control-Allow-Credentials")) == (["https://app.test"], ["true"])
        r = fetch(w, url(target), ["Origin: https://evil.test"])
        assert (r.status, r.all("Access-Control-Allow-Origin")) == (200, [])
        r = preflight(w, "/http://no.test/", "https://app.test")
        assert r.status in (200, 204) and r.all("Access-Control-Allow-Origin") == ["https://app.test"]
        assert r.get("Content-Security-Policy") is None
        assert len(target.requests) == 2


def test_identities_stay_here(names, target):
    with relay(names, site="auth { require ip in 127.0.0.0/8\n header X-Who me\n header Remote-User you }") as w:
        assert fetch(w, url(target)).status == 200
        assert target.requests[0].get("X-Who") is None and target.requests[0].get("Remote-User") is None


def test_auth_comes_first(names, target):
    with relay(names, site="auth require header.X-Door == open") as w:
        assert fetch(w, url(target)).status in (401, 403)
        assert not names.asked
        assert fetch(w, url(target), ["X-Door: open"]).status == 200


def test_answers_from_a_cache(names):
    with Origin(lambda r: answer("x", headers=["Cache-Control: max-age=60", "Set-Cookie: a=b"])) as o, \
            Weir("cache_store memory size=16M\nworkers 1\nlisten @listen@\nadmin @admin@\nresolver @names@\nsite * { cache\n relay *.ok.test:* { "
                 + LOCAL + "\n origins https://app.test https://b.test } }", names=names.address) as w:
        for origin in "https://app.test", "https://b.test", "https://app.test":
            r = fetch(w, url(o), ["Origin: " + origin])
            assert (r.status, r.all("Access-Control-Allow-Origin")) == (200, [origin])
            assert r.all("Content-Security-Policy") == ["sandbox"] and r.get("Set-Cookie") is None
        assert fetch(w, url(o), ["Origin: https://evil.test"]).get("Access-Control-Allow-Origin") is None
        assert fetch(w, url(o, "/?x")).status == 200
        assert len({r.target for r in o.requests}) == 2


def test_what_came_with_a_cookie_is_kept_only_where_its_lifetime_is_told(names):
    """A cookie does not pass, and a cache has to know of it all the same: such answers are made for one client."""
    fields = {"/told": ["Cache-Control: max-age=60"], "/old": ["Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT"],
              "/public": ["Cache-Control: public"], "/unset": []}
    with Origin(lambda r: answer("x", headers=["Set-Cookie: session=1", *fields[r.target]])) as o, \
            Weir("cache_store memory size=16M\nworkers 1\nlisten @listen@\nadmin @admin@\nresolver @names@\nsite * { cache 1h\n relay *.ok.test:* { "
                 + LOCAL + " } }", names=names.address) as w:
        for path in fields:
            for _ in range(3):
                r = fetch(w, url(o, path))
                assert r.status == 200 and r.get("Set-Cookie") is None
        asked = [r.target for r in o.requests]
        assert {path: asked.count(path) for path in fields} == {"/told": 1, "/old": 3, "/public": 3, "/unset": 3}


OVERRIDES = ["X-HTTP-Method-Override: DELETE", "x-http-method: DELETE", "X-Method-Override: PUT", "X-Original-Method: PUT",
             "X-Original-URL: /admin", "X-Rewrite-Url: /admin"]


def test_other_methods_and_urls_do_not_get_past_the_list(names, target):
    with relay(names) as w:
        assert fetch(w, url(target), OVERRIDES).status == 200
        with H2Raw(w.port, host="relay.test") as c:
            extra = [tuple(field.lower().split(": ")) for field in OVERRIDES]
            assert c.get("/" + url(target, "/two"), extra=extra)[0] == 200
    with relay(names, LOCAL + "\n pass X-HTTP-Method") as w:
        assert fetch(w, url(target), OVERRIDES).status == 200
    first, over_h2, passed = target.requests
    for field in OVERRIDES:
        name = field.split(":")[0]
        assert first.get(name) is None and over_h2.get(name) is None, name
        assert (passed.get(name) is None) == (name != "x-http-method"), name


@pytest.mark.parametrize("field", ["No-Vary-Search: params", 'No-Vary-Search: params=("url")', 'Use-As-Dictionary: match="/*"',
                                   'Speculation-Rules: "/rules"', "Origin-Trial: x", "Document-Isolation-Policy: none",
                                   "Integrity-Policy: blocked-destinations=(script)", "Activate-Storage-Access: load"])
def test_a_target_says_nothing_about_other_urls_of_the_relay(names, field):
    """With No-Vary-Search a browser would take one target's answer for that of every other: ?url= is all that differs."""
    with Origin(answer("x", headers=[field])) as o, relay(names) as w:
        r = fetch(w, url(o))
        assert r.status == 200 and r.get(field.split(":")[0]) is None


def test_names_are_asked_of_one_worker_at_most_128_at_once(names):
    names.silent.update(f"s{i}.ok.test" for i in range(140))
    with relay(names, site="timeout connect=3s") as w:
        clients = [w.client() for _ in range(140)]
        for i, c in enumerate(clients):
            c.send(f"GET /http://s{i}.ok.test/ HTTP/1.1\r\nHost: relay.test\r\n\r\n".encode())
        wait_until(lambda: w.metrics().get('weir_request_errors_total{error="relay_busy"}') == 12, 5, "twelve are too many")
        for c in clients:
            c.close()


def test_trailers_stay_where_they_are(names):
    """Some programs add them to the fields of the head, where they would not have been let through."""
    end = b"0\r\nX-Any: 1\r\nX-HTTP-Method: DELETE\r\nX-Api-Key: k\r\nAccess-Control-Allow-Origin: evil\r\nNo-Vary-Search: params\r\n\r\n"
    chunks = b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n" + end
    with Origin([b"HTTP/1.1 200 OK\r\n" + chunks]) as o, relay(names, LOCAL + "\n methods POST") as w, w.client() as c:
        c.send(f"POST /{url(o)} HTTP/1.1\r\nHost: relay.test\r\nTE: trailers\r\nConnection: te\r\n".encode() + chunks)
        assert c.take_until(b"1\r\na\r\n0\r\n").startswith(b"HTTP/1.1 200") and c.take(2) == b"\r\n"
        wait_until(lambda: o.requests and o.requests[0].body == b"a", 3, "the request")
        assert o.requests[0].trailers == []


def test_another_resolver_while_names_are_looked_up(names, target):
    """Whoever waits for the old one gets the answer of the new one, and who has left nothing."""
    names.silent.update(("a.ok.test", "b.ok.test"))
    text = ("workers 1\nlisten @listen@\nadmin @admin@\nresolver @names@\n"
            "site * { relay *.ok.test:* { " + LOCAL + " }\n timeout connect=10s half_close=100ms }\n")
    with Names(HOSTS) as other, Weir(text, names=names.address) as w:
        clients = [w.client(timeout=10) for _ in range(12)]
        for i, c in enumerate(clients):
            c.send(f"GET /{url(target, f'/{i}', host='ab'[i % 2] + '.ok.test')} HTTP/1.1\r\nHost: relay.test\r\n\r\n".encode())
        wait_until(lambda: names.count("b.ok.test") > 0 and w.metric("weir_relays_active") == 12, 5, "the questions")
        for c in clients[8:10]:
            c.close()
        w.reload(text, names=other.address)
        for c in clients[10:]:
            c.close()
        for i, c in enumerate(clients[:8]):
            assert c.response().text == f"GET /{i}"
            c.close()
        w.reload(text, names=names.address)  # and back: what the other one said is forgotten
        names.silent.clear()
        names.hosts["a.ok.test"] = "127.0.0.2"
        assert fetch(w, url(target)).status == 403
        wait_until(lambda: w.metric("weir_relays_active") == 0, 5, "all have ended")


def test_stale_answers_are_fetched_again_behind_a_clients_back(names):
    with Origin(lambda r: answer("x", headers=["Cache-Control: max-age=0, stale-while-revalidate=60", 'ETag: "1"'])) as o, \
            Weir("cache_store memory size=16M\nworkers 1\nlisten @listen@\nadmin @admin@\nresolver @names@\nsite * { cache\n relay *.ok.test:* { "
                 + LOCAL + "\n origins https://app.test } }", names=names.address) as w:
        for n in range(1, 4):
            r = fetch(w, url(o), ["Origin: https://app.test"])
            assert (r.status, r.text, r.all("Access-Control-Allow-Origin")) == (200, "x", ["https://app.test"])
            wait_until(lambda: len(o.requests) >= n, 5, "the answer")
            time.sleep(0.1)
        assert o.requests[-1].get("If-None-Match") == '"1"' and o.requests[-1].get("Origin") is None
        names.hosts["a.ok.test"] = "127.0.0.2"  # a name that leads elsewhere by now is judged anew
        time.sleep(1.1)
        count = len(o.requests)
        fetch(w, url(o), ["Origin: https://app.test"])
        wait_until(lambda: w.metric("weir_relay_refused_total") >= 1, 5, "the refusal")
        assert len(o.requests) == count
        wait_until(lambda: w.metric("weir_relays_active") == 0, 5, "all have ended")


def test_chromium_reads_a_relayed_answer(names, target, tmp_path):
    """A page of one origin reads what another one says, by way of the relay; what it relays runs nothing."""
    if not pathlib.Path("/usr/bin/chromium").exists():
        pytest.skip("no chromium")
    script = """<script>
      fetch('%s', {headers: {'X-Own': '1'}}).then(async r => {
        document.title = [r.status, await r.text(), r.headers.get('X-Final-Url')].join(' ') })
        .catch(e => { document.title = 'failed ' + e })</script>"""

    def page(r):
        if r.target == "/evil":
            return answer("<title>no</title><script>document.title='ran'</script>", headers=["Content-Type: text/html"])
        return answer(script % (where + url(target, "/read")), headers=["Content-Type: text/html"])
    with Origin(page) as o, relay(names) as w:
        where = w.url("/")
        assert f"<title>200 GET /read {url(target, '/read')}</title>" in dom(tmp_path / "a", f"http://{o.address}/page")
        assert target.requests[-1].get("X-Own") == "1"
        assert "<title>no</title>" in dom(tmp_path / "b", where + url(o, "/evil"))


def dom(home, address):
    home.mkdir()
    done = subprocess.run(["/usr/bin/chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000",
                           f"--user-data-dir={home}", "--dump-dom", address], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)
    return done.stdout


def test_many_at_once_of_which_some_leave(names):
    """In whatever state the clients leave, nothing stays behind."""
    names.silent.add("silent.ok.test")
    names.hosts["dead.ok.test"] = "127.0.0.1"
    with Origin(lambda r: [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x" * 50000, 0.3, b"x" * 50000]) as o, \
            Origin(lambda r: redirecting(url(o, "/end"))) as first, relay(names, site="timeout half_close=100ms") as w:
        paths = [url(first), url(o), "http://silent.ok.test/", "http://dead.ok.test:1/", url(o, scheme="https")]
        clients = []
        for i in range(60):
            c = w.client()
            c.send(f"GET /{paths[i % 5]} HTTP/1.1\r\nHost: relay.test\r\n\r\n".encode())
            clients.append(c)
            time.sleep(0.01)
            if i % 3 == 0:
                c.close()
        for i, c in enumerate(clients):
            if i % 3 == 1 and i % 5 in (0, 1):
                assert c.response().body == b"x" * 100000
            c.close()
        wait_until(lambda: w.metric("weir_relays_active") == 0, 5, "all have ended")
        wait_until(lambda: w.metric("weir_requests_active") <= 1, 5, "all have ended")


def own_address():
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("no address but loopback")
        return s.getsockname()[0]


def test_this_machine_is_not_among_a_network_that_is_let_in(names):
    ip = own_address()
    names.hosts["own.ok.test"] = ip
    with Origin(host=ip) as o:
        with relay(names, "private 0.0.0.0/0") as w:
            assert fetch(w, url(o, host="own.ok.test")).status == 403
            wait_until(lambda: ip + ": this machine" in w.stderr, 3, "the reason")
        with relay(names, "private " + ip) as w:
            assert fetch(w, url(o, host="own.ok.test")).status == 200
        assert len(o.requests) == 1


@pytest.mark.parametrize("options", ["", " header=X-Relay-Key query=key"])
def test_keys_of_a_file(names, target, tmp_path, options):
    """Each with a limit of its own, whatever its name; none goes to a target, nor into the log."""
    keys = {name: name + "-0123456789abcdef" for name in ("one", "two")}
    (tmp_path / "keys").write_text("".join(f"{name} {hashlib.sha256(key.encode()).hexdigest()}\n" for name, key in keys.items()))
    field = "X-Relay-Key" if options else "X-Api-Key"
    site = f"cors expose=*\n auth key {tmp_path}/keys{options}\n limit 3r/m burst=3 concurrent=5 by=$user"
    with relay(names, site=site) as w:
        r = preflight(w, "/" + url(target), headers=field.lower())
        assert r.status in (200, 204) and field.lower() in r.get("Access-Control-Allow-Headers").lower()

        def ask(*given):
            return fetch(w, url(target, "/?a=b"), ["Origin: https://page.test"] + [f"{field}: {k}" for k in given])
        assert [ask(keys["one"]).status for _ in range(4)] == [200, 200, 200, 429]
        r = ask(keys["two"])
        assert (r.status, r.get("Access-Control-Allow-Origin")) == (200, "*")
        for bad in [()], [("three",)], [("one",)], [(keys["two"], keys["two"])]:
            assert ask(*bad[0]).status == 401
        if options:
            path = "&key=" + keys["two"]
            assert w.get("/" + url(target, "/?a=b") + path, "relay.test").text == "GET /?a=b"
            assert w.get("/?url=" + quote(url(target, "/?a=b"), safe="") + path, "relay.test").text == "GET /?a=b"
            assert w.get("/" + url(target, "/x?key=" + keys["two"]), "relay.test").status == 429
        assert all(r.get(field) is None and r.target == "/?a=b" for r in target.requests)
        wait_until(lambda: len(w.log_lines()) >= 10, 3, "the log")
        assert "0123456789abcdef" not in "".join(w.log_lines())


@pytest.mark.parametrize("given,sent", [("?key=K", ""), ("?key=K&a=b", "?a=b"), ("?a=b&%6bey=K&c", "?a=b&c"), ("?a=b&key=K&", "?a=b&")])
def test_a_key_among_the_query_of_a_target(names, target, tmp_path, given, sent):
    key = "one-0123456789abcdef"
    (tmp_path / "keys").write_text(f"one {hashlib.sha256(key.encode()).hexdigest()}\n")
    with relay(names, site=f"auth key {tmp_path}/keys query=key") as w:
        r = w.get("/" + url(target, "/x" + given.replace("K", key)), "relay.test")
        assert r.text == "GET /x" + sent and key not in (r.get("X-Final-Url") or "")
        assert w.get("/" + url(target, "/x" + given.replace("K", key + "&key=" + key)), "relay.test").status == 401


def test_keys_in_a_field(names, target):
    with relay(names, site="cors expose=*\n auth require header.X-Api-Key in one two\n limit 2r/m burst=2 by=${header.X-Api-Key}") as w:
        r = preflight(w, "/" + url(target), headers="x-api-key")
        assert r.status in (200, 204) and r.get("Access-Control-Allow-Origin") == "*"
        assert "x-api-key" in r.get("Access-Control-Allow-Headers").lower()

        def ask(*keys):
            return fetch(w, url(target), ["Origin: https://page.test"] + ["X-Api-Key: " + k for k in keys])
        assert [ask("one").status for _ in range(3)] == [200, 200, 429]
        r = ask("two")
        assert (r.status, r.get("Access-Control-Allow-Origin"), r.get("Access-Control-Expose-Headers")) == (200, "*", "*")
        assert ask("three").status in (401, 403) and ask().status in (401, 403)
        assert all(r.get("X-Api-Key") is None for r in target.requests)
