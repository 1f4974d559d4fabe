# SPDX-License-Identifier: Apache-2.0
"""Who may do what at the admin API: sockets and their users, tokens, certificates, and whoever tries to come in
by another way."""
import grp
import os
import pathlib
import socket
import ssl
import stat
import tempfile
import time

import pytest

from kit import Client, Closed, Pki, TlsClient, client_context, free_port, wait_until, weir_cli
from kit.h2raw import H2Raw
from kit.tools import need, run
from kit.weir import BINARY

FULL, READ, METRICS = "full-token-0123456789", "read-token-0123456789", "prom-token-0123456789"
SITE = "listen @listen@\nlog access off\nworkers 1\nsite * { respond 200 ok }\n"
TOKENS = SITE + f"admin @admin@ token={FULL} read_token={READ} metrics_token={METRICS} name=admin.test\n"

QUIET = {"NOTIFY_SOCKET": ""}  # the kit's own is for its own user

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")


def bearer(token, scheme="Bearer"):
    return f"Authorization: {scheme} {token}"


def ask(w, path="/status", headers=(), method="GET", to=None, host="127.0.0.1", body=None):
    with Client(to or w.admin_port) as c:
        if method == "POST":
            return c.post(path, body or b"", host, headers).status
        return c.get(path, host, headers, method=method).status


def as_user(uid, socket, path, method="GET", gid=65534):
    """The status that somebody else gets over a unix socket; 0: the socket was not to be reached."""
    done = run(need("setpriv"), f"--reuid={uid}", f"--regid={gid}", "--clear-groups", need("curl"), "-s",
               "-o", "/dev/null", "-w", "%{http_code}", "-X", method, "--unix-socket", socket,
               f"http://localhost{path}")
    return int(done.stdout)


# ---------------------------------------------------------------- unix sockets

@pytest.fixture
def nobodys():
    """A program that runs weir as a user of its own, with a runtime folder of its own; and where its socket is."""
    with tempfile.TemporaryDirectory(prefix="weir-test-") as name:
        yield runs_as_nobody(pathlib.Path(name))


def runs_as_nobody(place):
    folder = place / "run"
    folder.mkdir()
    place.chmod(0o755)
    who = "setpriv --reuid=65534 --regid=65534 --clear-groups" if os.geteuid() == 0 else "env"
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    script = place / "weir"
    script.write_text(f"#!/bin/sh\nXDG_RUNTIME_DIR={folder} exec {who} {BINARY} \"$@\"\n")
    script.chmod(0o755)
    return script, folder / "weir/admin.sock"


def test_a_unix_socket_without_a_word(weir, nobodys):
    script, socket = nobodys
    w = weir(SITE, binary=script, env=QUIET)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert ask(w, to=str(socket), host="localhost") == 200
    assert ask(w, "/reload", to=str(socket), method="POST", host="localhost") == 200
    w.wait_stderr(f"admin on unix:{socket}")
    with pytest.raises(OSError):
        w.admin("/status")
    w.stop()
    assert not socket.exists()


def test_a_second_weir_of_the_same_user_does_without(weir, nobodys):
    script, socket = nobodys
    first, second = (weir(SITE, binary=script, env=QUIET) for _ in range(2))
    second.wait_stderr(f"no admin listener: unix:{socket}")
    assert second.get().status == 200
    second.stop()
    assert ask(first, to=str(socket), host="localhost") == 200


def test_commands_do_not_need_it(weir):
    w = weir("listen @listen@\nadmin off\nlog access off\ncache_store memory size=16M\nsite * { respond 200 }\n")
    for words in (["status"], ["ban", "192.0.2.1", "10m"], ["unban", "192.0.2.1"], ["purge", "--all"], ["reload"]):
        done = weir_cli(*words, "-c", w.config)
        assert done.returncode == 0, (words, done.stderr)


@needs_root
def test_the_kernel_says_who_asks(weir):
    """Root may do everything, others that the mode lets in may look: whatever they say of themselves."""
    w = weir(SITE + "admin unix:@dir@/a.sock mode=0666\n")
    socket = str(w.dir / "a.sock")
    assert as_user(1, socket, "/status") == 200
    assert as_user(1, socket, "/reload", "POST") == 403
    assert as_user(0, socket, "/reload", "POST") == 200
    done = run(need("setpriv"), "--reuid=1", "--regid=1", "--clear-groups", need("curl"), "-s", "-o", "/dev/null", "-w",
               "%{http_code}", "-X", "POST", "-H", "X-HTTP-Method-Override: GET", "-H", bearer(FULL), "-H",
               "X-Forwarded-For: 127.0.0.1", "-H", "X-Forwarded-User: root", "--unix-socket", socket,
               "http://localhost/stop")
    assert done.stdout == "403"
    assert w.get().status == 200
    w.wait_stderr("POST /reload by user id 0")


