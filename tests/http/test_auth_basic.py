# SPDX-License-Identifier: Apache-2.0
"""`auth basic`: names and passwords, who gets in, and who tries to get in all the same."""
import base64
import os
import threading
import time

import pytest

from kit import wait_until, weir_cli
from kit.h2raw import H2Raw

# "open sesame" and "changed": cost 5, so that tests are quick
ALICE = "$2y$05$0AWnCdPgHYRTgwg/XourDeCx8IJ1kotL92xCa1T8kEMk0Y/pRcPb2"
BOB = "$6$somesalt$24emLLWMBttd4Vr65bzEmlKcIbbG/U3.Ld4DjG.HYfhQD2VvlUzzvJtTyu40lB0PF2rjSl08Wl7.741Zlz9Kr0"
CAROL = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$6JlLzEdKMvGk83Zgd3owplAejssJr2SFlJFlOc7i54A"
DAVE = "$5$somesalt$6XwqLSgSLhGSGin7fH1LqkWScZmeI37F5I2aPSIE7KA"
# of a cost that takes a while, and of the same
SLOW = "$2y$09$19B093L3LqVYBqxvqH/tAuX6SnjNm9Q4MEUSxcIqXAbbmpeEX1vWm"


def basic(user, password, scheme="Basic"):
    pair = user if isinstance(user, bytes) else f"{user}:{password}".encode()
    return f"Authorization: {scheme} {base64.b64encode(pair).decode()}"


def bytes_of(pair):
    return basic(pair, None)


def users(folder, *lines):
    path = folder / "users"
    path.write_text("".join(line + "\n" for line in lines))
    return path


@pytest.fixture
def guarded(weir, tmp_path):
    """A site behind `auth basic`, with alice, bob, carol and dave: all of "open sesame"."""
    file = users(tmp_path, "# staff", f"alice:{ALICE}", "", f"bob:{BOB}", f"carol:{CAROL}", f"dave:{DAVE}")
    w = weir(f"site * {{ respond 200 \"for $user by $auth\"\n auth basic {file} realm=staff }}\n")
    w.users = file
    return w


def status(w, *headers, path="/", **kw):
    return w.get(path, headers=list(headers), **kw).status


@pytest.mark.parametrize("user", ["alice", "bob", "carol", "dave"])
def test_who_knows_the_password_gets_in(guarded, user):
    r = guarded.get(headers=[basic(user, "open sesame")])
    assert (r.status, r.text) == (200, f"for {user} by basic")
    assert guarded.metric("weir_auth_granted_total") == 1


def test_who_does_not_is_asked(guarded):
    r = guarded.get()
    assert r.status == 401
    assert r.all("WWW-Authenticate") == ['Basic realm="staff", charset="UTF-8"']
    assert status(guarded, basic("alice", "open")) == 401
    assert status(guarded, basic("eve", "open sesame")) == 401
    assert guarded.metric("weir_auth_asked_total") == 1
    assert guarded.metric("weir_auth_refused_total") == 2


@pytest.mark.parametrize("header", [
    basic("Alice", "open sesame"), basic("alice ", "open sesame"), basic("alice", "open sesame "),
    basic("alice", "Open Sesame"), basic("alice", ""), basic("", "open sesame"),
    bytes_of(b"alice"), bytes_of(b"alice:open sesame\0"), bytes_of(b"alice:open sesame\0x"),
    bytes_of(b"alice\0:open sesame"), bytes_of(b"alice:open sesame\n"), bytes_of(b":alice:open sesame"),
    basic("alice", "open sesame") + "=", basic("alice", "open sesame") + "YQ==",
    basic("alice", "open sesame") + " x", basic("alice", "open sesame") + ",",
    basic("alice", "open sesame").rstrip("="), basic("alice", "open sesame")[:-2] + "V=",
    basic("alice", "open sesame", "Basic,"), basic("alice", "open sesame", "Bearer"),
    basic("alice", "open sesame").replace("Basic ", "Basic\t"),
    basic("alice", "open sesame").replace("Basic ", "Basic"),
    "Authorization: " + basic("alice", "open sesame").split()[-1], "Authorization: Basic", "Authorization:",
    "X-Authorization: " + basic("alice", "open sesame").split(" ", 1)[1],
    "Proxy-Authorization: " + basic("alice", "open sesame").split(" ", 1)[1],
    basic("alice", ALICE), basic("alice", "x" * 512), basic("a" * 256, "open sesame"), basic("x", "y" * 4000),
])
def test_nothing_else_gets_in(guarded, header):
    assert status(guarded, header) == 401
    assert status(guarded, basic("alice", "open sesame")) == 200


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc", "Basic   "])
def test_the_scheme_is_not_case_sensitive(guarded, scheme):
    assert status(guarded, basic("alice", "open sesame", scheme)) == 200


