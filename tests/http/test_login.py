# SPDX-License-Identifier: Apache-2.0
"""`auth oidc` with a real provider (npm's oidc-provider): people log in, come back, stay, and leave."""
import hashlib
import html
import http.cookiejar
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from kit.tools import ROOT, die_with_parent, free_port, need, stop, wait_until

NODE = ROOT / "tests/node"
if not (NODE / "node_modules/oidc-provider").exists():
    pytest.skip("npm's oidc-provider is not there: tools/setup test", allow_module_level=True)


class Provider:
    def __init__(self, weir_port, ttl=3600):
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        home = f"http://127.0.0.1:{weir_port}"
        self.process = subprocess.Popen(
            [need("node"), str(NODE / "oidc-provider.js"), str(self.port), home + "/.weir/login", home + "/", str(ttl)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        assert self.process.stdout.readline() == b"ready\n"

    def stop(self):
        if self.process:
            stop(self.process)
            self.process.stdout.close()
        self.process = None


class Browser:
    """Follows redirects and fills in forms, with a jar of cookies."""

    def __init__(self):
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        self.opener.addheaders = [("Accept", "text/html"), ("User-Agent", "test")]

    def open(self, url, form=None):
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            r = self.opener.open(url, data, timeout=20)
        except urllib.error.HTTPError as e:
            r = e
        self.url, self.status, self.text = r.url, r.status, r.read().decode()
        return self

    def submit(self, **fields):
        action = html.unescape(re.search(r'<form[^>]* action="([^"]+)"', self.text)[1])
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', self.text))
        return self.open(urllib.parse.urljoin(self.url, action), {**hidden, **fields})

    def log_in(self, url, name="alice"):
        self.open(url)
        assert "/interaction/" in self.url, (self.url, self.text)
        self.submit(login=name, password="x")
        return self.submit() if "/interaction/" in self.url else self

    def cookies(self, port=None):
        return {c.name: c.value for c in self.jar}


@pytest.fixture
def place(weir, origin):
    made = []

    def start(ttl=3600, more="", inner="", session="1h", before="", **kw):
        o = origin(lambda r: b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")
        port = free_port()
        p = Provider(port, ttl)
        made.append(p)
        w = weir(f"""workers 1
            listen @listen@
            listen 127.0.0.1:{port}
            admin @admin@
            log access json to=@dir@/access.log
            site * {{
                proxy {o.address}
                auth {{
                    {before}
                    oidc {p.issuer} client_id=weir client_secret="not+so/secret:at all" session={session} {more} \\
                        scopes="openid profile email offline_access" secret=0123456789abcdef0123
                    header Remote-User $user
                    header Remote-Groups ${{claim.groups}}
                    header Remote-Email ${{claim.email}}
                    {inner}
                }}
            }}""", **kw)
        w.port = port
        return w, o, p
    yield start
    for p in made:
        p.stop()


def told(o, name):
    return o.requests[-1].get(name)


def test_somebody_logs_in(place):
    w, o, p = place()
    b = Browser().log_in(w.url("/inbox?x=1&y=%2F"))
    assert (b.status, b.text, b.url) == (200, "page", w.url("/inbox?x=1&y=%2F"))
    assert told(o, "Remote-User") == "alice"
    assert told(o, "Remote-Groups") == "staff,alice-friends"
    assert told(o, "Remote-Email") == "alice@example.com"
    assert "weir_session" not in (told(o, "Cookie") or "")
    before = len(o.requests)
    assert b.open(w.url("/next")).status == 200 and len(o.requests) == before + 1
    assert w.metric("weir_auth_granted_total") == 2


def test_programs_get_401(place):
    w, o, p = place()
    r = w.get("/", headers=["Accept: application/json"])
    assert r.status == 401 and r.get("WWW-Authenticate") == f'OpenIDConnect realm="{p.issuer}"'
    assert w.get("/", headers=["Accept: text/html", "Sec-Fetch-Mode: cors"]).status == 401
    with w.client() as c:
        assert c.post("/", b"x", headers=["Accept: text/html"]).status == 401
    assert w.get("/", headers=["Accept: text/html"]).status == 302
    assert not o.requests


def test_groups_decide(place):
    w, o, p = place(inner="require claim.groups == bob-friends")
    assert Browser().log_in(w.url("/"), "alice").status == 403
    assert Browser().log_in(w.url("/"), "bob").status == 200
    assert told(o, "Remote-User") == "bob"


def test_a_session_is_renewed(place):
    w, o, p = place(ttl=31)
    b = Browser().log_in(w.url("/"))
    first = b.cookies()["weir_session"]
    assert b.open(w.url("/a")).cookies()["weir_session"] == first
    time.sleep(31.5)
    assert b.open(w.url("/b")).status == 200 and told(o, "Remote-User") == "alice"
    assert b.cookies()["weir_session"] != first
    p.stop()
    assert b.open(w.url("/c")).status == 200  # nobody has to be asked


def test_logging_out(place):
    w, o, p = place()
    b = Browser().log_in(w.url("/"))
    b.open(w.url("/.weir/login/out"))
    assert "/session/end" in b.url and "weir_session" not in b.cookies()
    assert w.get("/.weir/login/out", headers=["Sec-Fetch-Site: cross-site"]).status in (401, 403)


def test_cookies_of_others_open_nothing(place):
    w, o, p = place()
    b = Browser().log_in(w.url("/"))
    good = b.cookies()["weir_session"]
    assert w.get("/", headers=[f"Cookie: weir_session={good}"]).status == 200
    for bad in (good[:-1], good[:-1] + ("A" if good[-1] != "A" else "B"), good[4:], "", "A" * 4000, good + "A"):
        assert w.get("/", headers=[f"Cookie: weir_session={bad}"]).status == 401, bad
    assert w.get("/", headers=[f"Cookie: WEIR_SESSION={good}"]).status == 401
    assert w.get("/", headers=[f"Cookie: weir_session.1={good}"]).status == 401
    assert w.get("/", headers=[f"Cookie: __Host-weir_session={good}"]).status == 401


def test_a_callback_needs_its_own_browser(place):
    w, o, p = place()
    b = Browser()
    b.open(w.url("/"))
    b.submit(login="mallory", password="x")
    # the consent page is up: take its redirect and give it to somebody else
    class Stop(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, req, fp, code, msg, headers, newurl):
            if newurl.startswith(w.url("/")):
                raise urllib.error.HTTPError(newurl, code, "back", headers, fp)
            return super().redirect_request(req, fp, code, msg, headers, newurl)
    b.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(b.jar), Stop())
    b.submit()
    back = b.url
    assert back.startswith(w.url("/.weir/login?")), back
    victim = Browser().open(back)
    assert victim.status == 403 and "another browser" in victim.text and not victim.cookies()
    assert not o.requests
    used = Browser()
    used.jar = b.jar
    used.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(b.jar))
    assert used.open(back).status == 200
    again = urllib.request.Request(back, headers={"Accept": "text/html"})
    with pytest.raises(urllib.error.HTTPError) as e:  # the login is over: its cookie is gone
        used.opener.open(again, timeout=10)
    assert e.value.code == 403


def test_made_up_callbacks(place):
    w, o, p = place()
    for query in ("", "?", "?code=x", "?state=x", "?code=x&state=y", "?error=access_denied", "?code=a&code=b&state=c"):
        r = w.get("/.weir/login" + query, headers=["Accept: text/html"])
        assert r.status == 403 and r.get("Location") is None, query
    assert not o.requests


def test_it_comes_back_to_this_site_only(place):
    w, o, p = place(more="")
    b = Browser().log_in(w.url("//evil.example/%2e%2e//x"))
    assert b.status == 200 and urllib.parse.urlsplit(b.url).netloc == f"127.0.0.1:{w.port}"


def test_without_the_provider(place):
    w, o, p = place()
    p.stop()
    r = w.get("/", headers=["Accept: text/html"])
    assert r.status == 503 and not o.requests
    assert w.metrics()['weir_request_errors_total{error="auth_unavailable"}'] == 1
    assert w.get("/", headers=["Accept: application/json"]).status == 401


def test_a_wrong_secret_is_told(weir, origin):
    port, o = free_port(), origin()
    p = Provider(port)
    try:
        w = weir(f"""listen @listen@
            listen 127.0.0.1:{port}
            admin @admin@
            site * {{ proxy {o.address}
                auth oidc {p.issuer} client_id=weir client_secret=wrong secret=0123456789abcdef0123 }}""")
        b = Browser().log_in(f"http://127.0.0.1:{port}/")
        assert b.status == 403 and "client_id or secret" in b.text
        assert not o.requests
    finally:
        p.stop()


def test_sessions_outlive_a_restart_and_end_in_time(place):
    w, o, p = place(session="1m")
    b = Browser().log_in(w.url("/"))
    cookie = next(c for c in b.jar if c.name == "weir_session")
    assert 50 <= cookie.expires - time.time() <= 61
    w.reload()
    assert b.open(w.url("/x")).status == 200


def test_claims_of_others_are_no_part_of_a_session(place, tmp_path):
    """What another method said once would be believed for as long as the session lasts."""
    key = "k" * 40
    (tmp_path / "keys").write_text(f"robot {hashlib.sha256(key.encode()).hexdigest()} groups=wheel\n")
    w, o, p = place(ttl=31, before=f"any {{ key {tmp_path}/keys; require ip in 127.0.0.0/8 }}")
    b = Browser().log_in(w.url("/"))
    time.sleep(31.5)
    b.opener.addheaders.append(("X-Api-Key", key))
    assert b.open(w.url("/a")).status == 200 and told(o, "Remote-Groups") == "staff,alice-friends,wheel"
    b.opener.addheaders.pop()
    assert b.open(w.url("/b")).status == 200 and told(o, "Remote-Groups") == "staff,alice-friends"


def test_servers_never_get_a_session(place):
    """Also where somebody is let in by something else, before or after."""
    w, o, p = place(ttl=3600, inner="")
    good = Browser().log_in(w.url("/")).cookies()["weir_session"]
    line = f"oidc {p.issuer} client_id=weir secret=0123456789abcdef0123"
    for order in ("require ip in 127.0.0.0/8", line), (line, "require ip in 127.0.0.0/8"):
        w.reload(f"""workers 1
            listen @listen@
            listen 127.0.0.1:{w.port}
            admin @admin@
            site * {{ proxy {o.address}\n auth any {{\n {order[0]}\n {order[1]}\n }} }}""")
        for path in ("/", "/.weir/login?state=x&code=y"):
            assert w.get(path, headers=[f"Cookie: a=b; weir_session={good}; weir_session-x=1"]).status == 200
            assert told(o, "Cookie") == "a=b"


def test_a_session_says_who_by_one_claim(place):
    """Names that people choose themselves may look like another's `sub` (same client, another site)."""
    w, o, p = place(more="user=email")
    good = Browser().log_in(w.url("/")).cookies()["weir_session"]
    for user, status in ("email", 200), ("sub", 401):
        w.reload(f"""workers 1
            listen @listen@
            listen 127.0.0.1:{w.port}
            admin @admin@
            site * {{ proxy {o.address}
                auth oidc {p.issuer} client_id=weir user={user} secret=0123456789abcdef0123 }}""")
        assert w.get("/", headers=[f"Cookie: weir_session={good}"]).status == status, user