@needs_root
def test_a_group_may_look(weir):
    group = grp.getgrgid(1)
    w = weir(SITE + f"admin unix:@dir@/a.sock group={group.gr_name}\n")
    socket = w.dir / "a.sock"
    info = socket.stat()
    assert (stat.S_IMODE(info.st_mode), info.st_gid) == (0o660, 1)
    assert as_user(65534, str(socket), "/status", gid=1) == 200
    assert as_user(65534, str(socket), "/reload", "POST", gid=1) == 403
    assert as_user(65534, str(socket), "/status", gid=65534) == 0
    w.write(SITE + "admin unix:@dir@/a.sock mode=0600\n")
    assert weir_cli("reload", "-c", w.config).returncode == 0
    wait_until(lambda: stat.S_IMODE(socket.stat().st_mode) == 0o600, 3, "the new mode")
    assert as_user(65534, str(socket), "/status", gid=1) == 0


def test_a_group_that_is_not_there(weir):
    w = weir(SITE + "admin unix:@dir@/a.sock group=no-such-group\n", wait=False)
    w.process.wait(10)
    assert "cannot listen on unix:" in w.stderr and "such a group" in w.stderr
    w.kill()


# ---------------------------------------------------------------- tokens

@pytest.mark.parametrize("token,statuses", [
    (FULL, (200, 200, 200, 200)), (READ, (200, 200, 200, 403)), (METRICS, (200, 403, 403, 403)),
    (None, (401, 401, 401, 401))])
def test_roles(weir, token, statuses):
    w = weir(TOKENS)
    headers = [bearer(token)] if token else []
    got = [ask(w, path, headers) for path in ("/metrics", "/status", "/config")]
    got.append(ask(w, "/unban?all=1", headers, "POST"))
    assert tuple(got) == statuses
    with Client(w.admin_port) as c:
        page = c.get("/", "127.0.0.1", headers)
        assert ("POST" in page.text) == (token == FULL) and ("/config" in page.text) == (token in (FULL, READ))
        assert token or page.get("WWW-Authenticate") == 'Bearer realm="weir"'


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer ", "BeArEr"])
def test_spellings_of_the_scheme(weir, scheme):
    assert ask(weir(TOKENS), headers=[bearer(READ, scheme)]) == 200


@pytest.mark.parametrize("headers", [
    [bearer(READ.upper())], [bearer(READ[:-1])], [bearer(READ + "x")], [bearer(READ[1:])], [bearer(f'"{READ}"')],
    [bearer(READ + "," + READ)], [bearer(READ, "Basic")], [bearer(READ, "Token")], ["Authorization: " + READ],
    ["Authorization: Bearer"], ["Authorization: Bearer\t" + READ], [bearer(READ), bearer(READ)],
    [bearer("wrong-token-0123456789"), bearer(READ)], ["authorization: Basic eDp5", bearer(READ)],
    ["X-Authorization: Bearer " + READ], ["Proxy-Authorization: Bearer " + READ], ["Cookie: token=" + READ],
    ["X-Original-Authorization: Bearer " + READ]])
def test_no_other_way_with_a_token(weir, headers):
    w = weir(TOKENS)
    assert ask(w, headers=headers) == 401
    assert ask(w, "/status?token=" + READ) == 401


@pytest.mark.parametrize("path", ["/reload", "/%72eload", "//reload", "/./reload", "/x/../reload", "/reload?x", "/stop",
                                  "/server", "/cache/purge?all=1", "/ban?ip=192.0.2.1&seconds=60", "/upgrade"])
