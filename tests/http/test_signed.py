# SPDX-License-Identifier: Apache-2.0
"""`auth signed` and `auth hmac`: what is signed, and ways around."""
import base64
import hashlib
import hmac
import re
import subprocess
import time

import pytest

from kit import ROOT, wait_until, weir_cli
from kit.h2raw import H2Raw

SECRET, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
NOW = int(time.time())


def mac(text, secret=SECRET, form="hex"):
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return digest.hex() if form == "hex" else base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def url(path="/a", query=None, secret=SECRET, host="", signed_path=None, form="hex"):
    query = f"expires={NOW + 3000}" if query is None else query
    return f"{path}?{query}&signature=" + mac(f"url\n{host}\n{signed_path or path}\n{query}", secret, form)


def site(line, proxy='respond 200 "$user|$auth"'):
    return f"site * {{\n {proxy}\n auth {{ {line}\n }}\n}}\n"


def by_url(weir, options="", keys=f"k1:{SECRET}", **kw):
    return weir(site(f"signed {keys} {options}", **kw))


def test_signed_url_lets_in(weir):
    w = by_url(weir, keys=f"k1:{SECRET} k2:{OTHER}")
    assert w.get(url()).text == "k1|signed"
    assert w.get(url(form="base64")).text == "k1|signed"
    assert w.get(url(secret=OTHER)).text == "k2|signed"
    assert w.get(url(), method="HEAD").status == 200
    for refused in "/a", f"/a?expires={NOW + 3000}", url(secret="x" * 32), url().replace("/a?", "/b?"):
        r = w.get(refused)
        assert r.status == 403 and not r.get("WWW-Authenticate")
    assert w.metric("weir_signed_refused_total") == 2


def test_every_change_is_refused(weir):
    w = by_url(weir)
    good = url("/a/b", f"user=7&expires={NOW + 3000}&x=%41+b")
    assert w.get(good).status == 200
    for bad in (good.replace("user=7", "user=8"), good.replace("user=7&", ""), good.replace("/a/b", "/a/b/"),
                good.replace("%41", "A"), good.replace("+b", "%20b"), good + "&y=1", good.replace("?", "?y=1&"), good + "&",
                good.replace(str(NOW + 3000), str(NOW + 3001)), good.replace("user=7&", "").replace("&x", "&user=7&x"),
                good[:-1] + ("0" if good[-1] != "0" else "1"), good[:-1], good + "0", good.upper().replace("/A/B", "/a/b"),
                good.replace("user", "%75ser"), good.replace("&x", "&expires=9999999999&x"),
                good + "&signature=" + good[-64:], good + "&%73ignature=" + good[-64:], good.replace("&sig", "&%73ig"),
                good.replace("&sig", ";sig"), good.replace("expires", "%65xpires"), good.replace("signature", "Signature")):
        assert w.get(bad).status == 403, bad
    head, tail = good.split("?")
    members = tail.split("&")
    assert w.get(head + "?" + "&".join([members[-1], *members[:-1]])).status == 200  # it may stand anywhere


@pytest.mark.parametrize("spelled", ["/videos/a", "/%76ideos/a", "/videos/./a", "/x/../videos/a", "/videos/%61", "/%56ideos/a",
                                     "//videos/a", "/videos//a", "/videos/a/", "/videos%2Fa", "/videos/a%2f..", "/videos/a;x",
                                     "/videos/..%2fvideos/a", "/videos/a%00", "/VIDEOS/a", "/videos/x/%2e%2e/a"])
def test_other_spellings_of_a_path(weir, origin, spelled):
    o = origin()
    w = by_url(weir, proxy=f"proxy {o.address}")
    r = w.get(url(spelled, signed_path="/videos/a"))
    same = spelled in ("/videos/a", "/%76ideos/a", "/videos/./a", "/x/../videos/a", "/videos/%61", "/videos/x/%2e%2e/a")
    assert r.status == 200 if same else r.status in (400, 403)
    assert [q.target.split("?")[0] for q in o.requests] == (["/videos/a"] if same else [])


def test_escapes_have_a_normal_form(weir):
    w = by_url(weir)
    assert w.get(url("/a%2fb%c3%a4", signed_path="/a%2Fb%C3%A4")).status == 200
    assert w.get(url("/a%2fb")).status == 403
    assert w.get(url("/a/b", signed_path="/a%2Fb")).status == 403


