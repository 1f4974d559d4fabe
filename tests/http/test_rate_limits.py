# SPDX-License-Identifier: Apache-2.0
"""`limit`: who passes, who is refused or waits, who tries to get around it, and what is told of it."""
import re
import threading
import time

import pytest

from kit import Hold, answer, wait_until, weir_cli
from kit.h2raw import H2Raw
from kit.tokens import secret

TRUSTING = "trust 127.0.0.0/8\n"


def site(lines, more=""):
    return TRUSTING + more + 'site * {\n respond 200 "$limit_status"\n' + lines + "\n}\n"


def statuses(w, count, path="/", **kw):
    with w.client() as c:
        return [c.get(path, **kw).status for _ in range(count)]


def by(ip):
    return [f"X-Forwarded-For: {ip}"]


# ---------------------------------------------------------------- rates

def test_burst_passes_and_the_rest_is_refused(weir):
    w = weir(site("limit 1r/m burst=3"))
    assert statuses(w, 5) == [200, 200, 200, 429, 429]
    assert w.metric("weir_limit_passed_total") == 3
    assert w.metric("weir_limit_refused_total") == 2
    assert w.metrics()['weir_request_errors_total{error="rate_limited"}'] == 2


def test_rate_comes_back(weir):
    w = weir(site("limit 10r/s burst=1"))
    assert statuses(w, 2) == [200, 429]
    time.sleep(0.15)
    assert statuses(w, 2) == [200, 429]


def test_fields_of_the_draft(weir):
    w = weir(site("limit 6r/m burst=2 name=api"))
    with w.client() as c:
        first, second, third = c.get(), c.get(), c.get()
    assert first.get("RateLimit-Policy") == '"api";q=2;w=20'
    assert first.get("RateLimit") == '"api";r=1;t=10'
    assert second.get("RateLimit").startswith('"api";r=0;t=')
    assert third.status == 429 and third.get("RateLimit").startswith('"api";r=0;t=')
    assert 1 <= int(third.get("Retry-After")) <= 10
    assert not first.all("Retry-After")


def test_quiet_tells_nothing_but_when_to_come_back(weir):
    w = weir(site("limit 6r/m burst=1 quiet"))
    with w.client() as c:
        c.get()
        r = c.get()
    assert r.status == 429 and r.get("Retry-After") and not r.all("RateLimit")


def test_other_status(weir):
    w = weir(site("limit 6r/m burst=1 status=503"))
    assert statuses(w, 2) == [200, 503]


def test_own_page_keeps_retry_after(weir):
    w = weir(site('limit 6r/m burst=1\n error 429 "slow down"'))
    with w.client() as c:
        c.get()
        r = c.get()
    assert (r.status, r.text) == (429, "slow down") and r.get("Retry-After")