def test_who_may_look_changes_nothing(weir, path):
    w = weir(TOKENS)
    before = w.config.stat()
    for method, more in (("POST", []), ("GET", ["X-HTTP-Method-Override: POST"]), ("PUT", []), ("HEAD", [])):
        status = ask(w, path, [bearer(READ), *more], method)
        assert status in (403, 404, 405), (method, status)
    with Client(w.admin_port) as c:  # the whole URL as the target
        c.send(f"POST http://127.0.0.1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer(READ)}\r\n"
               "Content-Length: 0\r\n\r\n".encode())
        assert c.response().status in (403, 404)
    assert w.get().status == 200 and w.config.stat() == before


def test_methods(weir):
    w = weir(TOKENS)
    for method, path, status in (("GET", "/reload", 405), ("HEAD", "/stop", 405), ("PUT", "/status", 405),
                                 ("OPTIONS", "/status", 405), ("POST", "/status", 405), ("GET", "/none", 404)):
        assert ask(w, path, [bearer(FULL), "X-HTTP-Method-Override: POST"], method) == status, (method, path)


@pytest.mark.parametrize("host,status", [
    ("127.0.0.1", 200), ("localhost", 200), ("LOCALHOST", 200), ("localhost.", 200), ("[::1]", 200),
    ("[::1]:9180", 200), ("127.0.0.1:1", 200), ("admin.test", 200), ("Admin.Test.", 200), ("admin.test:80", 200),
    ("evil.test", 403), ("127.0.0.1.evil.test", 403), ("localhost.evil.test", 403), ("xadmin.test", 403),
    ("admin.test.evil.test", 403), ("127.1", 403), ("2130706433", 403), ("0x7f000001", 403),
    ("[::1].evil.test", 400), ("localhost@evil.test", 400), ("", 400)])
def test_hosts(weir, host, status):
    w = weir(TOKENS)
    assert ask(w, headers=[bearer(READ)], host=host) == status


def test_hosts_of_a_target(weir):
    w = weir(TOKENS)
    with Client(w.admin_port) as c:
        c.send(f"GET http://evil.test/status HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer(READ)}\r\n\r\n".encode())
        assert c.response().status == 400
    with Client(w.admin_port) as c:
        c.send(f"GET http://evil.test/status HTTP/1.1\r\nHost: evil.test\r\n{bearer(READ)}\r\n\r\n".encode())
        assert c.response().status == 403


@pytest.mark.parametrize("fields,status", [
    (["Origin: http://evil.test"], 403), (["Origin: null"], 403), (["Origin: http://127.0.0.1"], 403),
    (["Sec-Fetch-Site: cross-site"], 403), (["Sec-Fetch-Site: same-site"], 403),
    (["sec-fetch-site: CROSS-SITE"], 403), (["Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"], 403),
    (["Sec-Fetch-Site: none"], 200), (["Sec-Fetch-Site: same-origin"], 200)])
def test_pages_in_browsers(weir, fields, status):
    w = weir(TOKENS)
    assert ask(w, "/unban?all=1", [bearer(FULL), *fields], "POST") == status
    assert ask(w, headers=[bearer(FULL), *fields]) == status
    if status == 403:
        text = ask_text(w, "/metrics", FULL)
        assert "weir_admin_pages_refused_total 2" in text


def ask_text(w, path, token):
    with Client(w.admin_port) as c:
        return c.get(path, "127.0.0.1", [bearer(token)]).text


@pytest.mark.parametrize("fields,status", [
    ([], 200), (["Content-Type: application/json"], 200), (["Content-Type: application/json; charset=utf-8"], 200),
    (["Content-Type: text/plain"], 415), (["Content-Type: application/x-www-form-urlencoded"], 415),
    (["Content-Type: multipart/form-data; boundary=x"], 415),
    (["Content-Type: application/json", "Content-Type: text/plain"], 415)])
def test_forms_change_nothing(weir, fields, status):
    assert ask(weir(TOKENS), "/unban?all=1", [bearer(FULL), *fields], "POST") == status


def test_http2_does_not_get_around_it(weir):
    w = weir(TOKENS)
    with H2Raw(w.admin_port) as c:
        c.request(path="/status", authority="127.0.0.1")
        assert c.response(seconds=2)[0] is None
    assert ask(w, headers=["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"]) == 401