def test_expiry(weir):
    w = by_url(weir, "max=1h")
    now = int(time.time())
    for expires, status in [(now + 3000, 200), (now - 1, 403), (now + 3700, 403), ("", 403), ("x", 403), (f"0{now + 3000}", 403),
                            (f"{now + 3000}.5", 403), (f"%2B{now + 3000}", 403), ("99999999999999999999", 403)]:
        assert w.get(url(query=f"expires={expires}")).status == status, expires
    assert w.get(url(query="a=1")).status == 403
    soon = url(query=f"expires={int(time.time()) + 2}")
    assert w.get(soon).status == 200
    time.sleep(2.2)
    assert w.get(soon).status == 403


def test_methods(weir):
    w = by_url(weir)
    for method in "POST", "PUT", "DELETE", "get", "OPTIONS":
        assert w.get(url(), method=method).status == 403
    assert w.get(url(), method="POST", headers=["X-HTTP-Method-Override: GET"]).status == 403
    w = by_url(weir, "methods=PUT")
    assert w.get(url(), method="PUT", headers=["Content-Length: 0"]).status == 200
    assert w.get(url()).status == 403


def test_host_is_signed_when_asked(weir):
    w = by_url(weir, "host=on")
    assert w.get(url(host="a.test")).status == 200
    assert w.get(url(host="a.test"), host="A.test.").status == 200
    assert w.get(url(host="a.test"), host="b.test").status == 403
    assert w.get(url(host="a.test"), host="b.test", headers=["X-Forwarded-Host: a.test"]).status == 403
    assert w.get(url()).status == 403


def some(query, free, **kw):
    """Signs `query`; the members of `free` stand around it."""
    path, rest = url(query=query, **kw).split("?")
    return f"{path}?{free}&{rest}"


def test_some_parameters_are_free(weir):
    w = by_url(weir, "params=width")
    query = f"width=7&expires={NOW + 3000}"
    assert w.get(url(query=query)).status == 200
    for free in "utm_source=x", "a=1&b=2", "q=a+b%20c", "", "a", "width2=8":
        assert w.get(some(query, free)).status == 200, free
    for free in ("width=8", "%77idth=8", "WIDTH=8", "width[]=8", "width%5B%5D=8", "a=1;width=8", "a;width=8", "+width=8",
                 "width.x=8", "width%00=8", "expires=9999999999", "Expires=9999999999", "a%26width=8"):
        assert w.get(some(query, free)).status == 403, free
    assert w.get(url(query=query).replace("width=7", "width=8")).status == 403
    assert w.get(url(query=query).replace("width=7&", "")).status == 403


def test_key_is_named(weir):
    w = by_url(weir, "key=kid", keys=f"k1:{SECRET} k2:{OTHER}")
    query = f"expires={NOW + 3000}&kid="
    assert w.get(url(query=query + "k2", secret=OTHER)).text == "k2|signed"
    assert w.get(url(query=query + "k1", secret=OTHER)).status == 403
    assert w.get(url(query=query + "k3", secret=OTHER)).status == 403
    assert w.get(url(query=query + "k2&kid=k1", secret=OTHER)).status == 403


def test_signature_is_stripped(weir, origin):
    o = origin()
    w = by_url(weir, "strip=on key=kid", proxy=f"proxy {o.address}")
    for before, after in [("a=1&", "&b=2"), ("", "")]:
        assert w.get(url(query=f"{before}expires={NOW + 3000}&kid=k1{after}")).status == 200
    assert [r.target for r in o.requests] == ["/a?a=1&b=2", "/a"]


def test_url_by_http2(weir):
    w = by_url(weir)
    with H2Raw(w.port) as c:
        assert c.get(url())[0] == 200
        assert c.get(url() + "0", 3)[0] == 403
        assert c.get(url("/b", signed_path="/a"), 5)[0] == 403


def test_log_of_urls(weir):
    w = weir("workers 1\nlisten @listen@\nadmin @admin@\n"
             "log access \"$status $user $auth_refusal\" to=@dir@/access.log\n" + site(f"signed k1:{SECRET}"))
    for target in url(), url(query="expires=1"), url() + "0", url(secret=OTHER):
        w.get(target)
    wait_until(lambda: len(w.log_lines()) == 4, 3, "the log")
    assert w.log_lines() == ["200 k1 -", "403 - expired", "403 - malformed", "403 - bad_signature"]


# --- requests ---

def signed(path="/a", query="", method="GET", host="a.test", when=None, nonce="", digest="", secret=SECRET, key="k1", sent=()):
    """The header of a signed request; what is sent may differ from what is signed."""
    when = int(time.time()) if when is None else when
    text = "\n".join(["request", str(when), nonce, method, host, path, query, digest])
    facts = {"key": key, "time": when, "nonce": nonce, "signature": mac(text, secret), **dict(sent)}
    return ["Authorization: Weir-HMAC " + ", ".join(f"{k}={v}" for k, v in facts.items() if v not in ("", None))]


