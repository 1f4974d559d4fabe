# SPDX-License-Identifier: Apache-2.0
"""Sites, routes, conditions, edits, rewrites, redirects, local answers and error pages."""
import json
import time

import pytest

from kit import CLOSE, answer, chunked, free_port, sanitized

TABLE = """
site a.test www.a.test {
    respond 200 site
    route = /exact { respond 200 exact }
    route ~ '\\.php$' { respond 200 php }
    route ~ "^/exact" { respond 200 pattern }
    route /p/ { respond 200 p }
    route /p/q/ { respond 200 pq }
    route /bare { respond 200 bare }
    route /enc/ { respond 200 enc }
}
site *.wild.test { respond 200 wild }
site x.wild.test { respond 200 own }
site * { respond 200 default }
"""


@pytest.mark.parametrize("host,path,want", [
    ("a.test", "/", "site"), ("www.a.test", "/", "site"), ("A.TEST", "/", "site"),
    ("a.test:99", "/", "site"), ("a.test.", "/", "site"),
    ("a.test", "/exact", "exact"), ("a.test", "/exact?q", "exact"), ("a.test", "/exact/", "pattern"),
    ("a.test", "/exacter", "pattern"), ("a.test", "/p/x.php", "php"),
    ("a.test", "/p/", "p"), ("a.test", "/p/x", "p"), ("a.test", "/p/q/x", "pq"),
    ("a.test", "/p/qq", "p"), ("a.test", "/px", "site"),
    ("a.test", "/bare", "bare"), ("a.test", "/bare/x", "bare"), ("a.test", "/barex", "site"),
    ("a.test", "/%70/x", "p"), ("a.test", "/x/../p/q/y", "pq"), ("a.test", "/p%2Fq/x", "site"),
    ("a.test", "/P/", "site"),
    ("a.test", "//exact", "exact"), ("a.test", "//p//q/x", "pq"), ("a.test", "/p//..//p/q//x", "p"),
    ("y.wild.test", "/", "wild"), ("a.b.wild.test", "/", "wild"), ("x.wild.test", "/", "own"),
    ("wild.test", "/", "default"), ("other.test", "/p/", "default"),
])
def test_lookup(table, host, path, want):
    assert table.get(path, host).text == want


@pytest.fixture(scope="module")
def table():
    from kit import Weir
    with Weir(TABLE) as w:
        yield w


def test_unknown_host_gets_421_with_a_reason(weir):
    r = weir("site a.test { respond 200 }\n").get(host="b.test")
    assert r.status == 421
    assert "no site" in r.text


def test_no_route_and_no_proxy_is_404(weir):
    w = weir("site * { route /x/ { respond 200 } }\n")
    assert w.get("/y").status == 404
    assert w.last_access()["error"] == "no_route"


def test_strip(weir, origin):
    o = origin()
    w = weir("site * { route /api/ strip { proxy @o@ }\nroute /v1 strip { proxy @o@ } }\n", o=o)
    for path in ("/api/x?y=/api/", "/api/", "/api/%2Fx", "/v1", "/v1/x"):
        assert w.get(path).status == 200
    assert [r.target for r in o.requests] == ["/x?y=/api/", "/", "/%2Fx", "/", "/x"]


def test_rewrite(weir, origin):
    o = origin()
    w = weir("site * { proxy @o@\n"
             "route /old/ { rewrite ~ \"^/old/(.*)$\" /new/$1 }\n"
             "route = /q { rewrite /p?a=b }\n"
             "route /host/ { rewrite /$host$path } }\n", o=o)
    for path in ("/old/a/b?x=1", "/q", "/host/x", "/plain"):
        assert w.get(path).status == 200
    assert [r.target for r in o.requests] == ["/new/a/b?x=1", "/p?a=b", "/a.test/host/x", "/plain"]


def test_redirect(weir):
    w = weir("site * { redirect 301 https://$host$uri\n"
             "route /temp { redirect /there }\nroute /keep { redirect 308 /k?$query } }\n")
    r = w.get("/a?b=c")
    assert (r.status, r.get("Location")) == (301, "https://a.test/a?b=c")
    r = w.get("/temp")
    assert (r.status, r.get("Location")) == (302, "/there")
    r = w.get("/keep?x=1")
    assert (r.status, r.get("Location")) == (308, "/k?x=1")


def test_respond(weir):
    w = weir("site * { respond 200 \"hi $client_ip ${header.X-Name}\"\n"
             "route /json { respond 418 '{\"a\":1}' type=application/json }\n"
             "route /none { respond 204 } }\n")
    assert w.get(headers=["X-Name: you"]).text == "hi 127.0.0.1 you"
    r = w.get("/json")
    assert (r.status, r.get("Content-Type"), r.text) == (418, "application/json", '{"a":1}')
    r = w.get("/none")
    assert (r.status, r.body, r.get("Content-Length")) == (204, b"", None)


