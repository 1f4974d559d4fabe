# SPDX-License-Identifier: Apache-2.0
"""`auth forward`: a service says who may pass, here a scripted one that answers as Authelia and oauth2-proxy do."""
import socket
import time

import pytest

from kit import CLOSE, answer, wait_until, weir_cli
from kit.h2raw import H2Raw
from kit.tokens import secret

LOGIN = answer("go and log in", "302 Found", ["Location: https://login.test/?rd=x", "Set-Cookie: state=1; Path=/",
                                              "Content-Type: text/plain", "Connection: X-Hop", "X-Hop: 1"])


def service(request):
    """Lets in who has the session's cookie."""
    if "session=good" in ";".join(request.all("cookie")):
        return answer("", "200 OK", ["Remote-User: alice", "Remote-Groups: dev,ops", "Set-Cookie: session=renewed",
                                     "X-Secret: not yours"])
    return LOGIN


@pytest.fixture
def guarded(weir, origin):
    def make(script=service, options="", block="copy Remote-User Remote-Groups", extra=""):
        auth, app = origin(script), origin()
        w = weir(f"""trust 127.0.0.2
        site * {{ proxy {app.address}
            auth {{ forward {auth.address}/verify?x=1 {options} {{ {block} }}
                {extra} }} }}""")
        w.auth, w.app = auth, app
        return w
    return make


GOOD = "Cookie: a=b; session=good"


def test_who_may_pass(guarded):
    w = guarded()
    r = w.get("/page?q=1", headers=[GOOD])
    assert r.status == 200 and r.all("Set-Cookie") == ["session=renewed"] and r.get("X-Secret") is None
    seen = w.app.requests[-1]
    assert (seen.all("Remote-User"), seen.all("Remote-Groups")) == (["alice"], ["dev,ops"])
    assert seen.get("X-Secret") is None and seen.target == "/page?q=1"
    assert w.metric("weir_auth_granted_total") == 1


def test_who_may_not_gets_what_the_service_says(guarded):
    w = guarded()
    r = w.get("/page")
    assert (r.status, r.text, r.get("Location")) == (302, "go and log in", "https://login.test/?rd=x")
    assert r.all("Set-Cookie") == ["state=1; Path=/"] and r.all("Content-Type") == ["text/plain"]
    assert r.get("X-Hop") is None and len(r.all("Content-Length")) == 1
    assert not w.app.requests
    assert w.metric("weir_auth_refused_total") == 1


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found", "307 Temporary Redirect"])
def test_other_answers(guarded, status):
    w = guarded(answer("no", status, ["WWW-Authenticate: Basic realm=x"]))
    r = w.get(headers=[GOOD])
    assert (r.status, r.text, r.all("WWW-Authenticate")) == (int(status[:3]), "no", ["Basic realm=x"])
    assert not w.app.requests


def test_what_the_service_is_told(guarded):
    w = guarded()
    with w.client() as c:
        c.post("/a/../in/%6eame?q=1&r=2", b"body", headers=[GOOD, "Authorization: Bearer x", "Content-Type: text/x",
               "If-None-Match: x", "Accept: text/html", "Range: bytes=0-1", "Connection: X-Mine", "X-Mine: 1"])
    seen = w.auth.requests[-1]
    assert (seen.method, seen.target, seen.body) == ("GET", "/verify?x=1", b"")
    assert seen.get("Host") == w.auth.address
    told = {n: seen.all(n) for n in ("X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri",
                                     "X-Forwarded-For", "X-Original-Method", "X-Original-URL")}
    assert told == {"X-Forwarded-Method": ["POST"], "X-Forwarded-Proto": ["http"], "X-Forwarded-Host": ["a.test"],
                    "X-Forwarded-Uri": ["/in/name?q=1&r=2"], "X-Forwarded-For": ["127.0.0.1"],
                    "X-Original-Method": ["POST"], "X-Original-URL": ["http://a.test/in/name?q=1&r=2"]}
    assert seen.get("Authorization") == "Bearer x" and seen.get("Accept") == "text/html"
    assert not [n for n in ("Content-Type", "If-None-Match", "Range", "X-Mine") if seen.get(n)]
    assert w.app.requests[-1].body == b"body"


@pytest.mark.parametrize("name", ["X-Forwarded-Uri", "x_forwarded_uri", "X-Forwarded-Method", "X-FORWARDED-FOR", "X_Forwarded_Host",
                                  "X-Original-URL", "x_original_url", "Forwarded", "X-Real-IP", "X-HTTP-Method-Override", "X-Rewrite-Url"])
def test_clients_do_not_speak_for_weir(guarded, name):
    w = guarded()
    w.get("/closed", headers=[GOOD, f"{name}: forged"])
    assert "forged" not in str(w.auth.requests[-1].headers)


@pytest.mark.parametrize("name", ["Remote-User", "remote_user", "REMOTE-GROUPS", "Remote_Groups"])
def test_clients_do_not_say_who_they_are(guarded, name):
    w = guarded(answer("", "200 OK"))
    w.get(headers=[f"{name}: root"])
    assert "root" not in str(w.auth.requests[-1].headers) + str(w.app.requests[-1].headers)