def by_request(weir, options="", keys=f"k1:{SECRET}", **kw):
    return weir(site(f"hmac {keys} {options}", **kw))


def test_signed_request_lets_in_once(weir):
    w = by_request(weir)
    header = signed(nonce="n1")
    assert w.get("/a", headers=header).text == "k1|hmac"
    r = w.get("/a", headers=header)
    assert r.status == 401 and r.get("WWW-Authenticate") == 'Weir-HMAC error="replayed"'
    text = header[0]
    hexed = text.rsplit("=", 1)[1]
    again = text.replace(hexed, base64.urlsafe_b64encode(bytes.fromhex(hexed)).rstrip(b"=").decode())
    assert w.get("/a", headers=[again]).status == 401  # the same in another spelling
    w.reload()
    assert w.get("/a", headers=header).status == 401
    assert w.get("/a", headers=signed(nonce="n2")).status == 200
    assert w.get("/a").get("WWW-Authenticate") == "Weir-HMAC"
    assert w.metric("weir_signed_replayed_total") == 3


def test_replays_reach_no_other_worker(weir):
    w = weir("workers 4\nlisten @listen@\nadmin @admin@\n" + site(f"hmac k1:{SECRET}"))
    for n in range(5):
        header = signed(nonce=f"n{n}")
        assert sorted(w.get("/a", headers=header).status for _ in range(8)) == [200] + [401] * 7


def test_replay_may_be_allowed(weir):
    w = by_request(weir, "replay=on")
    header = signed()
    assert [w.get("/a", headers=header).status for _ in range(3)] == [200] * 3


def test_what_is_signed_counts(weir):
    w = by_request(weir)
    assert w.get("/a?x=1&y", headers=signed(query="x=1&y")).status == 200
    assert w.get("/a", host="a.test:8080", headers=signed(host="a.test:8080")).status == 200
    assert w.get("/a", host="A.TEST", headers=signed(nonce="1")).status == 200
    assert w.get("/%61", headers=signed(nonce="2")).status == 200
    for kw in ({"path": "/b"}, {"query": "x=1"}, {"method": "POST"}, {"method": "get"}, {"host": "b.test"}, {"digest": "x"},
               {"secret": OTHER}, {"key": "k2"}):
        assert w.get("/a", headers=signed(**kw)).status == 401, kw
    for sent in ({"time": int(time.time()) + 1}, {"nonce": "other"}, {"signature": "0" * 64}, {"time": "x"}, {"time": None},
                 {"signature": None}, {"extra": "1"}):
        assert w.get("/a", headers=signed(nonce="n", sent=sent)).status == 401, sent
    assert w.get("/a?", headers=signed(path="/a?")).status == 401
    assert w.get("//a", headers=signed()).status == 401
    assert w.get("/a", method="POST", headers=signed() + ["X-HTTP-Method-Override: GET", "Content-Length: 0"]).status == 401


def test_window(weir):
    w = by_request(weir, "window=1m")
    now = int(time.time())
    for when, status in [(now - 50, 200), (now + 50, 200), (now - 70, 401), (now + 70, 401)]:
        assert w.get("/a", headers=signed(when=when)).status == status


def test_header_has_one_form(weir):
    w = by_request(weir)
    assert w.get("/a", headers=[signed(nonce="1")[0].replace("Weir-HMAC", "weir-hmac")]).status == 200
    assert w.get("/a", headers=[signed(nonce="2")[0].replace(", ", ",")]).status == 200
    one = signed(nonce="3")[0]
    for headers in ([one, one], [one, "Authorization: Basic YTpi"], ["Authorization: Basic YTpi", one], [one + ", key=k1"],
                    [one + ", time=1"], [one.replace("nonce=3", "nonce=\"3\"")], [one.replace("nonce=3", "nonce=" + "3" * 65)],
                    ["Authorization: Weir-HMAC"], ["Authorization: Weir-HMAC x"]):
        assert w.get("/a", headers=headers).status == 401, headers
    assert w.get("/a", headers=[one]).status == 200