def test_guessing_comes_to_an_end(weir):
    w = weir("trust 127.0.0.0/8\n" + TOKENS)
    statuses = [ask(w, headers=[bearer(f"wrong-token-{i:012}"), f"X-Forwarded-For: 192.0.2.{i}"]) for i in range(21)]
    assert statuses == [401] * 20 + [429]
    with Client(w.admin_port) as c:
        r = c.get("/status", "127.0.0.1", [bearer(FULL)])
        assert r.status == 429 and 1 <= int(r.get("Retry-After")) <= 6
    assert ask(w) == 401  # who brings none guesses nothing
    line = "admin: refused 127.0.0.1: no token that is known"
    wait_until(lambda: w.stderr.count(line) == 20, 3, "20 lines in the log")
    assert weir_cli("status", "-c", w.config).returncode == 0
    wait_until(lambda: ask(w, headers=[bearer(FULL)]) == 200, 8, "an end of it")
    text = ask_text(w, "/metrics", METRICS)
    assert "weir_admin_unauthenticated_total 21" in text


def test_right_tokens_are_not_counted(weir):
    w = weir(TOKENS)
    assert {ask(w, headers=[bearer(READ)]) for _ in range(60)} == {200}


def test_tokens_are_shown_to_nobody(weir, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("of-a-file-0123456789abcdef\n")
    w = weir(SITE + f"admin @admin@ token=${{file:{secret}}} read_token={READ}\n")
    assert ask(w, headers=[bearer("of-a-file-0123456789abcdef")]) == 200
    ask(w, headers=[bearer("wrong-token-0123456789")])
    told = [ask_text(w, page, READ) for page in ("/config", "/status", "/metrics", "/")]
    told += [w.stderr, w.stdout, weir_cli("status", "-c", w.config).stdout]
    for text in told:
        assert READ not in text and "of-a-file-" not in text and "wrong-token" not in text, text
    w.write(SITE + "admin @admin@ token=short read_token=planted-short\n")
    done = weir_cli("check", "-c", w.config)
    assert done.returncode != 0 and "at least 16" in done.stderr
    assert "planted-short" not in done.stderr


def test_a_reload_changes_tokens(weir):
    w = weir(TOKENS)
    assert ask(w, headers=[bearer(FULL)]) == 200
    w.write(TOKENS.replace(FULL, "other-token-0123456789"))
    assert weir_cli("reload", "-c", w.config).returncode == 0
    wait_until(lambda: ask(w, headers=[bearer("other-token-0123456789")]) == 200, 5, "the new token")
    assert ask(w, headers=[bearer(FULL)]) == 401


# ---------------------------------------------------------------- addresses and certificates

@pytest.mark.parametrize("line,want", [
    ("admin 0.0.0.0:9000", "other machines"), ("admin :9000", "other machines"), ("admin [::]:9000", "other machines"),
    ("admin 192.0.2.1", "other machines"), ("admin [::ffff:192.0.2.1]:9000", "other machines"),
    ("admin 192.0.2.1 { tls client=optional ca=@ca@ }", "other machines"),
    ("admin 192.0.2.1 { tls profile=modern }", "other machines"),
    ("admin 127.0.0.1 token=short", "at least 16"), ("admin 127.0.0.1 token=\"0123456789 0123456789\"", "ASCII"),
    ("admin 127.0.0.1 group=adm", "only a unix socket"), ("admin unix:/tmp/x mode=999", "octal"),
    ("admin unix:/tmp/x mode=01777", "octal"), ("admin off\nadmin 127.0.0.1", "stands alone"),
    ("admin 127.0.0.1\nadmin localhost:9180", "another 'admin'"), ("admin example.com", "expected an address"),
    ("admin 127.0.0.1 name=a_b/c", "not a host"), ("admin 127.0.0.1 { tls cert=/nonexistent }", "nonexistent")])
def test_mistakes(tmp_path, line, want):
    ca = Pki(tmp_path / "pki").ca.crt
    conf = tmp_path / "weir.conf"
    conf.write_text(line.replace("@ca@", str(ca)) + "\nsite * { respond 200 }\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and want in done.stderr, done.stderr


@pytest.mark.parametrize("line", [
    "admin 0.0.0.0 insecure", f"admin 0.0.0.0 token={FULL}", "admin 192.0.2.1 { tls client=required ca=@ca@ }",
    "admin ::1", "admin [::ffff:127.0.0.1]:9000", "admin localhost", "admin off",
    "admin unix:/run/weir/x.sock\nadmin 127.0.0.1\nadmin [::1]"])
def test_what_may_be(tmp_path, line):
    ca = Pki(tmp_path / "pki").ca.crt
    conf = tmp_path / "weir.conf"
    conf.write_text(line.replace("@ca@", str(ca)) + "\nsite * { respond 200 }\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode == 0, done.stderr
    assert ("without TLS" in done.stderr) == ("token" in line)


def tls_status(w, context, path="/status", headers=(), method="GET", host="localhost"):
    with TlsClient(w.admin_port, context, sni=host) as c:
        return c.get(path, host, headers, method=method).status


def test_a_certificate_lets_in(weir, tmp_path):
    pki, other = Pki(tmp_path / "pki"), Pki(tmp_path / "other")
    server = pki.cert("localhost")
    w = weir(SITE + "admin @admin@ {\n tls cert=@crt@ key=@key@ client=required ca=@ca@\n}\n",
             crt=server.crt, key=server.key, ca=pki.ca.crt)
    known = client_context(pki.ca.crt, pki.cert("ann"))
    assert tls_status(w, known) == 200
    assert tls_status(w, known, "/unban?all=1", method="POST") == 200
    for context in (client_context(pki.ca.crt), client_context(pki.ca.crt, other.cert("ann"))):
        with pytest.raises((ssl.SSLError, OSError, Closed)):
            tls_status(w, context)
    assert ask(w) == 400  # without TLS


def test_a_certificate_and_its_role(weir, tmp_path):
    pki = Pki(tmp_path / "pki")
    server = pki.cert("localhost")
    w = weir(SITE + "admin @admin@ cert_role=metrics {\n tls cert=@crt@ key=@key@ client=required ca=@ca@\n}\n",
             crt=server.crt, key=server.key, ca=pki.ca.crt)
    known = client_context(pki.ca.crt, pki.cert("prometheus"))
    assert (tls_status(w, known, "/metrics"), tls_status(w, known), tls_status(w, known, "/stop", method="POST")) == (
        200, 403, 403)


def test_a_certificate_does_not_replace_a_token(weir, tmp_path):
    pki = Pki(tmp_path / "pki")
    server = pki.cert("localhost")
    w = weir(SITE + f"admin @admin@ read_token={READ} {{\n tls cert=@crt@ key=@key@ client=required ca=@ca@\n}}\n",
             crt=server.crt, key=server.key, ca=pki.ca.crt)
    known = client_context(pki.ca.crt, pki.cert("ann"))
    assert tls_status(w, known) == 401
    assert tls_status(w, known, headers=[bearer(READ)]) == 200


def test_tls_of_the_local_ca_and_a_reload_that_brings_it(weir):
    w = weir(SITE + "admin @admin@\n")
    assert ask(w) == 200
    w.write(SITE + "admin @admin@ { tls profile=modern }\n")
    assert weir_cli("reload", "-c", w.config).returncode == 0

    def answers():
        try:
            return tls_status(w, client_context(w.dir / "ca/ca.crt")) == 200
        except OSError:
            return False
    wait_until(answers, 5, "TLS")
    assert w.get().status == 200


def test_two_listeners_with_roles_of_their_own(weir):
    port = free_port()
    w = weir(SITE + f"admin @admin@ token={FULL}\nadmin 127.0.0.1:{port}\n")
    assert (ask(w), ask(w, headers=[bearer(FULL)]), ask(w, to=port)) == (401, 200, 200)
    assert ask(w, "/reload", [bearer(FULL)], "POST", to=port) == 403


def test_loopback_without_a_token_is_for_looking(weir):
    w = weir(SITE + "admin @admin@\n")
    assert ask(w) == 200
    for path in ("/reload", "/stop", "/upgrade", "/unban?all=1"):
        assert ask(w, path, method="POST") == 403
    time.sleep(0.1)
    assert w.get().status == 200


def test_a_crowd_at_one_listener_is_bounded(weir):
    """Whoever reaches it and says nothing takes neither the clients' descriptors nor the way in by another one."""
    w = weir("site * { respond 200 ok }", nofile=300)
    held = [socket.create_connection(("127.0.0.1", w.admin_port), 2) for _ in range(400)]
    w.wait_stderr("admin: 64 connections are open at 127.0.0.1")
    assert w.get("/").status == 200
    assert weir_cli("status", "-c", w.config).returncode == 0
    for s in held:
        s.close()

    def is_let_in():
        try:
            return w.metric("weir_connections_open") == 0
        except (OSError, Closed):
            return False
    wait_until(is_let_in, 5, "room for those who ask")
