# SPDX-License-Identifier: Apache-2.0
"""Sessions that stay on one server: by weir's cookie, by what the application calls them, by address; over
workers, reloads and restarts, and when the server is gone, full or draining."""
import base64
import collections
import os
import re
import signal
import threading
import time

import pytest

from kit import Hold, answer, wait_until, weir_cli
from kit.tools import run

COOKIE = re.compile(r"(\w+)=([A-Za-z0-9_-]{40})((?:; [^;]+)*)$")


def names(origin, *all_names, script=None):
    return [origin(script(n) if script else answer(n)) for n in all_names]


def config(sticky, servers="@a@ @b@ @c@", more="", workers=1):
    lines = "".join(f"server {s}; " for s in servers.split())
    return f"""
workers {workers}
listen @listen@
admin @admin@
log access json to=@dir@/access.log
upstream u {{ {lines.replace('+', ' ')} balance round_robin; {sticky}; {more} }}
site * {{ proxy u }}
"""


def given(r):
    """Name, value and attributes of weir's cookie in an answer; None when there is none."""
    for line in r.all("Set-Cookie"):
        m = COOKIE.match(line)
        if m and m[1].startswith("weir"):
            return m[1], m[2], m[3]
    return None


def session(w, **kw):
    """A new session: its server's name and the header that keeps it there."""
    r = w.get(**kw)
    name, value, _ = given(r)
    return r.text, f"Cookie: {name}={value}"


def stays(w, server, cookie, count=6):
    got = [w.get(headers=[cookie]) for _ in range(count)]
    assert [r.text for r in got] == [server] * count
    assert [given(r) for r in got] == [None] * count, "it is given only when it changes"


# --------------------------------------------------------------------- weir's cookie

