# SPDX-License-Identifier: Apache-2.0
"""`challenge`: who gets the page, who solves it and passes, and who tries to get around it."""
import base64
import hashlib
import html
import json
import re
import socket
import threading
import time

import pytest

from kit import ROOT, Client, Hold, Origin, TlsClient, answer, client_context, wait_until, weir_cli
from kit.h2raw import H2Raw
from kit.names import Names, pointer
from kit.tools import need, run

NODE = ROOT / "tests/node"
PAGE = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
AGENT = "User-Agent: Browser/1"
TRUSTING = "trust 127.0.0.0/8\n"
BITS = 6


def site(words=f"difficulty={BITS}", more="", name="*"):
    return f"site {name} {{\n challenge {words}\n respond 200 \"in $challenge $cookie.weir_challenge\"\n{more}\n}}\n"


def ask(w, path="/", headers=(), page=True, agent=AGENT, **kw):
    return w.get(path, headers=[*([PAGE] if page else []), *([agent] if agent else []), *headers], **kw)


def question(r):
    """What the page asks, and how many bits."""
    found = re.search(r'data-ask="([\w-]{40})" data-bits="(\d+)" data-cookie="([^"]+)"', r.text)
    assert r.status == 403 and found, r
    return found[1], int(found[2])


def zeros(text):
    value = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    return 256 - value.bit_length()


def solve(asked, bits, most=256):
    for n in range(10_000_000):
        if bits <= zeros(f"{asked}{n}") <= most:
            return f"{asked}.{n}"
    raise AssertionError("no solution")


def answer_of(r, most=256):
    asked, bits = question(r)
    return "weir_challenge_answer=" + solve(asked, bits, most)


def pass_of(r):
    """The cookie, as a client sends it back."""
    assert r.status == 200, r
    cookie = next(c for c in r.all("Set-Cookie") if c.startswith("weir_challenge="))
    return cookie.split(";")[0]


def get_pass(w, **kw):
    """Like a browser: the page, its solution, the pass."""
    solution = answer_of(ask(w, **kw))
    headers = [*kw.pop("headers", ()), f"Cookie: {solution}"]
    return pass_of(ask(w, headers=headers, **kw))


def passes(w, cookie, headers=(), **kw):
    r = ask(w, headers=[*headers, f"Cookie: {cookie}"], **kw)
    assert r.status in (200, 403), r
    return r.status == 200


# ---------------------------------------------------------------- the page, and the way in