def test_queue_waits_for_its_turn(weir):
    w = weir(site("limit 10r/s burst=1 queue=3"))
    began, done = time.monotonic(), []

    def one():
        r = w.get()
        done.append((r.status, r.text, time.monotonic() - began))
    threads = [threading.Thread(target=one) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(s for s, *_ in done) == [200] * 4 + [429] * 2
    waited = sorted(at for s, text, at in done if text == "delayed")
    assert len(waited) == 3 and waited[2] >= 0.28
    assert w.metric("weir_limit_delayed_total") == 3


def test_client_that_leaves_the_queue(weir):
    w = weir(site("limit 2r/s burst=1 queue=5"))
    w.get()
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        time.sleep(0.05)
    assert w.get().status == 200
    assert w.answers()


def test_dry_run_only_counts(weir):
    w = weir(site("limit 1r/m burst=1 dry_run"))
    with w.client() as c:
        assert [c.get().text for _ in range(3)] == ["passed", "would_refuse", "would_refuse"]
        assert not c.get().all("RateLimit")
    assert w.metric("weir_limit_dry_run_refused_total") == 3
    assert w.metric("weir_limit_refused_total") == 0


def decisions(w, name):
    """Those that were made at all."""
    got = {}
    for key, value in w.metrics().items():
        if key.startswith(f'weir_limit_decisions_total{{limit="{name}",') and value:
            got[key.split('decision="')[1].rstrip('"}')] = value
    return got


def test_decisions_of_limits_by_name(weir):
    w = weir(site("limit 1r/m burst=3 name=all by=all\n limit 1r/m burst=1 by=$query.k name=\"one key\"\n"
                  "limit 100r/m dry_run concurrent=9\n"
                  "route /slow { limit 10r/s burst=1 queue=1 name=slow\n respond 200 x }"))
    assert statuses(w, 2, "/?k=a") + statuses(w, 1, "/?k=b") + statuses(w, 1, "/slow?k=c") == [200, 429, 200, 200]
    assert decisions(w, "all") == {"passed": 4} and decisions(w, "one key") == {"passed": 3, "refused": 1}
    assert decisions(w, "slow") == {"passed": 1}
    assert statuses(w, 1, "/?k=d") == [429]
    assert decisions(w, "all") == {"passed": 4, "refused": 1} and decisions(w, "one key") == {"passed": 3, "refused": 1}
    w.reload(site("limit 1r/m burst=1 name=all by=all keys=5"))
    assert decisions(w, "all") == {"passed": 4, "refused": 1} and decisions(w, "one key") == {}


def test_decisions_that_delay(weir):
    w = weir(site("limit 10r/s burst=1 queue=2 name=q"))
    assert statuses(w, 2) == [200, 200]
    assert decisions(w, "q") == {"passed": 1, "delayed": 1}


def test_dry_run_counts_for_none_when_another_refuses(weir):
    w = weir(site("limit 1r/m burst=3 by=all name=dry dry_run\n limit 1r/m burst=1 by=$query.k"))
    assert statuses(w, 5, "/?k=a") == [200, 429, 429, 429, 429]
    assert [w.get(f"/?k={k}").text for k in "bcd"] == ["passed", "passed", "would_refuse"]
    assert decisions(w, "dry") == {"passed": 7, "would_refuse": 1}


def test_dry_run_that_counted_nothing_gives_nothing_back(weir):
    w = weir(site("limit 1r/m burst=1 by=all name=dry dry_run\n limit 1r/m burst=1 by=$query.k"))
    assert statuses(w, 5, "/?k=a") == [200, 429, 429, 429, 429]
    assert w.get("/?k=b").text == "would_refuse"
    assert decisions(w, "dry") == {"passed": 1, "would_refuse": 5}


def test_status_in_the_log(weir):
    w = weir("workers 1\nlisten @listen@\nadmin @admin@\n"
             'log access "$status $limit_status" to=@dir@/l.log\n' + site("limit 1r/m burst=1"))
    statuses(w, 2)
    wait_until(lambda: len(w.log_lines("l.log")) == 2, 3)
    assert w.log_lines("l.log") == ["200 passed", "429 refused"]


def test_all_limits_have_to_be_passed_and_a_refused_one_counts_for_none(weir):
    w = weir(site("limit 1r/m burst=4\n limit 1r/m burst=2 by=$query.k"))
    assert statuses(w, 3, "/?k=a") == [200, 200, 429]
    assert statuses(w, 3, "/?k=b") == [200, 200, 429]  # k=a's third took nothing from the four


def test_routes_add_to_the_site_and_may_take_back(weir):
    w = weir(TRUSTING + """site * {
        limit 1r/m burst=4
        respond 200 ok
        route /more/ { limit 1r/m burst=2
            respond 200 ok }
        route /free/ { no limit
            respond 200 ok }
        route /own/ { no limit
            limit 1r/m burst=1
            respond 200 ok }
    }""")
    assert statuses(w, 3, "/more/x") == [200, 200, 429]
    assert statuses(w, 3, "/") == [200, 200, 429]  # the route's requests counted for the site, too
    assert statuses(w, 9, "/free/") == [200] * 9
    assert statuses(w, 2, "/own/") == [200, 429]


def test_names_count_together(weir):
    w = weir("""site a.test { limit 1r/m burst=2 name=shared
        respond 200 a }
    site b.test { limit 1r/m burst=2 name=shared
        respond 200 b }""")
    assert statuses(w, 1, host="a.test") + statuses(w, 2, host="b.test") == [200, 200, 429]


def test_when_block(weir):
    w = weir(TRUSTING + "site * {\n respond 200 ok\n when method == POST { limit 1r/m burst=1 }\n}\n")
    with w.client() as c:
        assert [c.post().status for _ in range(2)] == [200, 429]
        assert c.get().status == 200


def test_workers_count_together(weir):
    w = weir("workers 4\nlisten @listen@\nadmin @admin@\n" + site("limit 1r/h burst=50"))
    got = [w.get().status for _ in range(80)]
    assert (got.count(200), got.count(429)) == (50, 30)


def test_reload_keeps_counts_though_numbers_and_lines_change(weir):
    w = weir(site("limit 1r/m burst=2"))
    assert statuses(w, 3) == [200, 200, 429]
    w.reload("\n\n" + site("limit 1r/m burst=3"))
    assert statuses(w, 2) == [200, 429]


# ---------------------------------------------------------------- who is counted together

def test_networks_of_ipv4_and_ipv6(weir):
    w = weir(site("limit 1r/m burst=1 by=ip/24"))
    assert statuses(w, 1, headers=by("192.0.2.1")) == [200]
    assert statuses(w, 1, headers=by("192.0.2.200")) == [429]
    assert statuses(w, 1, headers=by("192.0.3.1")) == [200]
    assert statuses(w, 1, headers=by("2001:db8::1")) == [200]
    assert statuses(w, 1, headers=by("2001:db8::ffff:2")) == [429]
    assert statuses(w, 1, headers=by("2001:db8:0:1::1")) == [200]


@pytest.mark.parametrize("alias", ["::ffff:192.0.2.1", "::FFFF:C000:0201", "[::ffff:192.0.2.1]:99",
                                   "0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1:1234"])
def test_one_address_spelled_in_other_ways(weir, alias):
    w = weir(site("limit 1r/m burst=1"))
    assert statuses(w, 1, headers=by("192.0.2.1")) == [200]
    assert statuses(w, 1, headers=by(alias)) == [429]


@pytest.mark.parametrize("headers", [by("10.1.1.%d"), ["X-Real-IP: 10.1.1.%d"],
                                     ["Forwarded: for=10.1.1.%d"], ["X-Client-IP: 10.1.1.%d"],
                                     ["x-forwarded-for: 10.1.1.%d", "X-Forwarded-For: 10.1.2.%d"]])
def test_nobody_but_trusted_proxies_tells_addresses(weir, headers):
    w = weir("site * {\n respond 200 ok\n limit 1r/m burst=2\n}\n")
    got = [w.get(headers=[h.replace("%d", str(i)) for h in headers]).status for i in range(4)]
    assert got == [200, 200, 429, 429]


def test_a_client_behind_a_trusted_proxy_cannot_choose_its_address(weir):
    w = weir(site("limit 1r/m burst=1"))
    # what the client wrote comes first; the trusted proxy added the last one
    got = [statuses(w, 1, headers=by(f"10.9.9.{i}, 192.0.2.7"))[0] for i in range(3)]
    assert got == [200, 429, 429]


@pytest.mark.parametrize("path", ["/api/x", "/%61pi/x", "/./api/x", "/a/../api/x", "//api/x", "/api/%78",
                                  "/api/x?y=1", "/api//x"])
def test_paths_spelled_in_other_ways(weir, path):
    w = weir(TRUSTING + "site * {\n respond 200 ok\n"
             " route /api/ {\n  respond 200 ok\n  limit 1r/m burst=1\n }\n}\n")
    assert statuses(w, 1, "/api/x") == [200]
    assert statuses(w, 1, path) == [429]


def test_key_of_a_header(weir):
    w = weir(site("limit 1r/m burst=1 by=${header.X-Api-Key}"))
    assert statuses(w, 2, headers=["X-Api-Key: a"]) == [200, 429]
    assert statuses(w, 1, headers=["x-api-KEY: a"]) == [429]
    assert statuses(w, 1, headers=["X-Api-Key: a", "X-Api-Key: z"]) == [429]  # the first counts
    assert statuses(w, 1, headers=["X-Api-Key: b"]) == [200]
    assert statuses(w, 2) == [200, 429]  # those without one are one
    assert statuses(w, 1, headers=["X-Api-Key:"]) == [429]


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "FOO"])
def test_methods_count_together(weir, method):
    w = weir(site("limit 1r/m burst=1"))
    with w.client() as c:
        assert c.get().status == 200
        assert c.get(method=method, headers=["X-HTTP-Method-Override: GET"]).status == 429