def test_two_fields_are_refused(guarded):
    good, bad = basic("alice", "open sesame"), basic("eve", "x")
    assert [status(guarded, *h) in (400, 401) for h in ([good, bad], [bad, good], [good, good])] == [True] * 3


@pytest.mark.parametrize("path", ["/inner/x", "//inner/x", "/a/../inner/x", "/%69nner/x", "/./inner//x"])
def test_other_spellings_of_a_path(weir, path):
    w = weir(f"""site * {{ respond 200 ok
        route /inner {{ auth basic {{ user alice {ALICE} }}
            respond 200 ok }} }}""")
    assert status(w, path=path) == 401
    assert status(w, basic("alice", "open sesame"), path=path) == 200
    assert status(w, path="/outer") == 200


def test_http2(guarded):
    value = basic("alice", "open sesame").split(": ", 1)[1]
    with H2Raw(guarded.port) as c:
        assert c.get("/")[0] == 401
        assert c.get("/", 3, extra=[("authorization", value)])[0] == 200
        assert c.get("/", 5, extra=[("authorization", value), ("authorization", value)])[0] in (400, 401)
        assert c.get("/", 7, extra=[("authorization", value[:-3])])[0] == 401


def test_utf8_is_taken_as_bytes(weir):
    hashed = weir_cli("hash-password", "sha512", input="geheim\u00fc\n").stdout.strip()
    w = weir(f"site * {{ respond 200 $user\n auth basic {{ user j\u00f6rg '{hashed}' }} }}\n")
    r = w.get(headers=[basic("j\u00f6rg", "geheim\u00fc")])
    assert (r.status, r.text) == (200, "j\u00f6rg")
    assert status(w, bytes_of("j\u00f6rg:geheim\u00fc".encode("latin-1"))) == 401


def test_wrong_then_right_then_wrong(guarded):
    with guarded.client() as c:
        seen = [c.get(headers=[basic("alice", p)]).status for p in ("a", "open sesame", "b", "open sesame", "a")]
    assert seen == [401, 200, 401, 200, 401]


