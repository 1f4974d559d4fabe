# SPDX-License-Identifier: Apache-2.0
"""`cors`, `csrf` and `headers secure`: over HTTP/1.1 and HTTP/2, with the cache and other filters around
them, and what Chromium makes of it."""
import collections
import json

import pytest

from kit import ROOT, answer, wait_until, weir_cli
from kit.h2raw import H2Raw
from kit.tools import need, run
from peers import NodeApp

NODE = ROOT / "tests/node"
APP = "https://app.test"


def site(lines, more=""):
    return more + "site * {\n proxy @o@\n" + lines + "\n}\n"


def preflight(w, origin=APP, method="PUT", headers=(), path="/"):
    with w.client() as c:
        return c.get(path, method="OPTIONS", headers=[
            f"Origin: {origin}", f"Access-Control-Request-Method: {method}", *headers])


# ---------------------------------------------------------------- cors

def test_preflight_is_answered_at_the_edge(weir, origin):
    o = origin()
    w = weir(site(f"cors {APP}"), o=o)
    r = preflight(w, headers=["Access-Control-Request-Headers: content-type,x-a"])
    assert (r.status, r.body) == (204, b"")
    assert r.get("Access-Control-Allow-Origin") == APP
    assert r.get("Access-Control-Allow-Headers") == "content-type,x-a"
    assert "PUT" in r.get("Access-Control-Allow-Methods").split(", ")
    assert not o.requests
    assert preflight(w, "https://evil.test").status == 403 and not o.requests
    assert (w.metric("weir_cors_preflights_total"), w.metric("weir_cors_refused_total")) == (1, 1)
    assert w.metrics()['weir_request_errors_total{error="cors_refused"}'] == 1


def test_log_tells_what_was_said(weir, origin):
    w = weir('workers 1\nlisten @listen@\nadmin @admin@\n'
             'log access "$status $cors_status $csrf_status" to=@dir@/l.log\n' +
             site(f"cors {APP}\n csrf"), o=origin())
    preflight(w)
    preflight(w, "https://evil.test")
    for origin_ in APP, "https://evil.test":
        w.get(headers=[f"Origin: {origin_}"])
    w.get()
    with w.client() as c:
        c.post(headers=["Origin: https://evil.test"])
        c.post(headers=["Origin: http://a.test"])
    wait_until(lambda: len(w.log_lines("l.log")) == 7, 3, "log lines")
    assert [line.strip() for line in w.log_lines("l.log")] == [
        "204 preflight -", "403 refused -", "200 allowed -", "200 unknown -", "200 - -",
        "403 unknown refused", "200 unknown passed"]


@pytest.mark.parametrize("evil", [
    "https://app.test.evil.test", "https://evilapp.test", "https://app.test.", "https://APP.test",
    "http://app.test", "https://app.test:444", "https://app.test@evil.test", "null", APP + "/", "",
    f"{APP}, https://evil.test", f"{APP} https://evil.test", "https://app.test%00.evil.test",
    "https://app.test\t.evil.test"])
def test_other_origins_get_nothing(weir, origin, evil):
    o = origin(answer(headers=[f"Access-Control-Allow-Origin: {evil}",
                               "Access-Control-Allow-Credentials: true"]))
    w = weir(site(f"cors {APP} https://*.app.test credentials"), o=o)
    assert preflight(w, evil).status == 403
    r = w.get(headers=[f"Origin: {evil}"])
    assert r.status == 200 and r.all("Vary") == ["Origin"]
    assert not [n for n, _ in r.headers if n.lower().startswith("access-control")]
    assert preflight(w, f"{APP}\r\nOrigin: {evil}").status == 403


def test_http2(weir, origin):
    w = weir(site(f"cors {APP} credentials\n csrf {APP}"), o=origin())

    def h2(**kw):
        with H2Raw(w.port) as c:
            c.request(**kw)
            status = c.response()[0]
            return status, dict(next(f.headers for f in c.frames if f.headers))
    ask = ("access-control-request-method", "PUT")
    status, fields = h2(method="OPTIONS", extra=[("origin", APP), ask])
    assert status == 204 and fields["access-control-allow-origin"] == APP
    status, fields = h2(method="OPTIONS", extra=[("origin", "https://evil.test"), ask])
    assert status == 403 and "access-control-allow-origin" not in fields
    assert h2(method="OPTIONS", extra=[("origin", APP), ("origin", "https://evil.test"), ask])[0] == 403
    assert h2(method="POST", extra=[("origin", "https://evil.test")])[0] == 403
    assert h2(method="POST", extra=[("origin", APP)])[0] == 200
    assert h2(method="POST", extra=[("origin", "http://a.test")])[0] == 200
    assert h2(method="GET", path="/?_method=PUT", extra=[("sec-fetch-site", "cross-site")])[0] == 403


