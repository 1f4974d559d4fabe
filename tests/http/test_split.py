# SPDX-License-Identifier: Apache-2.0
"""Shares of requests between upstreams: by chance, by key, by cookie, and by hand."""
import collections
import math

import pytest

from kit import answer, weir_cli
from kit.tools import run


def site(split, more=""):
    return f"""
workers 2
listen @listen@
admin @admin@
log access json to=@dir@/access.log
upstream stable {{ server @s@ }}
upstream canary {{ server @c@ }}
site * {{
    split {split}
    {more}
}}
"""


def both(weir, origin, split, more="", **kw):
    s, c = origin(answer("stable")), origin(answer("canary"))
    return weir(site(split, more), s=s, c=c, **kw), s, c


def share(w, count, **kw):
    """How many of `count` requests, each a client of its own, got the canary."""
    return collections.Counter(w.get(**kw).text for _ in range(count))["canary"]


def near(got, count, p):
    """Within five standard deviations: wrong once in two million runs."""
    assert abs(got - count * p) <= 5 * math.sqrt(count * p * (1 - p)), (got, count, p)


@pytest.mark.parametrize("percent", [5, 50])
def test_shares_by_chance(weir, origin, percent):
    w, *_ = both(weir, origin, f"stable {100 - percent}% canary {percent}%")
    with w.client() as c:
        got = collections.Counter(c.get().text for _ in range(2000))
        near(got["canary"], 2000, percent / 100)
        assert not c.get().all("Set-Cookie")
    upstreams = collections.Counter(line["upstream"] for line in w.access(2001))
    assert upstreams["canary"] in (got["canary"], got["canary"] + 1), "$upstream tells which"


def test_nobody_and_everybody(weir, origin):
    w, *_ = both(weir, origin, "stable 0% canary 100%")
    assert share(w, 30) == 30


def cookie_of(r):
    return "Cookie: " + r.get("Set-Cookie").split(";")[0]


def test_sticky_clients_keep_their_part(weir, origin):
    w, s, c = both(weir, origin, "stable 50% canary 50% sticky ttl=1h")
    clients = [(r.text, cookie_of(r)) for r in (w.get() for _ in range(20))]
    assert len({part for part, _ in clients}) == 2
    for _ in range(2):
        for part, cookie in clients:
            r = w.get(headers=[cookie])
            assert r.text == part and not r.all("Set-Cookie")
        w.reload(site("stable 90% canary 10% sticky ttl=1h"))  # moves nobody
    assert not any(r.all("Cookie") for o in (s, c) for r in o.requests)
    w.reload(site("stable 100% canary 0% sticky ttl=1h"))  # takes the canary back
    assert {w.get(headers=[cookie]).text for _, cookie in clients} == {"stable"}


def test_the_cookie_of_a_part_is_signed(weir, origin):
    w, *_ = both(weir, origin, "stable 100% canary 0% sticky")
    r = w.get()
    value = r.get("Set-Cookie").split(";")[0]
    assert value.startswith("weir_split=") and "stable" not in value
    spoilt = value[:-1] + ("A" if value[-1] != "A" else "B")
    assert w.get(headers=[f"Cookie: {spoilt}"]).all("Set-Cookie")
    assert not w.get(headers=[f"Cookie: {value}"]).all("Set-Cookie")


def test_by_key(weir, origin):
    w, *_ = both(weir, origin, "stable 80% canary 20% by=${header.X-User}")
    got = {user: w.get(headers=[f"X-User: {user}"]).text for user in range(300)}
    near(list(got.values()).count("canary"), 300, 0.2)
    assert all(w.get(headers=[f"X-User: {u}"]).text == got[u] for u in range(50))


def test_a_condition_overrides(weir, origin):
    w, *_ = both(weir, origin, "stable 100% canary 0%",
                 "when header.X-Canary { proxy canary }\n    when cookie.beta { proxy canary }")
    assert w.get().text == "stable"
    assert w.get(headers=["X-Canary: 1"]).text == "canary"
    assert w.get(headers=["Cookie: beta=1"]).text == "canary"


def test_in_a_route_and_with_sticky_servers(weir, origin):
    """Both cookies, of the part and of the server, are given at once."""
    servers = [origin(answer(n)) for n in "abcd"]
    w = weir("""
upstream s { server @a@; server @b@; sticky cookie name=weir_s }
upstream c { server @c@; server @d@; sticky cookie name=weir_c }
site * {
    proxy @a@
    route /app/ { split s 50% c 50% sticky }
}
""", **dict(zip("abcd", servers)))
    r = w.get("/app/x")
    cookies = [line.split(";")[0] for line in r.all("Set-Cookie")]
    assert sorted(c.split("=")[0] for c in cookies)[-1] == "weir_split" and len(cookies) == 2
    cookie = "Cookie: " + "; ".join(cookies)
    got = [w.get("/app/x", headers=[cookie]) for _ in range(8)]
    assert {g.text for g in got} == {r.text} and not any(g.all("Set-Cookie") for g in got)


def test_a_retry_stays_in_its_part(weir, origin):
    s, c = origin(answer("stable")), origin(answer("canary"))
    w = weir("upstream stable { server @s@ }\nupstream canary { server @c@; server @d@\n"
             "balance round_robin }\nsite * { split stable 0% canary 100% }\n",
             s=s, c=c, d="127.0.0.1:9")
    assert share(w, 10) == 10


def test_http2_clients(weir, origin):
    w, *_ = both(weir, origin, "stable 50% canary 50% sticky")
    jar = w.dir / "jar"
    got = [run("curl", "-s", "--http2-prior-knowledge", "-c", jar, "-b", jar, w.url()).stdout
           for _ in range(6)]
    assert len(set(got)) == 1 and got[0] in ("stable", "canary")


def test_explain_shows_the_parts(weir, origin):
    w, *_ = both(weir, origin, "stable 95% canary 5% sticky")
    out = weir_cli("explain", "http://a.test/", "-c", w.config).stdout
    assert "stable 95%, canary 5%, sticky" in out