def test_http2_counts_with_http1(weir):
    w = weir(site("limit 1r/m burst=3"))
    assert statuses(w, 1) == [200]
    with H2Raw(w.port) as c:
        got = [c.get("/", stream)[0] for stream in (1, 3, 5)]
    assert got == [200, 200, 429]


# ---------------------------------------------------------------- at once

def test_requests_at_once(weir, origin):
    hold = Hold()
    o = origin(lambda r: [hold, answer()] if r.target == "/slow" else answer())
    w = weir("site * {\n proxy @o@\n limit concurrent=2\n}\n", o=o)
    with w.client() as a, w.client() as b:
        for c in (a, b):
            c.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert hold.reached.wait(5)
        deadline = time.monotonic() + 5
        while w.metric("weir_requests_active") < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        r = w.get()
        assert r.status == 429 and r.get("Retry-After") == "1"
        hold.release()
        assert a.response().status == b.response().status == 200
    assert statuses(w, 5) == [200] * 5
    assert w.metrics()['weir_request_errors_total{error="too_many_at_once"}'] == 1


def test_clients_that_leave_do_not_stay_counted(weir, origin):
    o = origin(lambda r: [1.0, answer()] if r.target == "/slow" else answer())
    w = weir("site * {\n proxy @o@\n limit concurrent=1\n}\n", o=o)
    for _ in range(3):
        with w.client() as c:
            c.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
            time.sleep(0.1)
            c.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: a reset
        time.sleep(0.1)
    assert w.get().status == 200