def test_cookie_keeps_the_server(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    w = weir(config("sticky cookie"), a=a, b=b, c=c)
    sessions = [session(w) for _ in range(6)]
    assert collections.Counter(s for s, _ in sessions) == {"a": 2, "b": 2, "c": 2}
    for server, cookie in sessions:
        stays(w, server, cookie, 3)
    assert w.metric("weir_sticky_kept_total") == 18
    assert w.metric("weir_sticky_moved_total") == 0


def test_cookie_tells_nothing_and_is_not_for_scripts(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    w = weir(config("sticky cookie"), a=a, b=b, c=c)
    r = w.get()
    name, value, attributes = given(r)
    assert (name, attributes) == ("weir_srv", "; Path=/; HttpOnly; SameSite=Lax")
    assert r.all("Cache-Control") == ["private"]
    raw = base64.urlsafe_b64decode(value)
    for o in (a, b, c):
        assert str(o.port).encode() not in raw and b"127.0.0.1" not in raw


def test_options_of_the_cookie(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    w = weir(config("sticky cookie name=weir_x ttl=2h path=/p domain=a.test samesite=strict secure=on"),
             a=a, b=b, c=c)
    name, _, attributes = given(w.get())
    assert name == "weir_x"
    assert attributes == "; Path=/p; Domain=a.test; Max-Age=7200; HttpOnly; SameSite=Strict; Secure"


def test_secure_over_tls(weir, origin):
    o = origin(answer("a"))
    w = weir("workers 1\nlisten @listen@\nlisten @tls@ tls\nadmin @admin@\n"
             "site localhost { proxy @o@ { sticky cookie } }\n", o=o)
    done = run("curl", "-ski", f"https://localhost:{w.tls_port}/")
    line = re.search(r"(?i)^set-cookie: (.*?)\r?$", done.stdout, re.M)[1]
    assert line.endswith("; Secure")


def test_the_server_does_not_see_it(weir, origin):
    o = origin(answer("o"))
    w = weir("site * { proxy @o@ { sticky cookie } }\n", o=o)
    _, cookie = session(w)
    w.get(headers=[cookie + "; mine=1"])
    w.get(headers=[cookie])
    w.get(headers=["Cookie: weir_srv=junk"])
    assert [r.all("Cookie") for r in o.requests] == [[], ["mine=1"], [], []]


@pytest.mark.parametrize("spoil", [
    lambda v: v[:-1] + ("A" if v[-1] != "A" else "B"), lambda v: ("A" if v[0] != "A" else "B") + v[1:],
    lambda v: v[:20], lambda v: v + "AAAA", lambda v: "", lambda v: "127.0.0.1:80", lambda v: "A" * 40])
def test_what_is_not_weirs_is_as_none(weir, origin, spoil):
    a, b, c = names(origin, "a", "b", "c")
    w = weir(config("sticky cookie"), a=a, b=b, c=c)
    server, cookie = session(w)
    name, value = cookie.removeprefix("Cookie: ").split("=", 1)
    got = [w.get(headers=[f"Cookie: {name}={spoil(value)}"]) for _ in range(6)]
    assert all(r.status == 200 and given(r) for r in got)
    assert collections.Counter(r.text for r in got) == {"a": 2, "b": 2, "c": 2}


def test_over_workers_reloads_and_a_restart(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    text = config("sticky cookie", workers=3)
    w = weir(text, a=a, b=b, c=c)
    sessions = [session(w) for _ in range(3)]

    def check():
        for server, cookie in sessions:
            stays(w, server, cookie)  # each request on a connection of its own: any worker
    check()
    w.reload(text.replace("server @a@; server @b@; server @c@",
                          "server @c@; server @a@ weight=2; server @b@"))
    check()
    old = w.worker_pid
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: w.worker_pid != old and w.answers(), 10, "a new worker")
    check()


def test_the_secret_is_kept_over_starts(weir, origin, tmp_path):
    a, b, c = names(origin, "a", "b", "c")
    env = {"WEIR_CA_DIR": str(tmp_path / "kept")}
    first = weir(config("sticky cookie"), a=a, b=b, c=c, env=env)
    server, cookie = session(first)
    first.stop()
    stays(weir(config("sticky cookie"), a=a, b=b, c=c, env=env), server, cookie)
    other = weir(config("sticky cookie"), a=a, b=b, c=c)
    assert given(other.get(headers=[cookie])), "another installation's"
    assert (tmp_path / "kept/cookies.key").stat().st_mode & 0o777 == 0o600


def test_weirs_with_one_secret_share_sessions(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    text = config("sticky cookie secret=${env.STICKY}")
    env = {"STICKY": "correct horse battery staple"}
    one, two = (weir(text, a=a, b=b, c=c, env=env) for _ in range(2))
    stays(two, *session(one))


def test_a_dead_server_loses_its_sessions_to_another(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    w = weir(config("sticky cookie", more="eject after=1 for=10s"), a=a, b=b, c=c)
    server, cookie = session(w)
    dict(a=a, b=b, c=c)[server].stop()
    r = w.get(headers=[cookie])
    assert r.status == 200 and r.text != server
    name, value, _ = given(r)
    stays(w, r.text, f"Cookie: {name}={value}")
    assert w.metric("weir_sticky_moved_total") == 1


@pytest.mark.parametrize("how", ["removed", "disabled"])
def test_a_server_taken_out_loses_its_sessions_to_another(weir, origin, how):
    a, b, c = names(origin, "a", "b", "c")
    w = weir(config("sticky cookie"), a=a, b=b, c=c)
    server, cookie = session(w)
    left = " ".join(f"@{s}@" + ("+disabled" if s == server else "")
                    for s in "abc" if s != server or how == "disabled")
    w.reload(config("sticky cookie", servers=left))
    r = w.get(headers=[cookie])
    assert r.text != server
    name, value, _ = given(r)
    stays(w, r.text, f"Cookie: {name}={value}")


def test_draining_keeps_sessions_and_gets_no_new_ones(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    w = weir(config("sticky cookie"), a=a, b=b, c=c)
    server, cookie = session(w)
    w.reload(config("sticky cookie", servers=" ".join(
        f"@{s}@" + ("+drain" if s == server else "") for s in "abc")))
    stays(w, server, cookie)
    assert server not in {session(w)[0] for _ in range(8)}


@pytest.mark.parametrize("kind", ["cookie", "learn cookie=JSESSIONID"])
def test_servers_added_and_drained_at_run_time(weir, origin, kind):
    a, b, c = names(origin, "a", "b", "c", script=app)
    w = weir(config(f"sticky {kind}", servers="@a@ @b@", workers=2), a=a, b=b, c=c)

    def change(*words):
        done = weir_cli("server", *words, "-c", w.config)
        assert done.returncode == 0, done.stderr

    def begin():
        r = w.get("/login")
        return r.text, "Cookie: " + "; ".join(v.split(";")[0] for v in r.all("Set-Cookie"))
    first = [begin() for _ in range(4)]
    change("add", "u", c.address)
    sessions = first + [begin() for _ in range(6)]
    assert {s for s, _ in sessions} == {"a", "b", "c"}
    change("drain", "u", a.address)
    for server, cookie in sessions:
        assert {w.get(headers=[cookie]).text for _ in range(3)} == {server}
    assert "a" not in {begin()[0] for _ in range(8)}
    change("remove", "u", c.address)
    assert all(w.get(headers=[cookie]).text in "ab" for _, cookie in sessions)


def full(w, origin_of, cookie, server):
    """A request of the session that its server holds on to."""
    hold = Hold()
    origin_of[server].script = [hold, answer(server)]
    t = threading.Thread(target=w.get, kwargs={"headers": [cookie]})
    t.start()
    assert hold.reached.wait(5)
    return hold, t


def test_a_full_server_passes_the_session_on(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    servers = "@a@+max_conns=1 @b@+max_conns=1 @c@+max_conns=1"
    w = weir(config("sticky cookie", servers=servers), a=a, b=b, c=c)
    server, cookie = session(w)
    hold, t = full(w, dict(a=a, b=b, c=c), cookie, server)
    r = w.get(headers=[cookie])
    assert r.text != server and given(r)
    hold.release()
    t.join()


def test_strict_waits_for_a_full_server(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    servers = "@a@+max_conns=1 @b@+max_conns=1 @c@+max_conns=1"
    w = weir(config("sticky cookie strict", servers=servers), a=a, b=b, c=c)
    server, cookie = session(w)
    hold, t = full(w, dict(a=a, b=b, c=c), cookie, server)
    threading.Timer(0.3, hold.release).start()
    dict(a=a, b=b, c=c)[server].script = answer(server)
    assert w.get(headers=[cookie]).text == server
    t.join()


def test_strict_has_no_other_server(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    w = weir(config("sticky cookie strict", more="eject after=1 for=10s"), a=a, b=b, c=c)
    server, cookie = session(w)
    dict(a=a, b=b, c=c)[server].stop()
    first, second = (w.get(headers=[cookie]) for _ in range(2))
    assert first.status in (502, 503) and second.status == 503
    assert not given(first) and not given(second)
    assert w.get().status == 200


def test_http2_clients(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    text = config("sticky cookie").replace("site *", "listen @tls@ tls\nsite localhost")
    w = weir(text, a=a, b=b, c=c)
    jar = w.dir / "jar"
    urls = [f"https://localhost:{w.tls_port}/{i}" for i in range(6)]
    done = run("curl", "-sk", "--http2", "-c", jar, "-b", jar, *urls)
    assert len(done.stdout) == 6 and len(set(done.stdout)) == 1
    assert {line["proto"] for line in w.access(6)} == {"HTTP/2.0"}


def test_an_upgrade_gives_it_too(weir, origin):
    o = origin(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    w = weir("site * { proxy @o@ { sticky cookie } }\n", o=o)
    r = w.get(headers=["Connection: upgrade", "Upgrade: x"])
    assert r.status == 101 and given(r)


def test_error_pages_give_none(weir, origin):
    o = origin(answer("x"))
    w = weir("site * { proxy @o@ { sticky cookie } }\n", o=o)
    o.stop()
    assert given(w.get()) is None


# --------------------------------------------------------------------- learned, and by address

def app(name):
    """Begins a session when it is asked for /login, ends it at /logout."""
    def script(r):
        if r.target == "/login":
            return answer(name, headers=[f"Set-Cookie: JSESSIONID={name}-{r.connection}-{id(r)}; Path=/"])
        if r.target == "/logout":
            return answer(name, headers=["Set-Cookie: JSESSIONID=; Max-Age=0"])
        return answer(name)
    return script


def login(w):
    r = w.get("/login")
    return r.text, "Cookie: x=1; " + r.get("Set-Cookie").split(";")[0]


def test_learned_cookie(weir, origin):
    a, b, c = names(origin, "a", "b", "c", script=app)
    text = config("sticky learn cookie=JSESSIONID", workers=2)
    w = weir(text, a=a, b=b, c=c)
    sessions = [login(w) for _ in range(6)]
    for _ in range(2):
        for server, cookie in sessions:
            got = [w.get(headers=[cookie]) for _ in range(3)]
            assert {r.text for r in got} == {server}
            assert not any(r.all("Set-Cookie") for r in got)
        w.reload(text)  # the table outlives it
    assert o_sees(a, b, c)


def o_sees(*origins):
    """The application's cookie reaches its servers."""
    return all("JSESSIONID=" in r.get("Cookie") for o in origins for r in o.requests
               if r.target == "/")


def test_sessions_nobody_named_stay_nowhere(weir, origin):
    a, b, c = names(origin, "a", "b", "c", script=app)
    w = weir(config("sticky learn cookie=JSESSIONID"), a=a, b=b, c=c)
    got = [w.get(headers=["Cookie: JSESSIONID=invented"]).text for _ in range(6)]
    assert collections.Counter(got) == {"a": 2, "b": 2, "c": 2}


def test_a_learned_session_moves_when_its_server_is_gone(weir, origin):
    a, b, c = names(origin, "a", "b", "c", script=app)
    w = weir(config("sticky learn cookie=JSESSIONID", more="eject after=1 for=10s"), a=a, b=b, c=c)
    server, cookie = login(w)
    dict(a=a, b=b, c=c)[server].stop()
    got = {w.get(headers=[cookie]).text for _ in range(6)}
    assert len(got) == 1 and server not in got


def test_the_longest_idle_session_is_forgotten(weir, origin):
    a, b, c = names(origin, "a", "b", "c", script=app)
    w = weir(config("sticky learn cookie=JSESSIONID size=1"), a=a, b=b, c=c)
    sessions = [login(w) for _ in range(60)]  # room for 16: one in each shard
    stayed = sum(w.get(headers=[cookie]).text == server for server, cookie in reversed(sessions))
    assert stayed < 50


def test_a_learned_session_ends_with_its_time(weir, origin):
    a, b, c = names(origin, "a", "b", "c", script=app)
    w = weir(config("sticky learn cookie=JSESSIONID ttl=1s"), a=a, b=b, c=c)
    server, cookie = login(w)
    assert {w.get(headers=[cookie]).text for _ in range(4)} == {server}
    time.sleep(1.2)
    assert len({w.get(headers=[cookie]).text for _ in range(6)}) > 1


def test_learned_header(weir, origin):
    def script(name):
        return lambda r: answer(name, headers=["X-Session: s-" + name] if r.target == "/new" else [])
    a, b, c = names(origin, "a", "b", "c", script=script)
    w = weir(config("sticky learn header=X-Session"), a=a, b=b, c=c)
    for _ in range(3):
        r = w.get("/new")
        key = f"X-Session: {r.get('X-Session')}"
        assert {w.get(headers=[key]).text for _ in range(4)} == {r.text}


def test_by_address(weir, origin):
    a, b, c = names(origin, "a", "b", "c")
    text = "trust 127.0.0.1\n" + config("sticky ip", workers=2)
    w = weir(text, a=a, b=b, c=c)

    def server_of(ip):
        return w.get(headers=[f"X-Forwarded-For: {ip}"]).text
    home = {f"192.0.2.{i}": server_of(f"192.0.2.{i}") for i in range(12)}
    assert len(set(home.values())) == 3
    for _ in range(2):
        assert all(server_of(ip) == s for ip, s in home.items())
        w.reload(text)