def test_browser_gets_the_page_and_others_a_reason(weir):
    w = weir(site())
    r = ask(w, "/shop?x=1")
    question(r)
    assert r.get("Content-Type") == "text/html; charset=utf-8"
    assert r.get("Cache-Control") == "no-store, no-transform"
    assert r.get("X-Robots-Tag") == "noindex, nofollow"
    policy = r.get("Content-Security-Policy")
    script = re.search(r"<script>(.*)</script>", r.text, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert "unsafe" not in policy and "frame-ancestors 'self'" in policy
    assert "<noscript>" in r.text and "http" not in script.replace("https:'", "")
    api = ask(w, page=False, headers=["Accept: application/json"])
    assert api.status == 403 and json.loads(api.body)["reason"].startswith("browsers have some work")
    assert ask(w, page=False).status == 403
    assert w.metric("weir_challenge_shown_total") == 1
    assert w.metric("weir_challenge_refused_total") == 2
    assert w.metrics()['weir_request_errors_total{error="challenge_unsolved"}'] == 2


def test_a_solution_lets_in_and_the_pass_does_then(weir):
    w = weir(site())
    solution = answer_of(ask(w, "/x?y=1"))
    r = ask(w, "/x?y=1", headers=[f"Cookie: a=b; {solution}"])
    assert r.status == 200 and r.text == "in solved "
    cookies = r.all("Set-Cookie")
    assert re.fullmatch(r"weir_challenge=[\w-]{28}; Path=/; Max-Age=14400; HttpOnly; SameSite=Lax", cookies[0])
    assert cookies[1] == "weir_challenge_answer=; Path=/; Max-Age=0; SameSite=Lax"
    assert "private" in r.get("Cache-Control")
    r = ask(w, page=False, headers=[f"Cookie: {pass_of(r)}"])
    assert (r.status, r.text, r.all("Set-Cookie")) == (200, "in passed ", [])
    assert w.metric("weir_challenge_solved_total") == w.metric("weir_challenge_passed_total") == 1


def test_server_gets_its_own_cookies_only(weir, origin):
    o = origin()
    w = weir(f"site * {{\n challenge difficulty={BITS}\n proxy @o@\n}}", o=o)
    cookie = get_pass(w)
    assert ask(w, headers=[f"Cookie: a=1; {cookie}; b=2"]).status == 200
    assert o.requests[-1].all("Cookie") == ["a=1; b=2"]
    assert ask(w, headers=[f"Cookie: {cookie}"]).status == 200
    assert o.requests[-1].all("Cookie") == []
    assert len(o.requests) == 3


@pytest.mark.parametrize("headers", [
    ["Accept: */*"], ["Accept: text/htmlx"], ["Accept: application/json, image/avif"],
    [PAGE, "Sec-Fetch-Mode: cors"], [PAGE, "Sec-Fetch-Mode: no-cors"],
    [PAGE, "Upgrade: websocket", "Connection: Upgrade"]])
def test_what_loads_no_page_gets_none(weir, headers):
    r = ask(weir(site()), page=False, headers=headers)
    assert r.status == 403 and "data-ask" not in r.text


def test_head_and_methods(weir):
    w = weir(site())
    assert ask(w, method="HEAD").get("X-Robots-Tag")
    for method in "POST", "PUT", "DELETE", "OPTIONS", "FOO":
        with w.client() as c:
            r = c.post(headers=[PAGE, AGENT, "X-HTTP-Method-Override: GET", "X-Method-Override: GET"],
                       method=method)
            assert r.status == 403 and "data-ask" not in r.text


def test_secure_over_tls(weir):
    pki_site = site(name="a.test")
    w = weir("workers 1\nlisten @tls@ tls\nadmin @admin@\n# @listen@\n" + pki_site, wait=False)
    wait_until(lambda: "listens on" in w.stderr, 10)

    def get(headers):
        with TlsClient(w.tls_port, client_context()) as c:
            return c.get("/", headers=[PAGE, AGENT, *headers])
    r = get([f"Cookie: {answer_of(get([]))}"])
    assert "; Secure" in r.all("Set-Cookie")[0]


def test_nothing_is_stored_by_a_cache(weir, origin):
    o = origin(answer("stored", headers=["Cache-Control: max-age=60"]))
    w = weir(f"cache_store memory size=10M\nsite * {{\n challenge difficulty={BITS}\n cache\n compress\n proxy @o@\n}}", o=o)
    question(ask(w, headers=["Accept-Encoding: gzip, br"]))
    cookie = get_pass(w)
    assert passes(w, cookie) and passes(w, cookie)
    assert len(o.requests) == 1
    question(ask(w))  # a stored page is not for everybody
    r = ask(w, headers=[f"Cookie: {answer_of(ask(w))}"])
    assert r.status == 200 and len(r.all("Set-Cookie")) == 2
    assert passes(w, cookie) and not ask(w, headers=[f"Cookie: {cookie}"]).all("Set-Cookie")


def test_log_explain_and_exceptions(weir):
    w = weir('workers 1\nlisten @listen@\nadmin @admin@\nlog access "$path $status $challenge" to=@dir@/l.log\n' + site(
        more=" route = /robots.txt { no challenge\n respond 200 robots }\n"
             " route /api/ { no challenge\n respond 200 api }"))
    assert ask(w, "/robots.txt").text == "robots" and ask(w, "/api/x", page=False).text == "api"
    for path in "/api/../", "/robots.txt/", "/Robots.txt", "/robots.txt%2f", "//":
        assert ask(w, path).status == 403
    cookie = get_pass(w)
    passes(w, cookie), ask(w, page=False)
    wait_until(lambda: len(w.log_lines("l.log")) >= 11, 3)
    words = [line.split()[2] for line in w.log_lines("l.log")]
    assert words[-4:] == ["shown", "solved", "passed", "refused"]
    done = weir_cli("explain", "http://a.test/", "-c", w.config)
    assert "challenge" in done.stdout and f"difficulty={BITS} valid=14400s; verified crawlers pass" in done.stdout
    assert "difficulty" not in weir_cli("explain", "http://a.test/api/x", "-c", w.config).stdout


def test_two_challenges_of_one_route(weir):
    w = weir(site("difficulty=4", more=f" when path ~ ^/dear {{ challenge difficulty={BITS + 2} }}"))
    cheap = get_pass(w)
    assert passes(w, cheap, path="/") and not passes(w, cheap, path="/dear")
    # The dear one is asked for second: with a pass for the first.
    r = ask(w, "/dear", headers=[f"Cookie: {cheap}"])
    assert question(r)[1] == BITS + 2
    r = ask(w, "/dear", headers=[f"Cookie: {answer_of(r)}"])
    assert r.status == 200 and passes(w, pass_of(r), path="/dear")


# ---------------------------------------------------------------- who tries to get around it

def test_wrong_and_easy_solutions(weir):
    w = weir(site())
    r = ask(w)
    asked, bits = question(r)
    for cookie in (f"weir_challenge_answer={solve(asked, bits - 1, bits - 1)}",
                   f"weir_challenge_answer={asked}.", f"weir_challenge_answer={asked}",
                   f"weir_challenge_answer={asked}.0000000000000000", f"weir_challenge={asked}",
                   f"weir_challenge={asked[:28]}", "weir_challenge=", "weir_challenge=" + "A" * 28,
                   f"WEIR_CHALLENGE_ANSWER={solve(asked, bits)}", f"weir_challenge_answer ={solve(asked, bits)}"):
        assert not passes(w, cookie), cookie
    assert w.metric("weir_challenge_bad_total") == 8
    assert passes(w, answer_of(r))


def test_what_was_easier_before_a_reload_is_not_enough(weir):
    w = weir(site("difficulty=4 secret=0123456789abcdef"))
    solution, cookie = answer_of(ask(w)), get_pass(w)
    w.reload(site("difficulty=8 secret=0123456789abcdef"))
    assert not passes(w, solution) and not passes(w, cookie)
    dear = get_pass(w)
    w.reload(site("difficulty=4 secret=0123456789abcdef"))
    assert passes(w, dear) and passes(w, cookie)


def test_forged_and_tampered_passes(weir):
    w = weir(site())
    cookie = get_pass(w)
    name, value = cookie.split("=")
    for i in range(len(value)):
        other = "B" if value[i] == "A" else "A"
        assert not passes(w, f"{name}={value[:i]}{other}{value[i + 1:]}")
    for bad in (value + "A", value + "=", value[:-1], value.lower(), f'"{value}"', value.replace(value[3], "%41")):
        assert not passes(w, f"{name}={bad}"), bad
    assert passes(w, cookie)


def test_cookies_of_another_site_or_browser(weir):
    w = weir(site(name="a.test") + site(name="b.test c.test"))
    for host in "b.test", "c.test", "A.TEST.":
        cookie, solution = get_pass(w), answer_of(ask(w))
        same = host == "A.TEST."
        assert passes(w, cookie, host=host) == passes(w, solution, host=host) == same
    assert not passes(w, cookie, agent="User-Agent: Browser/2") and not passes(w, cookie, agent=None)
    assert passes(w, get_pass(w, host="b.test"), host="c.test")


def client_from(w, ip, headers):
    s = socket.socket()
    s.bind((ip, 0))
    s.connect(("127.0.0.1", w.port))
    lines = ["GET / HTTP/1.1", "Host: a.test", "Connection: close", PAGE, AGENT, *headers]
    s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    data = b""
    while piece := s.recv(65536):
        data += piece
    s.close()
    return int(data.split()[1])


def test_cookies_of_another_address(weir):
    w = weir(site(f"difficulty={BITS} bind=ip"))
    solution, cookie = answer_of(ask(w)), get_pass(w)
    assert client_from(w, "127.0.0.1", [f"Cookie: {cookie}"]) == 200
    for value in cookie, solution:
        assert client_from(w, "127.0.0.2", [f"Cookie: {value}"]) == 403
        for name in "X-Forwarded-For", "x-forwarded-for", "X-Real-IP":
            assert client_from(w, "127.0.0.2", [f"Cookie: {value}", f"{name}: 127.0.0.1"]) == 403
        assert client_from(w, "127.0.0.2", [f"Cookie: {value}", "Forwarded: for=127.0.0.1"]) == 403


@pytest.mark.parametrize("bind,here,near,far", [
    ("ip/24/56", "192.0.2.1", "192.0.2.254", "192.0.3.1"),
    ("ip/24/56", "192.0.2.1", "::ffff:192.0.2.9", "2001:db8::1"),
    ("ip/24/56", "2001:db8:0:1::1", "2001:db8:0:ff::1", "2001:db8:0:100::1"),
    ("ip", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"),
    ("ip/32", "192.0.2.1", "192.0.2.1:99", "192.0.2.2"),
    ("off", "192.0.2.1", "2001:db8::1", None)])
def test_what_it_is_bound_to(weir, bind, here, near, far):
    w = weir(TRUSTING + site(f"difficulty={BITS} bind={bind}"))
    cookie = get_pass(w, headers=[f"X-Forwarded-For: {here}"])
    assert passes(w, cookie, headers=[f"X-Forwarded-For: {here}"])
    assert passes(w, cookie, headers=[f"X-Forwarded-For: {near}"])
    assert not far or not passes(w, cookie, headers=[f"X-Forwarded-For: {far}"])


def test_old_passes_and_solutions(weir):
    w = weir(site(f"difficulty={BITS} valid=10s"))
    cookie = get_pass(w)
    assert passes(w, cookie)
    wait_until(lambda: not passes(w, cookie), 12, "the end of the pass")
    r = ask(w, page=False, headers=[f"Cookie: {cookie}", "Accept: application/json"])
    assert r.status == 403 and "browsers have some work" in json.loads(r.body)["reason"]


def test_an_answer_gives_no_time_when_it_is_used_again(weir):
    w = weir(site(f"difficulty={BITS} valid=10s"))
    solution = answer_of(ask(w))
    time.sleep(2.1)
    cookie = pass_of(ask(w, headers=[f"Cookie: {solution}"]))
    first = time.monotonic()
    wait_until(lambda: not passes(w, cookie), 12)
    assert time.monotonic() - first < 9.5


def test_duplicate_cookies_and_headers(weir):
    w = weir(site())
    cookie = get_pass(w)
    bad = "weir_challenge=" + "A" * 28
    assert passes(w, f"{bad}; {cookie}") and passes(w, f"{cookie}; {bad}")
    assert passes(w, bad, headers=[f"Cookie: {cookie}"])
    assert not passes(w, "; ".join([bad] * 4 + [cookie]))  # so many are looked at
    assert not passes(w, bad, headers=[f"cookie2: {cookie}", f"X-Cookie: {cookie}"])
    assert ask(w, headers=[f"cOOkie: {cookie}"]).status == 200


def test_http2_and_http1_are_one(weir):
    w = weir(site())
    cookie = get_pass(w)
    extra = [("accept", "text/html"), ("user-agent", "Browser/1")]
    with H2Raw(w.port) as c:
        c.request(1, extra=extra)
        status, body, _ = c.response(1)
        assert status == 403 and b"data-ask" in body
        c.request(3, extra=[*extra, ("cookie", "a=b"), ("cookie", cookie)])  # in pieces, as h2 does
        assert c.response(3)[0] == 200
        c.request(5, extra=[("accept", "application/json"), ("user-agent", "Browser/1")])
        status, body, _ = c.response(5)
        assert status == 403 and b"challenge" not in body and b"work" in body
        c.request(7, method="POST", extra=[*extra, ("x-http-method-override", "GET")])
        assert c.response(7)[0] == 403
    found = re.search(rb'data-ask="([\w-]{40})"', ask(w).body)
    assert found


def test_other_spellings_of_a_guarded_path(weir):
    w = weir("site * {\n respond 200 open\n route /shop/ {\n  challenge difficulty=6\n  respond 200 shop\n }\n}")
    for path in "/shop/", "//shop/", "/%73hop/", "/x/../shop/", "/shop/./x", "/shop//", "/shop/..;/shop/":
        assert ask(w, path).status in (403, 400), path
    assert ask(w, "/shopping").text == "open"


def test_absolute_targets_and_hosts(weir):
    w = weir(site(name="a.test") + "site b.test { respond 200 open }\n")
    assert ask(w, "http://a.test/").status == 403
    assert ask(w, "http://a.test/", host="b.test").status == 400
    for host in "A.test", "a.test.", f"a.test:{w.port}":
        assert ask(w, host=host).status == 403


# ---------------------------------------------------------------- under pressure

def test_only_under_pressure_and_until_it_is_calm(weir, origin):
    hold = Hold()
    o = origin(lambda r: [hold, answer("late")] if r.target == "/slow" else answer("quick"))
    w = weir(f"""upstream up {{ server @o@ max_conns=1
        queue 100 timeout=20s }}
    site * {{
        challenge difficulty={BITS} when_busy calm=2s
        response set X-Challenge $challenge
        proxy up
    }}""", o=o)
    r = ask(w)
    assert r.status == 200 and r.get("X-Challenge") == "off"
    slow = [w.client() for _ in range(3)]
    for c in slow:
        c.send(f"GET /slow HTTP/1.1\r\nHost: a.test\r\n{PAGE}\r\n\r\n".encode())

    def shown():
        c = w.client()  # it may have to wait in the queue
        c.send(f"GET / HTTP/1.1\r\nHost: a.test\r\n{PAGE}\r\n{AGENT}\r\n\r\n".encode())
        time.sleep(0.1)
        slow.append(c)
        return w.metric("weir_challenge_shown_total") > 0
    wait_until(shown, 10, "the page")
    question(ask(w))
    assert w.metric("weir_challenge_pressure_total") == 1
    w.wait_stderr("upstream up is under pressure: challenges begin")
    hold.release()
    wait_until(lambda: ask(w, page=False).status == 200, 10, "the end of it")
    w.wait_stderr("upstream up is under pressure no more: challenges end")
    assert w.metric("weir_challenge_pressure_total") == 1
    for c in slow:
        c.close()


def test_what_weir_answers_itself_is_never_under_pressure(weir):
    w = weir(site(f"difficulty={BITS} when_busy"))
    assert ask(w).text == "in off "


# ---------------------------------------------------------------- crawlers

GOOGLE = "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.fixture
def names():
    with Names() as n:
        yield n


def crawl(w, ip, agent=GOOGLE, **kw):
    return ask(w, page=False, agent=agent, headers=[f"X-Forwarded-For: {ip}", "Accept: */*"], **kw)


def crawled(weir, names, more="", words=""):
    return weir("workers 1\nresolver @names@\nlisten @listen@\nadmin @admin@\n" + TRUSTING +
                f'site * {{\n challenge difficulty={BITS} {words}\n{more}\n respond 200 "$challenge $crawler"\n}}',
                names=names.address)


def test_a_verified_crawler_passes(weir, names):
    names.hosts[pointer("66.249.66.1")] = "ptr:crawl-66-249-66-1.googlebot.com"
    names.hosts["crawl-66-249-66-1.googlebot.com"] = ["66.249.66.1"]
    names.hosts[pointer("2001:4860::1")] = "ptr:Six.GOOGLEBOT.com"
    names.hosts["six.googlebot.com"] = ["2001:4860::1", "66.249.66.7"]
    w = crawled(weir, names)
    assert crawl(w, "66.249.66.1").text == "crawler google"
    assert crawl(w, "2001:4860::1").text == "crawler google"
    asked = len(names.asked)
    assert crawl(w, "66.249.66.1").text == crawl(w, "::ffff:66.249.66.1").text == "crawler google"
    assert len(names.asked) == asked  # remembered
    assert w.metric("weir_crawlers_verified_total") == 4 and w.metric("weir_crawlers_false_total") == 0
    assert crawl(w, "66.249.66.1", agent=AGENT).status == 403
    assert crawl(w, "66.249.66.1", agent="User-Agent: bingbot/2.0").status == 403


@pytest.mark.parametrize("names_of_it,host,addresses", [
    (["ptr:crawl-1.googlebot.com"], "crawl-1.googlebot.com", []),
    (["ptr:crawl-1.googlebot.com"], "crawl-1.googlebot.com", ["10.0.0.2"]),
    (["ptr:crawl-1.googlebot.com.evil.com"], "crawl-1.googlebot.com.evil.com", ["10.0.0.1"]),
    (["ptr:evilgooglebot.com"], "evilgooglebot.com", ["10.0.0.1"]),
    (["ptr:a.evilgooglebot.com"], "a.evilgooglebot.com", ["10.0.0.1"]),
    (["ptr:googlebot.com"], "googlebot.com", ["10.0.0.1"]),
    (["ptr:googlebot.com.tk"], "googlebot.com.tk", ["10.0.0.1"]),
    (["ptr:crawl-1.search.msn.com"], "crawl-1.search.msn.com", ["10.0.0.1"]),
    (["ptr:evil.com", "ptr:crawl-1.googlebot.com"], "evil.com", ["10.0.0.1"]),
    (["ptr:evil.com crawl-1.googlebot.com"], "crawl-1.googlebot.com", ["10.0.0.2"]),
    (["ptr:a.evil.com"] * 5 + ["ptr:crawl-1.googlebot.com"], "crawl-1.googlebot.com", ["10.0.0.2"]),
    ([], "crawl-1.googlebot.com", ["10.0.0.1"])])
def test_who_only_says_so(weir, names, names_of_it, host, addresses):
    names.hosts[pointer("10.0.0.1")] = names_of_it
    names.hosts[host] = addresses
    w = crawled(weir, names)
    assert [crawl(w, "10.0.0.1").status for _ in range(2)] == [403, 403]
    question(ask(w, agent=GOOGLE, headers=["X-Forwarded-For: 10.0.0.1"]))
    assert w.metric("weir_crawlers_false_total") == 3
    assert sum(1 for n, _ in names.asked if n == pointer("10.0.0.1")) == 1


def test_a_name_server_that_is_silent_makes_nobody_a_crawler(weir, names):
    names.silent.add(pointer("10.0.0.1"))
    w = crawled(weir, names)
    began = time.monotonic()
    assert crawl(w, "10.0.0.1").status == 403
    assert 1.5 < time.monotonic() - began < 4
    with Client(w.port) as c:  # one that leaves while it is asked
        c.send(f"GET / HTTP/1.1\r\nHost: a.test\r\n{GOOGLE}\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n".encode())
        time.sleep(0.2)
    assert crawl(w, "10.0.0.2").status == 403  # it serves on


def test_own_crawlers_and_none(weir, names):
    names.hosts[pointer("10.0.0.1")] = "ptr:a.bots.example.com"
    names.hosts["a.bots.example.com"] = ["10.0.0.1"]
    names.hosts[pointer("10.0.0.2")] = "ptr:crawl-1.googlebot.com"
    names.hosts["crawl-1.googlebot.com"] = ["10.0.0.2"]
    w = crawled(weir, names, " crawler acme AcmeBot bots.example.com bots.example.org\n")
    assert crawl(w, "10.0.0.1", "User-Agent: x acmeBOT/1").text == "crawler acme"
    assert crawl(w, "10.0.0.1").status == 403 and crawl(w, "10.0.0.2").text == "crawler google"
    w = crawled(weir, names, words="crawlers=off")
    assert crawl(w, "10.0.0.2").status == 403


def test_many_requests_of_a_crawler_at_once(weir, names):
    names.hosts[pointer("10.0.0.2")] = "ptr:crawl-1.googlebot.com"
    names.hosts["crawl-1.googlebot.com"] = ["10.0.0.2"]
    w = crawled(weir, names)
    got = []
    threads = [threading.Thread(target=lambda: got.append(crawl(w, "10.0.0.2").text)) for _ in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert got == ["crawler google"] * 8
    assert sum(1 for n, _ in names.asked if n == pointer("10.0.0.2")) == 1


# ---------------------------------------------------------------- mistakes

@pytest.mark.parametrize("line,want", [
    ("challenge difficulty=3", "difficulty"), ("challenge difficulty=29", "difficulty"),
    ("challenge valid=9s", "valid"), ("challenge valid=31d", "valid"), ("challenge calm=10ms", "calm"),
    ("challenge bind=ip/7", "bind=ip/BITS/BITS"), ("challenge bind=ip/33", "bind="), ("challenge bind=ipx", "bind="),
    ("challenge bind=ip/24/129", "bind="), ("challenge cookie=a=b", "cookie"), ("challenge cookie=\"a b\"", "cookie"),
    ("challenge secret=short", "at least 16"), ("challenge always", "challenge"),
    ("crawler a b", "crawler"), ("crawler a b com", "is not a domain"), ("crawler a b a..com", "is not a domain"),
    ("crawler a b a.com:80", "is not a domain"), ("crawler a \"\" a.com", "User-Agent")])
def test_mistakes(tmp_path, line, want):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"site * {{\n respond 200 x\n {line}\n}}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and want in done.stderr, done.stderr


def test_the_secret_is_not_told(weir):
    w = weir(site("difficulty=6 secret=0123456789abcdef"))
    assert "0123456789abcdef" not in w.admin("/config").text + weir_cli("explain", "http://a.test/", "-c", w.config).stdout


# ---------------------------------------------------------------- a browser

@pytest.mark.seconds(180)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_chromium_passes_by_itself(weir, scheme):
    if not (NODE / "node_modules/playwright-core").exists():
        pytest.skip("npm package playwright-core is not installed (tools/setup test)")
    need("/usr/bin/chromium")
    tls = " tls" if scheme == "https" else ""
    w = weir(f"""workers 1
        listen @listen@{tls}
        admin @admin@
        log access json to=@dir@/access.log
        site localhost {{
            challenge difficulty=14
            respond 200 '<!doctype html><title>in</title><p>$path?$query' type=text/html
        }}""".replace("'<", '"<').replace("query'", 'query"'))
    done = run("node", NODE / "challenge.js", f"{scheme}://localhost:{w.port}/shop/list?item=1&q=%C3%A4#part",
               seconds=150)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["first"] == {"status": 403, "title": "One moment", "errors": []}
    assert seen["url"].endswith("/shop/list?item=1&q=%C3%A4#part")
    assert seen["title"] == "in" and html.unescape(seen["text"]) == "/shop/list?item=1&q=%C3%A4"
    assert seen["script_sees"] == "" and seen["fetched"] == 200  # the pass is HttpOnly
    (cookie,) = seen["cookies"]
    assert cookie["name"] == "weir_challenge" and cookie["httpOnly"] and cookie["sameSite"] == "Lax"
    assert cookie["secure"] == (scheme == "https")
    assert seen["without_cookies"].startswith("Your browser keeps no cookie")
    assert "JavaScript" in seen["without_script"]
    assert w.metric("weir_challenge_solved_total") == 1