# ---------------------------------------------------------------- bytes

def timed(f):
    began = time.monotonic()
    return f(), time.monotonic() - began


def test_download_at_a_pace(weir, origin):
    w = weir("site * {\n proxy @o@\n limit download=400k/s\n}\n", o=origin(answer(b"x" * 400_000)))
    r, seconds = timed(w.get)
    assert r.body == b"x" * 400_000
    assert 0.7 < seconds < 3


def test_download_of_one_client_is_shared(weir, origin):
    w = weir("site * {\n proxy @o@\n limit download=400k/s\n}\n", o=origin(answer(b"x" * 200_000)))

    def both():
        threads = [threading.Thread(target=w.get) for _ in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert timed(both)[1] > 0.7


def test_slow_pace_is_nobodys_timeout(weir, origin):
    w = weir("site * {\n proxy @o@\n limit download=60k/s upload=60k/s\n"
             " timeout read=500ms send=500ms client_body=500ms client_send=500ms\n}\n",
             o=origin(lambda r: answer(r.body)))
    with w.client(timeout=20) as c:
        r, seconds = timed(lambda: c.post(body=b"y" * 150_000))
    assert r.status == 200 and r.body == b"y" * 150_000
    assert seconds > 2.5


def test_upload_at_a_pace(weir, origin):
    o = origin(lambda r: answer(str(len(r.body))))
    w = weir("site * {\n proxy @o@\n limit upload=400k/s\n}\n", o=o)
    with w.client(timeout=20) as c:
        r, seconds = timed(lambda: c.post(body=b"y" * 400_000))
    assert r.text == "400000" and 0.7 < seconds < 4


def test_pace_on_http2_and_head(weir, origin):
    w = weir("site * {\n proxy @o@\n limit download=100k/s\n}\n", o=origin(answer(b"x" * 60_000)))
    with H2Raw(w.port) as c:
        (status, body, _), seconds = timed(lambda: c.get("/"))
        assert status == 200 and len(body) == 60_000 and seconds > 0.3
    with w.client() as c:
        assert timed(lambda: c.get(method="HEAD"))[1] < 1


# ---------------------------------------------------------------- mistakes

@pytest.mark.parametrize("line,want", [
    ("limit", "a rate, concurrent="), ("limit 10", "has no unit"), ("limit 1M/s", "a rate of requests"),
    ("limit 0r/s", "a rate of requests"), ("limit burst=3 concurrent=1", "belong to a rate"),
    ("limit 1r/s by=me", "the same for everybody"), ("limit 1r/s by=ip/33", "32 bits of IPv4"),
    ("limit 1r/s by=ip/24/129", "128 of IPv6"), ("limit 1r/s by=ip/24/48/", "32 bits of IPv4"),
    ("limit 1r/s by=$nothing", "nothing"), ("limit 1r/s status=200", "status"),
    ('limit 1r/s name="a\\"b"', "quotes")])
def test_mistakes(tmp_path, line, want):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"site * {{\n respond 200 x\n {line}\n}}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and want in done.stderr, done.stderr


def test_explain_shows_limits(tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text("site * {\n respond 200 x\n limit 10r/s burst=20\n}\n")
    done = weir_cli("explain", "http://a.test/", "-c", conf)
    assert re.search(r"limit +10r/s burst=20 \(by the client's address\) .*:3", done.stdout)


def test_by_user_after_auth(weir):
    """What is limited by who somebody is counts those alone who were let in; addresses count before."""
    secret_text = "a-secret-of-more-than-thirty-two-bytes"
    key = secret(secret_text)
    w = weir(f"""site * {{
        respond 200 ok
        limit 2r/h by=$user
        limit 5r/h
        auth jwt secret={secret_text}
    }}""")

    def ask(user=None):
        token = [f"Authorization: Bearer {key.token(sub=user)}"] if user else []
        return w.get("/", headers=token)
    assert [ask("ann").status for _ in range(3)] == [200, 200, 429]
    refused = ask("ann")  # what a user may not takes nothing from the address
    assert refused.status == 429 and refused.get("Retry-After")
    assert (ask("bob").status, ask().status, ask().status) == (200, 401, 401)
    assert ask("bob").status == 429 and ask().status == 429  # the address has used up its five
    assert w.metric("weir_auth_asked_total") == 2


def test_dry_run_and_concurrency_by_user(weir, origin):
    secret_text = "a-secret-of-more-than-thirty-two-bytes"
    key = secret(secret_text)
    hold = Hold()
    o = origin(lambda r: [hold, answer()])
    w = weir(f"""site * {{
        proxy {o.address}
        limit concurrent=1 by=$user
        limit 1r/h by=${{claim.team}} dry_run
        auth jwt secret={secret_text}
    }}""")

    def head(user):
        return f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key.token(sub=user, team='x')}\r\n\r\n".encode()
    with w.client() as first, w.client() as second, w.client() as other:
        first.send(head("ann"))
        wait_until(lambda: len(o.requests) == 1)
        second.send(head("ann"))
        assert second.response().status == 429
        other.send(head("bob"))
        wait_until(lambda: len(o.requests) == 2)
        hold.release()
        assert first.response().status == other.response().status == 200
    assert w.metric("weir_limit_dry_run_refused_total") == 1