def test_many_requests_cost_one_hash(weir):
    w = weir(f"site * {{ respond 200 ok\n auth basic {{ user alice {SLOW} }} }}\n")
    seen = []

    def load():
        seen.extend(status(w, basic("alice", "open sesame")) for _ in range(5))
    threads = [threading.Thread(target=load) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == [200] * 50
    assert w.metric("weir_auth_passwords_hashed_total") == 1


def test_unknown_users_take_as_long(weir):
    w = weir(f"site * {{ respond 200 ok\n auth basic {{ user alice {SLOW} }} }}\n")

    def seconds(user):
        began = time.monotonic()
        assert status(w, basic(user, "guess")) == 401
        return time.monotonic() - began
    known, unknown = seconds("alice"), seconds("eve")
    assert w.metric("weir_auth_passwords_hashed_total") == 2
    assert unknown > known / 8 and unknown > 0.005


def test_loop_serves_others_meanwhile(weir):
    w = weir(f"""site * {{ respond 200 ok
        route /closed {{ auth basic {{ user alice {SLOW} }}
            respond 200 ok }} }}""")
    clients = [w.client(timeout=30) for _ in range(8)]
    for i, c in enumerate(clients):
        c.send(f"GET /closed HTTP/1.1\r\nHost: a\r\n{basic('alice', f'guess {i}')}\r\n\r\n".encode())
    began = time.monotonic()
    assert status(w) == 200
    assert time.monotonic() - began < 1
    assert [c.response().status for c in clients] == [401] * 8


def test_a_flood_of_guesses_is_bounded(weir):
    """One address has its share of what waits; who comes from elsewhere gets in meanwhile."""
    w = weir(f"trust 127.0.0.0/8\nsite * {{ respond 200 ok\n auth basic {{ user alice {SLOW} }} }}\n")
    clients = [w.client(timeout=60) for _ in range(60)]
    for i, c in enumerate(clients):
        c.send(f"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n"
               f"{basic('alice', f'guess {i}')}\r\n\r\n".encode())
    wait_until(lambda: w.metric("weir_auth_passwords_busy_total") > 0, 10, "a guess that is refused")
    with w.client(timeout=60) as good:
        assert good.get(headers=["X-Forwarded-For: 198.51.100.7", basic("alice", "open sesame")]).status == 200
    waiting = 60 - w.metric("weir_auth_refused_total") - w.metric("weir_auth_passwords_busy_total")
    assert waiting > 10, "it waited for them all"
    for c in clients:
        c.close()


def test_clients_that_leave_meanwhile(weir):
    w = weir(f"site * {{ respond 200 ok\n auth basic {{ user alice {SLOW} }} }}\n")
    for i in range(12):
        with w.client() as c:
            c.send(f"GET / HTTP/1.1\r\nHost: a\r\n{basic('alice', f'guess {i % 6}')}\r\n\r\n".encode())
    assert status(w, basic("alice", "open sesame")) == 200


def test_stops_while_passwords_wait(weir):
    w = weir(f"stop_timeout 1s\nsite * {{ respond 200 ok\n auth basic {{ user alice {SLOW} }} }}\n")
    clients = [w.client() for _ in range(20)]
    for i, c in enumerate(clients):
        c.send(f"GET / HTTP/1.1\r\nHost: a\r\n{basic('alice', f'guess {i}')}\r\n\r\n".encode())
    wait_until(lambda: w.metric("weir_auth_passwords_hashed_total") > 5, 5, "guesses")
    w.stop()


def test_file_changes_while_running(guarded):
    assert status(guarded, basic("alice", "open sesame")) == 200
    changed = weir_cli("hash-password", "sha512", input="changed\n").stdout.strip()
    generation = guarded.generation()
    guarded.users.write_text(f"alice:{changed}\n")
    wait_until(lambda: guarded.generation() != generation, 10, "the file was read again")
    assert status(guarded, basic("alice", "open sesame")) == 401
    assert status(guarded, basic("alice", "changed")) == 200
    assert status(guarded, basic("bob", "open sesame")) == 401


def test_broken_file_changes_nothing(guarded):
    guarded.users.write_text("alice:secret\n")
    guarded.wait_stderr("reload refused", 10)
    assert "users:1: alice: is not a hash" in guarded.stderr and "secret" not in guarded.stderr
    assert status(guarded, basic("alice", "open sesame")) == 200


@pytest.mark.parametrize("line,says", [
    ("alice:$apr1$Pdb9cZs2$ajB5OpHKPb9GN.l0G7CRk0", "users:1: alice: is an MD5 hash"),
    ("alice:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=", "users:1: alice: is a plain SHA-1 hash"),
    ("alice:rl.3StKT.4T8M", "users:1: alice: is a DES hash"),
    ("# x\nalice:plain", "users:2: alice: is not a hash"),
    ("alice", "users:1: NAME:HASH is due"),
    (f"alice:{ALICE}\nalice:{BOB}", "user 'alice' is there twice"),
])
def test_bad_files_are_refused(tmp_path, line, says):
    users(tmp_path, line)
    conf = tmp_path / "weir.conf"
    conf.write_text("site * {\n respond 200 ok\n auth basic users\n}\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode == 3
    assert says in done.stderr and "weir.conf:3" in done.stderr
    for secret in line.split(":")[1:]:
        assert secret not in done.stderr


def test_missing_file_and_no_users(tmp_path):
    conf = tmp_path / "weir.conf"
    for lines, says in (("auth basic nowhere", "cannot read"), ("auth basic", "lines 'user NAME HASH' are due"),
                        ("auth basic { user a b }", "user 'a' is not a hash"),
                        ('auth basic users realm="a\tb"', "no controls")):
        users(tmp_path, f"alice:{ALICE}")
        conf.write_text("site * {\n respond 200 ok\n " + lines + "\n}\n")
        done = weir_cli("check", "-c", conf)
        assert done.returncode == 3 and says in done.stderr, (lines, done.stderr)


def test_realm_is_quoted(weir):
    w = weir(f"site * {{ respond 200 ok\n auth basic realm='a \"b\" \\c' {{ user alice {ALICE} }} }}\n")
    assert w.get().get("WWW-Authenticate") == 'Basic realm="a \\"b\\" \\\\c", charset="UTF-8"'


def test_strip_and_header(weir, origin):
    o = origin()
    w = weir(f"""site * {{ proxy {o.address}
        auth {{ basic strip {{ user alice {ALICE} }}; header Remote-User $user }}
        route /kept {{ auth basic {{ user alice {ALICE} }}
            proxy {o.address} }} }}""")
    assert status(w, basic("alice", "open sesame"), "Remote-User: root") == 200
    seen = dict((n.lower(), v) for n, v in o.requests[-1].headers)
    assert "authorization" not in seen and seen["remote-user"] == "alice"
    assert status(w, basic("alice", "open sesame"), path="/kept") == 200
    assert "authorization" in dict((n.lower(), v) for n, v in o.requests[-1].headers)


def test_any_lets_others_in_without(weir):
    w = weir(f"""site * {{ respond 200 "by $auth"
        auth any {{ require header.X-Door == open; basic {{ user alice {ALICE} }} }} }}""")
    assert status(w, "X-Door: open") == 200
    assert status(w, basic("alice", "open sesame")) == 200
    r = w.get()
    assert r.status == 401 and len(r.all("WWW-Authenticate")) == 1


def test_who_is_known_and_may_not_is_not_asked_again(weir):
    w = weir(f"""site * {{ respond 200 ok
        auth any {{ require header.X-Door == open; all {{ basic {{ user alice {ALICE} }}; require user == bob }} }} }}""")
    assert status(w) == 401
    assert status(w, basic("alice", "guess")) == 401
    assert status(w, basic("alice", "open sesame")) == 403
    assert status(w, basic("alice", "open sesame"), "X-Door: open") == 200


def test_secrets_stay_inside(weir, tmp_path):
    file = users(tmp_path, f"bob:{BOB}")
    w = weir(f"site * {{ respond 200 ok\n auth basic {file} {{ user alice {ALICE} }} }}\n")
    status(w, basic("alice", "open sesame"))
    status(w, basic("alice", "guessed it"))
    told = w.admin("/config").text + w.stderr + "".join(w.log_lines())
    told += weir_cli("explain", "http://a/", "-c", w.config).stdout
    for secret in ALICE, ALICE[10:30], BOB, "open sesame", "guessed it", base64.b64encode(b"alice:open").decode()[:8]:
        assert secret not in told


def test_explain_and_tests(tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"""site * {{ respond 200 ok
        auth basic {{ user alice {ALICE} }}
        test "closed" {{
            GET /
            expect status 401
        }}
    }}""")
    done = weir_cli("check", "-c", conf)
    assert done.returncode == 0, done.stderr
    assert "basic (1 user" in weir_cli("explain", "http://a/", "-c", conf).stdout


# --- weir hash-password


@pytest.mark.parametrize("kind,prefix", [((), "$y$"), (("yescrypt",), "$y$"), (("bcrypt",), "$2b$12$"),
                                         (("sha512",), "$6$rounds=500000$")])
def test_hash_password(tmp_path, kind, prefix):
    done = weir_cli("hash-password", *kind, input="tell me\n")
    assert done.returncode == 0 and done.stdout.startswith(prefix), done.stderr
    users(tmp_path, f"alice:{done.stdout.strip()}")
    conf = tmp_path / "weir.conf"
    conf.write_text("site * {\n respond 200 ok\n auth basic users\n}\n")
    assert weir_cli("check", "-c", conf).returncode == 0


@pytest.mark.parametrize("given,says", [("\n", "empty"), ("", "empty"), ("x" * 512 + "\n", "at most 511 bytes"),
                                        ("a\tb\n", "controls")])
def test_hash_password_refuses(given, says):
    done = weir_cli("hash-password", input=given)
    assert done.returncode == 1 and says in done.stderr and done.stdout == ""


def test_hash_password_limits_of_bcrypt():
    assert weir_cli("hash-password", "bcrypt", input="x" * 72).returncode == 0
    done = weir_cli("hash-password", "bcrypt", input="x" * 73)
    assert done.returncode == 1 and "72 bytes" in done.stderr
    assert weir_cli("hash-password", "md5", input="x").returncode == 2


def test_hash_password_asks_a_terminal(tmp_path):
    import pty
    from kit.weir import BINARY
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(BINARY, [str(BINARY), "hash-password", "sha512"])

    def read_until(word):
        seen = b""
        while word not in seen:
            seen += os.read(fd, 1000)
        return seen
    read_until(b"assword")
    os.write(fd, b"hidden one\n")
    read_until(b"gain")
    os.write(fd, b"hidden one\n")
    seen = read_until(b"$6$")
    assert os.waitpid(pid, 0)[1] == 0
    assert b"hidden" not in seen
    os.close(fd)