def test_stored_answers_are_shared(weir, origin):
    """The cache keeps one answer for all pages, and each gets its own fields."""
    o = origin(answer("hi", headers=["Cache-Control: max-age=60"]))
    w = weir(site(f"cache\n cors {APP} https://b.test", "cache_store memory size=16M\n"), o=o)
    for origin_ in None, APP, "https://b.test", "https://evil.test", None:
        r = w.get("/x", headers=[f"Origin: {origin_}"] if origin_ else [])
        named = origin_ in (APP, "https://b.test")
        assert r.all("Access-Control-Allow-Origin") == ([origin_] if named else [])
        assert r.all("Vary") == ["Origin"]
    assert len(o.requests) == 1


def test_public_answers_are_the_same_for_all(weir, origin):
    o = origin(answer("hi", headers=["Cache-Control: max-age=60", "ETag: \"1\""]))
    w = weir(site("cache\n cors", "cache_store memory size=16M\n"), o=o)
    for headers in [], ["Origin: https://b.test"], ['If-None-Match: "1"']:
        r = w.get("/x", headers=headers)
        assert r.all("Access-Control-Allow-Origin") == ["*"] and not r.all("Vary")
    assert r.status == 304 and len(o.requests) == 1


def test_limits_do_not_hide_the_answer_from_the_page(weir, origin):
    w = weir(site(f"cors {APP}\n limit 1r/h burst=1"), o=origin())
    statuses = []
    for _ in range(2):
        r = w.get(headers=[f"Origin: {APP}"])
        statuses.append((r.status, r.get("Access-Control-Allow-Origin")))
    assert statuses == [(200, APP), (429, APP)]
    assert preflight(w).status == 204


def test_preflights_come_before_logins(weir, origin):
    """They have no credentials; who is refused afterwards is told so in a way that the page can read."""
    o = origin()
    w = weir(site(f"cors {APP} credentials\n auth {{ require ip in 10.0.0.0/8 }}"), o=o)
    assert preflight(w).status == 204
    assert preflight(w, "https://evil.test").status == 403
    r = w.get(headers=[f"Origin: {APP}"])
    assert r.status in (401, 403) and r.get("Access-Control-Allow-Origin") == APP
    assert w.get(method="OPTIONS", headers=[f"Origin: {APP}"]).status in (401, 403)  # no preflight
    assert not o.requests


def test_override_does_not_make_a_preflight(weir, origin):
    o = origin()
    w = weir(site(f"cors {APP}"), o=o)
    w.get(headers=["X-HTTP-Method-Override: OPTIONS", f"Origin: {APP}",
                   "Access-Control-Request-Method: PUT"])
    assert [r.method for r in o.requests] == ["GET"]


@pytest.mark.parametrize("line", [
    "cors * credentials", "cors credentials", "cors null credentials", "cors https://*.com credentials",
    "cors app.test", "cors https://app.test/path", "csrf *", "headers secure frame=none", "headers safe"])
def test_mistakes(tmp_path, line):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"site * {{\n respond 200 x\n {line}\n}}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and "weir.conf:3" in done.stderr, done.stderr


def test_explain(tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"site * {{\n respond 200 x\n cors {APP} credentials\n csrf\n headers secure\n}}\n")
    done = weir_cli("explain", "http://a.test/", "-c", conf)
    for words in (f"cors       {APP}, with credentials", "csrf       changes from pages of this site only",
                  "headers    secure: nosniff on, frame same"):
        assert words in done.stdout, done.stdout
    done = weir_cli("explain", "http://a.test/", "-c", conf, "--method", "POST", "--header",
                    "Origin: https://evil.test")
    assert "another site" in done.stdout, done.stdout


# ---------------------------------------------------------------- csrf

def test_changes_of_other_sites_do_not_reach_the_server(weir, origin):
    o = origin()
    w = weir(site("csrf"), o=o)
    cookie = "Cookie: sid=1"
    with w.client() as c:
        for headers in (["Origin: https://evil.test"], ["Sec-Fetch-Site: cross-site"], [],
                        ["Origin: http://a.test", "Origin: https://evil.test"], ["Origin: null"],
                        ["Referer: https://evil.test/?http://a.test/"]):
            assert c.post(headers=[cookie, *headers]).status == 403
        assert not o.requests
        for headers in (["Origin: http://a.test"], ["Sec-Fetch-Site: same-origin"],
                        ["Referer: http://a.test/x"]):
            assert c.post(headers=[cookie, *headers]).status == 200
    assert w.get(method="DELETE").status == 200  # a program
    assert w.metric("weir_csrf_refused_total") == 6
    assert len(o.requests) == 4


@pytest.mark.parametrize("host,page,status", [
    ("a.test", "http://a.test", 200), ("A.test.", "http://a.test", 200), ("a.test.", "http://a.test.", 200),
    ("a.test:80", "http://a.test", 200), ("a.test:8080", "http://a.test:8080", 200),
    ("a.test:8080", "http://a.test", 403), ("a.test", "http://a.test:8080", 403),
    ("a.test", "https://a.test", 403), ("[::1]:81", "http://[::1]:81", 200), ("[::1]:81", "http://[::2]:81", 403)])