WHEN = """
trust 127.0.0.1
site * {
    respond 200 none
    when method == POST { respond 200 post }
    when method in PUT PATCH { respond 200 put }
    when path ~ "^/up" { respond 200 up }
    when header.X-A == 1 and not query.skip == yes { respond 200 a }
    when cookie.beta { respond 200 beta }
    when ip in 10.0.0.0/8 192.168.1.1 { respond 200 inner }
    when host == other.test { respond 200 host }
    when (query.x == 1 or query.y == 1) and path != /not { respond 200 or }
    when header.User-Agent !~ "." and path == /noagent { respond 200 noagent }
    when scheme == https { respond 200 https }
    when proto == HTTP/1.0 { respond 200 old }
}
"""


@pytest.mark.parametrize("path,kw,want", [
    ("/", {}, "none"), ("/", {"method": "POST"}, "post"), ("/", {"method": "PATCH"}, "put"),
    ("/upload", {}, "up"), ("/", {"headers": ["X-A: 1"]}, "a"),
    ("/?skip=yes", {"headers": ["X-A: 1"]}, "none"), ("/", {"headers": ["X-A: 2"]}, "none"),
    ("/", {"headers": ["Cookie: a=b; beta=1"]}, "beta"),
    ("/", {"headers": ["X-Forwarded-For: 10.1.2.3"]}, "inner"),
    ("/", {"headers": ["X-Forwarded-For: 192.168.1.1"]}, "inner"),
    ("/", {"headers": ["X-Forwarded-For: 192.168.1.2"]}, "none"),
    ("/", {"host": "other.test"}, "host"), ("/?x=1", {}, "or"), ("/?a&y=1", {}, "or"),
    ("/not?x=1", {}, "none"), ("/noagent", {}, "noagent"),
    ("/", {"headers": ["X-Forwarded-Proto: https"]}, "https"),
])
def test_when(conditions, path, kw, want):
    with conditions.client() as c:
        assert c.get(path, **kw).text == want


def test_when_http_10(conditions):
    with conditions.client() as c:
        c.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert c.response().text == "old"


@pytest.fixture(scope="module")
def conditions():
    from kit import Weir
    with Weir(WHEN) as w:
        yield w


def test_several_whens_add_up(weir, origin):
    o = origin()
    w = weir("site * { proxy @o@\nwhen query.a { request set X-A yes }\n"
             "when query.b { request set X-B yes } }\n", o=o)
    w.get("/?a&b")
    w.get("/?b")
    assert [(r.get("X-A"), r.get("X-B")) for r in o.requests] == [("yes", "yes"), (None, "yes")]


def test_request_edits(weir, origin):
    o = origin()
    w = weir("site * { proxy @o@\nrequest set X-Tenant acme\nrequest set X-Ip $client_ip\n"
             "request add X-Tag two\nrequest del X-Secret\nrequest default X-Def d\n"
             "route /r/ { request set X-Tenant other } }\n", o=o)
    w.get(headers=["X-Tenant: evil", "X-Tag: one", "X-Secret: s", "X-Def: mine"])
    w.get("/r/")
    first, second = o.requests
    assert first.all("X-Tenant") == ["acme"]
    assert first.get("X-Ip") == "127.0.0.1"
    assert first.all("X-Tag") == ["one", "two"]
    assert first.get("X-Secret") is None and first.get("X-Def") == "mine"
    assert second.all("X-Tenant") == ["other"] and second.get("X-Def") == "d"
    assert second.all("X-Tag") == ["two"], "what the site sets is inherited"


def test_response_edits_on_every_kind_of_answer(weir, origin):
    o = origin(answer("x", headers=["X-Powered-By: php", "X-Keep: 1"]))
    w = weir("site * { proxy @o@\nresponse del X-Powered-By\nresponse set X-Frame deny\n"
             "route /local { respond 200 }\nroute /dead { proxy 127.0.0.1:@d@ } }\n",
             o=o, d=free_port())
    r = w.get()
    assert (r.get("X-Powered-By"), r.get("X-Keep"), r.get("X-Frame")) == (None, "1", "deny")
    assert w.get("/local").get("X-Frame") == "deny"
    dead = w.get("/dead")
    assert (dead.status, dead.get("X-Frame")) == (502, "deny")


def test_no_takes_inherited_policies_back(weir, origin):
    o = origin()
    w = weir("site * { proxy @o@\nrequest set X-A 1\nroute /plain/ { no request } }\n", o=o)
    w.get("/")
    w.get("/plain/")
    assert [r.get("X-A") for r in o.requests] == ["1", None]


def test_host_header_can_be_set(weir, origin):
    o = origin()
    weir("site * { proxy @o@; request set Host app.internal }\n", o=o).get()
    assert o.requests[0].all("Host") == ["app.internal"]


# --------------------------------------------------------------------- error pages