def test_user_and_claims(guarded):
    w = guarded(extra='require claim.remote-groups == ops; header X-Who "$user by $auth"')
    assert w.get(headers=[GOOD]).status == 200
    assert w.app.requests[-1].get("X-Who") == "alice by forward"
    w = guarded(extra="require claim.remote-groups == admin")
    assert w.get(headers=[GOOD]).status == 403


def test_user_header(guarded):
    w = guarded(answer("", "202 Accepted", ["Remote-User: a", "X-Me: bob"]), "user_header=X-Me", extra="header X-Who $user")
    assert w.get().status == 200 and w.app.requests[-1].get("X-Who") == "bob"
    w = guarded(answer("", "200 OK", ["X-Auth-Request-User: carol"]), block="", extra="header X-Who $user")
    assert w.get().status == 200 and w.app.requests[-1].get("X-Who") == "carol"
    w = guarded(answer("", "200 OK", ["Remote-User: a", "Remote-User: b"]), block="", extra="header X-Who $user")
    assert w.get().status == 200 and w.app.requests[-1].get("X-Who") is None


@pytest.mark.parametrize("script", [answer("", "500 Oops"), answer("", "503 Away"), [CLOSE], b"nonsense\r\n\r\n",
                                    answer("x" * 70000, "403 Forbidden"), [2.0, answer()]])
def test_a_service_that_is_down_lets_nobody_in(guarded, script):
    w = guarded(script, "timeout=500ms")
    r = w.get(headers=[GOOD])
    assert r.status == 503 and not w.app.requests
    assert w.metric("weir_auth_failed_total") == 1


def test_bodies_up_to_the_limit(guarded):
    w = guarded(answer("x" * 65536, "403 Forbidden"))
    assert len(w.get().body) == 65536
    with w.client() as c:
        assert c.get(method="HEAD").status == 403


def test_nobody_listens(weir, origin):
    app = origin()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        w = weir(f"site * {{ proxy {app.address}\n auth forward 127.0.0.1:{s.getsockname()[1]} }}")
        assert w.get().status == 503 and not app.requests


def test_clients_that_leave_meanwhile(guarded):
    w = guarded([1.5, answer()], "timeout=5s")
    for _ in range(3):
        with w.client() as c:
            c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until(lambda: len(w.auth.requests) > 0, 3, "the question")
    time.sleep(0.2)
    assert w.get().status == 200


def test_http2(guarded):
    w = guarded()
    with H2Raw(w.port) as c:
        assert c.get("/")[0] == 302
        assert c.get("/", 3, extra=[("cookie", "a=b"), ("cookie", "session=good")])[0] == 200
        assert c.get("/", 5, extra=[("x-forwarded-uri", "/forged")])[0] == 302
    assert "forged" not in str(w.auth.requests[-1].headers)


def test_other_ways_in(weir, origin):
    auth, app = origin(service), origin()
    w = weir(f"""site * {{ proxy {app.address}
        auth any {{ require header.X-Door == open; forward {auth.address} }} }}""")
    assert w.get(headers=["X-Door: open"]).status == 200 and not auth.requests
    assert w.get().status == 302
    assert w.get(headers=[GOOD]).status == 200


def test_by_upstream_and_in_tests(weir, origin, tmp_path):
    auth, app = origin(service), origin()
    w = weir(f"""upstream login {{ server {auth.address} }}
    site * {{ proxy {app.address}
        auth forward login/api/verify
        test "closed" {{
            GET /
            expect status 403
        }} }}""")
    assert w.get(headers=[GOOD]).status == 200 and auth.requests[-1].target == "/api/verify"
    assert "forward login/api/verify" in weir_cli("explain", "http://a/", "-c", w.config).stdout


@pytest.mark.parametrize("line,says", [
    ("forward 10.0.0.9 { copy Content-Length }", "can be copied"), ("forward 10.0.0.9 { copy 'a b' }", "can be copied"),
    ("forward 10.0.0.9 timeout=0s", "timeout"), ("forward", "forward"), ("forward 10.0.0.9 user_header='a b'", "header's name")])
def test_mistakes(tmp_path, line, says):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"site * {{\n respond 200 ok\n auth {line}\n}}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode == 3 and says in done.stderr


def test_cookies_are_kept_by_no_cache(weir, origin):
    app = origin(answer("x", headers=["Cache-Control: public, max-age=60"]))
    w = weir(f"site * {{ proxy {app.address}\n auth forward {origin(service).address} }}")
    r = w.get(headers=[GOOD])
    assert r.all("Set-Cookie") == ["session=renewed"] and "private" in ",".join(r.all("Cache-Control"))


def test_servers_hear_nothing_of_a_branch_that_failed(weir, origin):
    app, token = origin(), secret("a-secret-of-more-than-thirty-two-bytes").token()
    w = weir(f"""site * {{ proxy {app.address}
        auth {{
            any {{
                all {{ forward {origin(service).address} {{ copy Remote-User Remote-Groups }}
                       require claim.remote-groups == admin }}
                jwt secret=a-secret-of-more-than-thirty-two-bytes }}
            header X-Who $user }} }}""")
    assert w.get(headers=[GOOD, f"Authorization: Bearer {token}"]).status == 200
    seen = app.requests[-1]
    assert seen.get("X-Who") == "ann" and not seen.get("Remote-User") and not seen.get("Remote-Groups")