def test_digest(weir, origin):
    o = origin()
    w = by_request(weir, "digest=on", proxy=f"proxy {o.address}")
    body, digest = b"hello", "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"
    with w.client() as c:
        r = c.post("/a", body, headers=signed(method="POST", digest=digest) + [f"Content-Digest: {digest}"])
        assert r.status == 200 and o.requests[-1].body == body
    for headers in (signed(method="POST"), signed(method="POST") + [f"Content-Digest: {digest}"],
                    signed(method="POST", digest=digest),
                    signed(method="POST", digest=digest, nonce="1") + [f"Content-Digest: {digest}"] * 2):
        with w.client() as c:
            assert c.post("/a", body, headers=headers).status == 401
    assert w.get("/a", headers=signed()).status == 200  # nothing to digest


def test_request_by_http2(weir):
    w = by_request(weir)
    with H2Raw(w.port) as c:
        authority = c.get("/")
        assert authority[0] == 401
    header = signed(nonce="h1")
    assert w.get("/a", headers=header).status == 200
    with H2Raw(w.port) as c:  # what came by HTTP/1.1 has come
        assert c.get("/a", extra=[("authorization", header[0].split(": ", 1)[1])])[0] == 401


def test_beside_an_issuer_that_is_down(weir, origin):
    """Who may come in by one way or the other: what could not be found out is told, unless one of them lets them in."""
    o = origin([b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"])
    w = weir(site(f"""any {{ jwt http://{o.address}/ query=t; signed {SECRET}; hmac {SECRET}
        all {{ signed {OTHER}; require method == POST }} }}"""))
    token = "t=eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.e30.AAAA"
    query = f"{token}&expires={NOW + 3000}"
    assert w.get("/a?" + token).status == 503
    assert w.get(url(query=query) + "0").status == 503
    assert w.get(url(query=query, secret=OTHER)).status == 503
    assert w.get(url(query=query)).status == 200
    assert w.get("/a?" + token, headers=signed(query=token, secret=OTHER)).status == 503
    assert w.get("/a?" + token, headers=signed(query=token)).status == 200


# --- the documentation's examples for the shell ---

def shell_examples():
    text = (ROOT / "docs/signed-urls.md").read_text()
    return ["\n".join(line[4:] for line in block.splitlines()) for block in re.findall(r"\n\n((?:    .*\n)+)", text)]


def test_url_of_the_shell(weir):
    script = shell_examples()[0]
    done = subprocess.run(["sh", "-c", script], env={"SECRET": SECRET, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
                          timeout=20)
    target = done.stdout.strip().removeprefix("https://media.example.com")
    w = by_url(weir, "max=7d strip=on")
    assert w.get(target).status == 200, done


def test_request_of_the_shell(weir):
    script = shell_examples()[1].replace("curl", "printf '%s\\n'")
    done = subprocess.run(["sh", "-c", script], env={"SECRET": SECRET, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
                          timeout=20)
    option, header, target = done.stdout.splitlines()
    w = by_request(weir, keys=f"billing:{SECRET}")
    assert option == "-H" and target == "https://api.example.com/v1/orders?since=7"
    assert w.get("/v1/orders?since=7", host="api.example.com", headers=[header]).text == "billing|hmac"


@pytest.mark.parametrize("line,words", [
    ("signed short", "must have 32"), (f"signed :{SECRET}", "id of a key"), ("signed", "needs"),
    (f"signed {SECRET} params=a,,b", "no list"), (f"signed {SECRET} signature=expires", "of their own"),
    (f"signed {SECRET} expires=a&b", "no name"), (f"hmac {SECRET} window=2h", "1h"), ("hmac k1:short", "must have 32"),
])
def test_mistakes_are_told(tmp_path, line, words):
    conf = tmp_path / "weir.conf"
    conf.write_text(site(line))
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and words in done.stderr + done.stdout
    assert SECRET not in done.stderr + done.stdout


def test_secrets_are_not_shown(weir):
    w = by_url(weir)
    done = weir_cli("explain", "-c", w.config, "http://a.test/")
    assert "signed" in done.stdout and SECRET not in done.stdout
    assert SECRET not in w.admin("/config").text


@pytest.mark.parametrize("form", ["auth hmac k1:{s}", "auth {{ hmac k1:{s} }}", "auth any {{ require ip in 10.0.0.0/8; hmac k1:{s} }}"])
def test_a_configuration_that_is_edited_forgets_no_request(weir, form):
    def text(more=""):
        return f"{more}\nsite * {{\n respond 200 $user\n {form.format(s=SECRET)} }}\n"
    w = weir(text())
    header = signed()
    assert w.get("/a", headers=header).status == 200
    w.reload(text("# one line more\nsite other.test { respond 200 ok }\n"))
    assert w.get("/a", headers=header).status == 401