@pytest.mark.parametrize("accept,kind", [
    ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
    ("application/json", "application/json"), ("*/*", "text/plain"), (None, "text/plain"),
    ("application/json;q=0.2, text/html;q=0.9", "text/html"), ("image/png", "text/plain"),
])
def test_error_page_by_accept(weir, accept, kind):
    w = weir("site * { proxy 127.0.0.1:@d@ }\n", d=free_port())
    r = w.get(headers=[f"Accept: {accept}"] if accept else [])
    assert r.status == 502
    assert r.get("Content-Type").startswith(kind)
    assert r.get("Cache-Control") == "no-store"
    if kind == "application/json":
        assert json.loads(r.body)["status"] == 502
    if kind == "text/html":
        assert r.text.startswith("<!doctype html>")


def test_own_error_pages(weir, origin):
    o = origin(lambda r: answer("from origin", f"{r.target[1:]} X"))
    w = weir("site * { proxy @o@\nerror 404 /@dir@/404.html\nerror 5xx \"sorry ($status)\" }\n"
             .replace("/@dir@", "@dir@"), wait=False, o=o)
    w.process.wait(5)  # the page is not there yet: a clear error
    assert "404.html" in w.stderr
    w.finish()


def test_own_error_pages_replace_weirs_and_the_origins(weir, origin, tmp_path):
    page = tmp_path / "404.html"
    page.write_text("<h1>nothing here</h1>")
    o = origin(lambda r: answer("from origin", f"{r.target[1:]} X", ["Retry-After: 7"]))
    w = weir("site * { proxy @o@\nerror 404 @page@\nerror 5xx \"sorry ($status)\"\n"
             "route /dead { proxy 127.0.0.1:@d@ } }\n", o=o, page=page, d=free_port())
    r = w.get("/404")
    assert (r.status, r.text) == (404, "<h1>nothing here</h1>")
    assert r.get("Content-Type").startswith("text/html")
    r = w.get("/503")
    assert (r.status, r.text, r.get("Retry-After")) == (503, "sorry (503)", "7")
    assert w.get("/dead").text == "sorry (502)"
    assert w.get("/403").text == "from origin"


def test_errors_do_not_reflect_the_request_unescaped(weir):
    w = weir("site a.test { respond 200 }\n")
    r = w.get("/?<script>alert(1)</script>".replace("<", "%3C"), "b.test",
              ["Accept: text/html", "User-Agent: <script>"])
    assert "<script>" not in r.text


def test_site_with_a_listener_of_its_own(weir):
    port = free_port()
    w = weir("listen @listen@\nadmin off\nlog access off\nsite a.test { respond 200 top }\n"
             "site own.test { listen 127.0.0.1:@p@; respond 200 own }\n", p=port)
    from kit import get
    assert w.get().text == "top"
    assert get(port, host="own.test").text == "own"
    assert get(port, host="a.test").status == 421
    assert w.get(host="own.test").status == 421


def test_define_use_env_and_file(weir, origin):
    o = origin()
    w = weir("define tagged NAME { request set X-Tag ${NAME}; request set X-Env ${env.WEIR_TEST} }\n"
             "site * { proxy @o@; use tagged blue }\n", o=o, env={"WEIR_TEST": "from-env"})
    w.get()
    assert (o.requests[0].get("X-Tag"), o.requests[0].get("X-Env")) == ("blue", "from-env")


def test_include(weir, tmp_path):
    (tmp_path / "b.conf").write_text("site b.test { respond 200 b }\n")
    (tmp_path / "a.conf").write_text("site a.test { respond 200 a }\n")
    w = weir("include @d@/*.conf\ninclude @d@/*.none\n", d=tmp_path)
    assert (w.get(host="a.test").text, w.get(host="b.test").text) == ("a", "b")


@pytest.mark.seconds(90)
def test_ten_thousand_sites(weir):
    """Loading takes under 2 s, and a request does not get slower."""
    sites = "".join(f"site s{i}.test {{ respond 200 s{i}\n" +
                    "".join(f"route /r{j}/ {{ respond 200 s{i}r{j} }}\n" for j in range(10)) + "}\n"
                    for i in range(10_000))
    began = time.monotonic()
    w = weir(sites)
    loaded = time.monotonic() - began
    with w.client() as c:
        assert c.get("/r7/x", "s9999.test").text == "s9999r7"
        assert c.get("/", "s0.test").text == "s0"
        began = time.monotonic()
        for i in range(500):
            assert c.get("/r3/x", f"s{i * 20}.test").text == f"s{i * 20}r3"
        per_request = (time.monotonic() - began) / 500
    assert per_request < 0.005
    assert loaded < (40 if sanitized() else 4), "2 s on an idle machine"


def test_chunked_page_passes_filters(weir, origin):
    w = weir("site * { proxy @o@; response set X-A b }\n", o=origin(chunked(b"one", b"two")))
    r = w.get()
    assert (r.body, r.get("X-A")) == (b"onetwo", "b")


def test_fallback_route_of_a_dead_server_keeps_the_method(weir, origin):
    o = origin(CLOSE)
    w = weir("site * { proxy @o@; retry off }\n", o=o)
    with w.client() as c:
        r = c.get(method="HEAD")
        assert (r.status, r.body) == (502, b"")
        assert c.quiet(0.1), "no body behind a HEAD answer"