def test_hosts_and_ports(weir, origin, host, page, status):
    w = weir(site("csrf"), o=origin())
    with w.client() as c:
        assert c.post(host=host, headers=[f"Origin: {page}"]).status == status


@pytest.mark.parametrize("headers,trusted,status", [
    (["X-Forwarded-Proto: https"], True, 200), (["X-Forwarded-Proto: https"], False, 403), ([], True, 403)])
def test_only_trusted_proxies_tell_the_scheme(weir, origin, headers, trusted, status):
    w = weir(site("csrf", "trust 127.0.0.0/8\n" if trusted else ""), o=origin())
    with w.client() as c:
        assert c.post(headers=["Origin: https://a.test", *headers]).status == status


def test_nobody_else_tells_the_host(weir, origin):
    w = weir(site("csrf"), o=origin())
    with w.client() as c:
        for name in "X-Forwarded-Host: evil.test", "Forwarded: host=evil.test", "X-Host: evil.test":
            assert c.post(headers=["Origin: http://evil.test", name]).status == 403


# ---------------------------------------------------------------- headers

def test_secure_headers_and_hsts(weir, origin):
    o = origin(answer(headers=["Server: x", "X-Powered-By: PHP/5", "X-Frame-Options: DENY"]))
    w = weir(site("headers secure\n hsts", "trust 127.0.0.0/8\n"), o=o)
    r = w.get(headers=["X-Forwarded-Proto: https"])
    assert r.get("Strict-Transport-Security") and not r.get("Server") and not r.get("X-Powered-By")
    assert r.all("X-Frame-Options") == ["DENY"] and r.get("X-Content-Type-Options") == "nosniff"
    assert not w.get().get("Strict-Transport-Security")


def test_stored_answers_get_them_once(weir, origin):
    o = origin(answer("hi", headers=["Cache-Control: max-age=60", "Content-Security-Policy: img-src *"]))
    w = weir(site("cache\n headers secure", "cache_store memory size=16M\n"), o=o)
    for _ in range(3):
        assert w.get("/x").all("Content-Security-Policy") == ["img-src *", "frame-ancestors 'self'"]
    assert len(o.requests) == 1


# ---------------------------------------------------------------- Chromium

CHROMIUM = """workers 1
listen @listen@ TLS
admin @admin@
log access json to=@dir@/access.log
site page.localhost evil.localhost { respond 200 "<p>page" type=text/html }
site api.localhost {
    cors SCHEME://page.localhost:* credentials expose=X-Total
    csrf SCHEME://page.localhost:*
    respond 200 $method
    response set X-Total 7
    route = /ws { proxy @n@ }
}
"""


@pytest.mark.seconds(180)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_chromium(weir, scheme):
    """A page of a named origin and one of another; HTTPS is HTTP/2 there."""
    if not (NODE / "node_modules/playwright-core").exists():
        pytest.skip("npm package playwright-core is not installed (tools/setup test)")
    need("/usr/bin/chromium")
    node = NodeApp()
    try:
        tls = "tls" if scheme == "https" else ""
        w = weir(CHROMIUM.replace("SCHEME", scheme).replace("TLS", tls), n=node)
        api, page, evil = (f"{scheme}://{name}.localhost:{w.port}" for name in ("api", "page", "evil"))
        done = run("node", NODE / "cross-origin.js", api, page, evil, seconds=150)
        assert done.returncode == 0, done.stderr
        page, evil = json.loads(done.stdout)
        http = "h2" if scheme == "https" else "http/1.1"
        read = {"type": "cors", "status": 200, "total": "7"}
        assert page == {"protocol": http, "get": {**read, "body": "GET"}, "put": {**read, "body": "PUT"},
                        "propfind": {"error": "TypeError"}, "form": page["form"],
                        "override": page["override"], "socket": "echo: hi"}
        refused = {"error": "TypeError"}
        assert evil == {"protocol": http, "get": refused, "put": refused, "propfind": refused,
                        "form": evil["form"], "override": evil["override"], "socket": "refused"}
        log = [(a["method"], a["path"], a["status"], a["proto"]) for a in w.access()
               if a["host"] == "api.localhost"]
        version = "HTTP/2.0" if scheme == "https" else "HTTP/1.1"
        assert {proto for *_, proto in log} == {version}
        counts = collections.Counter(line[:3] for line in log)
        for want, count in {
                ("OPTIONS", "/put", 204): 1, ("PUT", "/put", 200): 1, ("OPTIONS", "/put", 403): 1,
                ("OPTIONS", "/propfind", 403): 2, ("POST", "/form", 200): 1, ("POST", "/form", 403): 1,
                ("GET", "/override", 200): 1, ("GET", "/override", 403): 1,
                ("GET", "/ws", 101): 1, ("GET", "/ws", 403): 1}.items():
            assert counts[want] == count, (want, log)
        assert not [line for line in log if line[0] == "PROPFIND"]
    finally:
        node.close()
