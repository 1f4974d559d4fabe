# SPDX-License-Identifier: Apache-2.0
"""FastCGI against a scripted server: what it is told, what it may say, which script a path means, and reuse."""
import socket
import threading
import time

import pytest

from fastcgi_server import (ABORT, BEGIN, CLOSE, DATA, END, HEAD, PARAMS, STDERR, STDIN, STDOUT, UNKNOWN, VALUES,
                            FastCgi, answer, end, err, out, record)
from kit import weir_cli
from kit.tools import wait_until


@pytest.fixture
def fcgi():
    running = []

    def make(script=None, **kw):
        s = FastCgi(script, **kw)
        running.append(s)
        return s
    yield make
    for s in running:
        s.stop()
        assert not s.errors, s.errors


@pytest.fixture
def www(tmp_path):
    tmp_path.chmod(0o755)
    root = tmp_path / "www"
    for name in ("index.php", "page.php", "admin/index.php", "style.css", "docs/index.html", "empty/x", "old.php.bak",
                 "upload/cat.jpg", "LOUD.PHP", "odd.php/inner.txt", "notes.php~", "phpinfo.txt", "x.php5", ".secret.php",
                 ".well-known/a.txt", "deep.php.d/a.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"source of {name}")
    (tmp_path / "outside.php").write_text("outside")
    (root / "link.php").symlink_to("../outside.php")
    return root


def start(weir, s, options="root=/app", block="", more="", **kw):
    return weir(f"site * {{\n{more}\nfastcgi @fcgi@ {options} {{\n{block}\n}}\n}}\n", fcgi=s.address, **kw)


# -- what the server is told

def test_the_parameters(weir, fcgi):
    s = fcgi()
    w = start(weir, s)
    r = w.get("/blog/a%20b.php/in%2Ffo?x=1&y=%20", headers=["Accept: a/b", "X-Two: 1", "x-two: 2", "Cookie: a=1",
                                                        "Cookie: b=2", "Authorization: Basic abc"])
    assert (r.status, r.body) == (200, b"ok")
    p = s.requests[0].params
    expected = {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/blog/a%20b.php/in%2Ffo?x=1&y=%20", "QUERY_STRING": "x=1&y=%20", "DOCUMENT_ROOT": "/app",
        "SCRIPT_NAME": "/blog/a b.php", "SCRIPT_FILENAME": "/app/blog/a b.php", "PATH_INFO": "/in/fo",
        "PATH_TRANSLATED": "/app/in/fo", "DOCUMENT_URI": "/blog/a b.php/in/fo", "REDIRECT_STATUS": "200",
        "REQUEST_SCHEME": "http", "SERVER_NAME": "127.0.0.1", "SERVER_ADDR": "127.0.0.1",
        "SERVER_PORT": str(w.port), "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "a.test", "HTTP_ACCEPT": "a/b",
        "HTTP_X_TWO": "1, 2", "HTTP_COOKIE": "a=1; b=2", "HTTP_AUTHORIZATION": "Basic abc"}
    assert {k: p.get(k) for k in expected} == expected
    assert p["SERVER_SOFTWARE"].startswith("weir/") and int(p["REMOTE_PORT"]) > 0
    for name in ("HTTPS", "CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
        assert name not in p


def test_what_clients_can_not_set(weir, fcgi):
    s = fcgi()
    w = start(weir, s)
    w.get("/x.php", headers=["Proxy: http://evil/", "X_Forwarded_For: 6.6.6.6", "Script-Filename: /etc/passwd",
                             "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443",
                             "Content_Length: 5", "HTTPS: on", "X.Y: 1", "Connection: Authorization",
                             "Authorization: Basic abc", "PHP-VALUE: auto_prepend_file=/etc/passwd"])
    p = s.requests[0].params
    assert "HTTP_PROXY" not in p and "HTTPS" not in p and "PHP_VALUE" not in p and "HTTP_X.Y" not in p
    assert p["HTTP_PHP_VALUE"] and p["HTTP_HTTPS"] == "on" and p["HTTP_SCRIPT_FILENAME"] == "/etc/passwd"
    assert p["SCRIPT_FILENAME"] == "/app/x.php" and p["REMOTE_ADDR"] == "127.0.0.1"
    assert p["HTTP_X_FORWARDED_FOR"] == "127.0.0.1" and p["REQUEST_SCHEME"] == "http"
    assert p["SERVER_PORT"] == str(w.port) and p["HTTP_AUTHORIZATION"] == "Basic abc"


def test_names_of_the_server_are_the_sites(weir, fcgi):
    s = fcgi()
    w = weir("site www.b.test *.c.test { fastcgi @fcgi@ root=/app }\nsite main.test * { fastcgi @fcgi@ root=/app }\n",
             fcgi=s.address)
    for host, name in (("www.b.test", "www.b.test"), ("any.c.test", "any.c.test"), ("evil.test", "main.test"),
                       ("main.test:81", "main.test")):
        w.get("/x.php", host=host)
        assert s.requests[-1].params["SERVER_NAME"] == name
        assert s.requests[-1].params["HTTP_HOST"] == host


def test_a_trusted_proxy_is_believed(weir, fcgi):
    s = fcgi()
    w = weir("trust 127.0.0.0/8\nsite * { fastcgi @fcgi@ root=/app }\n", fcgi=s.address)
    w.get("/x.php", headers=["X-Forwarded-For: 9.8.7.6", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443"])
    p = s.requests[0].params
    assert (p["REMOTE_ADDR"], p["HTTPS"], p["REQUEST_SCHEME"], p["SERVER_PORT"]) == ("9.8.7.6", "on", "https", "443")


def test_parameters_of_the_configuration(weir, fcgi):
    s = fcgi()
    w = start(weir, s, block='param APP_ENV prod\nparam SERVER_NAME fixed.test\nparam WHO "$client_ip/$method"\n'
                             'param HTTP_X_A ours\nparam EMPTY ""')
    w.get("/x.php", headers=["X-A: theirs"])
    p = s.requests[0].params
    assert (p["APP_ENV"], p["SERVER_NAME"], p["WHO"], p["HTTP_X_A"], p["EMPTY"]) == (
        "prod", "fixed.test", "127.0.0.1/GET", "ours", "")


def test_many_large_fields(weir, fcgi):
    s = fcgi()
    w = start(weir, s)
    fields = [f"X-{i}: {'v' * 900}" for i in range(30)]
    assert w.get("/x.php", headers=fields).status == 200
    assert all(s.requests[0].params[f"HTTP_X_{i}"] == "v" * 900 for i in range(30))


# -- bodies

def test_a_body_of_known_length(weir, fcgi):
    s = fcgi(lambda r: answer(str(len(r.body))))
    w = start(weir, s)
    for size in (0, 1, 65535, 65536, 3_000_000):
        with w.client() as c:
            assert c.post("/x.php", b"x" * size, headers=["Content-Type: a/b"]).text == str(size)
        p = s.requests[-1].params
        assert (p["CONTENT_LENGTH"], p["CONTENT_TYPE"]) == (str(size), "a/b")


@pytest.mark.parametrize("pieces", [1, 400])
def test_a_body_of_unknown_length_is_gathered(weir, fcgi, pieces):
    s = fcgi(lambda r: answer(str(len(r.body))))
    w = start(weir, s, more="buffer off memory=64k")
    with w.client() as c:
        c.send(b"POST /x.php HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n",
               b"400\r\n" .join([b""] + [b"x" * 1024 + b"\r\n"] * pieces), 0.1)
        assert not s.requests  # it is not whole
        c.send(b"0\r\n\r\n")
        assert c.response().text == str(1024 * pieces)
    assert s.requests[0].params["CONTENT_LENGTH"] == str(1024 * pieces)


def test_a_client_that_waits_for_100(weir, fcgi):
    s = fcgi(lambda r: answer(str(len(r.body))))
    w = start(weir, s)
    with w.client() as c:
        began = time.monotonic()
        c.send(b"POST /x.php HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert c.head().status == 100
        assert time.monotonic() - began < 0.9
        c.send(b"hi")
        assert c.response().text == "2"
    assert "HTTP_EXPECT" not in s.requests[0].params


def test_a_body_that_breaks_off(weir, fcgi):
    s = fcgi()
    w = start(weir, s)
    with w.client() as c:
        c.send(b"POST /x.php HTTP/1.1\r\nHost: a.test\r\nContent-Length: 200\r\n\r\nsome", 0.1)
    wait_until(lambda: s.connections == 1 and s.open == 0, 3, "the end of the connection")
    assert not s.requests


def test_an_answer_before_the_request_is_whole(weir, fcgi):
    s = fcgi(lambda r: [answer("early"), 0.3, CLOSE], early=True)
    w = start(weir, s)
    with w.client() as c:
        c.send(b"POST /x.php HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5000000\r\n\r\nsome")
        r = c.response()
    assert (r.status, r.text) == (200, "early")


def test_answers_are_passed_as_they_come(weir, fcgi):
    go = threading.Event()
    s = fcgi(lambda r: [out(HEAD + "one"), lambda _: go.wait(5), out("two") + end()])
    w = start(weir, s)
    with w.client() as c:
        c.send(b"GET /x.php HTTP/1.1\r\nHost: a.test\r\n\r\n")
        r = c.response(body=False)
        assert r.get("Transfer-Encoding") == "chunked"
        assert c.take(8) == b"3\r\none\r\n"
        go.set()
        assert c.take(8) == b"3\r\ntwo\r\n"


def test_a_slow_reader_holds_the_server_back(weir, fcgi):
    sent = []

    def much(s):
        for _ in range(2000):
            s.sendall(out(b"x" * 32768))
            sent.append(1)
    s = fcgi(lambda r: [out(HEAD), much, end()])
    w = start(weir, s)
    with w.client(rcvbuf=65536) as c:
        c.send(b"GET /x.php HTTP/1.1\r\nHost: a.test\r\n\r\n")
        c.response(body=False)
        time.sleep(0.7)
        held = len(sent)
        assert held < 600, "64 MB were taken at once"
        size = 0
        while c.buf[-5:] != b"0\r\n\r\n"[-5:] and size < 2000 * 32768:
            size += len(c.buf)
            c.buf = b""
            assert c.fill()
    assert len(sent) == 2000


# -- heads

@pytest.mark.parametrize("head,status,fields", [
    ("Status: 404 Not Here\r\nA: b\r\n\r\n", 404, {"A": "b"}),
    ("Status: 201\nLocation: /new\n\n", 201, {"Location": "/new"}),
    ("Location: http://elsewhere/\r\n\r\n", 302, {"Location": "http://elsewhere/"}),
    ("Content-type: a/b\r\nContent-Length: 4\r\n\r\n", 200, {"Content-Length": "4"}),
    ("X: y\r\nConnection: close, X-Hop\r\nKeep-Alive: 5\r\n\r\n", 200, {"Connection": None, "Keep-Alive": None}),
])
def test_heads(weir, fcgi, head, status, fields):
    w = start(weir, fcgi(answer("body", head)))
    r = w.get("/x.php")
    assert (r.status, r.body) == (status, b"body")
    assert r.get("Status") is None
    assert {k: r.get(k) for k in fields} == fields


def test_cookies_stay_apart(weir, fcgi):
    w = start(weir, fcgi(answer("", "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n")))
    assert w.get("/x.php").all("Set-Cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("method,head", [("HEAD", "Content-Length: 7\r\n\r\n"), ("GET", "Status: 204\r\nA: b\r\n\r\n"),
                                         ("GET", "Status: 304\r\nETag: \"x\"\r\n\r\n")])
def test_answers_without_a_body(weir, fcgi, method, head):
    w = start(weir, fcgi(answer("unasked", head)), block="keepalive 8")
    with w.client() as c:
        for _ in range(2):
            r = c.get("/x.php", method=method)
            assert r.body == b"" and not c.buf


def test_what_is_longer_than_said_is_cut(weir, fcgi):
    w = start(weir, fcgi(answer("body and a newline too much\n", "Content-Length: 4\r\n\r\n")), block="keepalive 8")
    with w.client() as c:
        assert [c.get("/x.php").body for _ in range(3)] == [b"body"] * 3


# -- hostile records

BAD = {
    "no head": ([out("hello\r\n\r\n"), end()], "origin_bad_head"),
    "an empty head": ([answer("x", "\r\n")], "origin_bad_head"),
    "END without STDOUT": ([end()], "origin_bad_head"),
    "END with STDERR alone": ([err("oops"), end(255)], "origin_bad_head"),
    "a head without end": ([out("A: b\r\n"), end()], "origin_bad_head"),
    "a status of 101": ([answer("x", "Status: 101\r\n\r\n")], "origin_bad_head"),
    "a status of 100": ([answer("x", "Status: 100\r\n\r\n")], "origin_bad_head"),
    "a coding": ([answer("x", "Transfer-Encoding: chunked\r\n\r\n")], "origin_bad_framing"),
    "two lengths": ([answer("x", "Content-Length: 1\r\nContent-Length: 2\r\n\r\n")], "origin_bad_framing"),
    "a huge head": ([out(*["A: " + "x" * 60000] * 3), end()], "origin_head_too_large"),
    "another version": ([record(STDOUT, b"A: b\r\n\r\n", version=2)], "origin_fastcgi"),
    "another request": ([record(STDOUT, b"A: b\r\n\r\n", request_id=2)], "origin_fastcgi"),
    "no request": ([record(STDOUT, b"A: b\r\n\r\n", request_id=0)], "origin_fastcgi"),
    "HTTP": ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"], "origin_fastcgi"),
    "an unknown role": ([end(0, 3)], "origin_fastcgi"),
    "a protocol status of 9": ([end(0, 9)], "origin_fastcgi"),
    "a short END": ([record(END, b"\0\0\0\0")], "origin_fastcgi"),
    "overload": ([end(0, 2)], "origin_overloaded"),
    "a close": ([CLOSE], "origin_closed"),
    "a close in a header": ([b"\x01\x06\0", CLOSE], "origin_closed"),
    "a close in the head": ([out("A: b\r\n")[:-2], CLOSE], "origin_closed"),
    **{f"a record of type {k}": ([record(k, b"12345678")], "origin_fastcgi")
       for k in (0, BEGIN, ABORT, PARAMS, STDIN, DATA, 9, VALUES, UNKNOWN, 200)},
}


@pytest.mark.parametrize("name", BAD)
def test_hostile_answers(weir, fcgi, name):
    script, error = BAD[name]
    w = start(weir, fcgi(lambda r: [*script, 0.2, CLOSE]), block="retry off\neject off")
    r = w.get("/x.php")
    assert r.status == (503 if error == "origin_overloaded" else 502)
    assert w.last_access()["error"] == error


@pytest.mark.parametrize("script", [[out(HEAD + "some"), CLOSE], [out("Content-Length: 9\r\n\r\nsome"), end()],
                                    [out(HEAD + "some"), record(STDOUT, b"x", version=9), 0.2],
                                    [out(HEAD + "some"), end(0, 2)]])
def test_answers_that_break_off_look_broken(weir, fcgi, script):
    w = start(weir, fcgi(lambda r: script + [CLOSE]))
    r = w.get("/x.php")
    assert r.status == 200 and not r.complete


def test_good_answers_however_they_come(weir, fcgi):
    whole = (record(UNKNOWN, b"\x09" + b"\0" * 7, 3, 0) + record(STDOUT, b"Content-Type: a/b\r\n", 7) +
             record(STDERR, b"note", 2) + record(STDOUT, b"\r\nhel", 1) + record(STDOUT, b"lo") +
             record(STDOUT, b"", 5) + record(STDERR, b"") + record(END, b"\0" * 8, 4))
    cut = [0]

    def script(_):
        cut[0] += 1
        return [whole[:cut[0]], 0.002, whole[cut[0]:]]
    s = fcgi(script)
    w = start(weir, s, block="keepalive 8")
    with w.client() as c:
        for _ in range(len(whole) - 1):
            r = c.get("/x.php")
            assert (r.status, r.body, r.get("Content-Type")) == (200, b"hello", "a/b")
    assert s.connections == 1


def test_byte_by_byte(weir, fcgi):
    whole = err("a") + answer("hello")
    w = start(weir, fcgi(lambda r: [x for b in whole for x in (bytes([b]), 0.001)]))
    assert w.get("/x.php").body == b"hello"


# -- the error log

def test_what_scripts_say_is_logged(weir, fcgi):
    w = start(weir, fcgi([err("first\x1b[31m line\nsecond\n"), out(HEAD + "ok"), err("third"), end(3)]))
    assert w.get("/x.php").body == b"ok"
    w.wait_stderr("status 3")
    assert "fastcgi: first" in w.stderr and "fastcgi: second" in w.stderr and "\x1b" not in w.stderr
    assert w.last_access()["id"] in w.stderr


def test_the_log_is_bounded(weir, fcgi):
    w = start(weir, fcgi(lambda r: [*[err("x" * 60000)] * 20, answer()]), block="keepalive 8")
    with w.client() as c:
        for _ in range(60):
            assert c.get("/x.php").body == b"ok"
    time.sleep(1.1)
    w.get("/x.php")
    w.wait_stderr("left out")
    assert "bytes more" in w.stderr
    assert len(w.stderr) < 200_000


# -- connections

def test_connections_are_not_kept_unless_asked(weir, fcgi):
    s = fcgi()
    w = start(weir, s)
    with w.client() as c:
        for _ in range(3):
            assert c.get("/x.php").body == b"ok"
    assert s.connections == 3 and not any(r.keep for r in s.requests)


def test_connections_are_kept_when_asked(weir, fcgi):
    s = fcgi()
    w = start(weir, s, block="keepalive 2")
    with w.client() as c:
        for _ in range(5):
            assert c.get("/x.php").body == b"ok"
    assert s.connections == 1 and all(r.keep for r in s.requests)


def test_a_kept_connection_that_was_closed(weir, fcgi):
    s = fcgi(lambda r: [answer(), CLOSE])
    w = start(weir, s, block="keepalive 2")
    with w.client() as c:
        for _ in range(20):
            assert c.get("/x.php").body == b"ok"


def test_more_than_the_answer_is_not_the_next(weir, fcgi):
    s = fcgi(lambda r: answer(str(r.connection)) + answer("poison"))
    w = start(weir, s, block="keepalive 2")
    with w.client() as c:
        assert [c.get("/x.php").text for _ in range(4)] == ["0", "1", "2", "3"]


def test_overload_goes_elsewhere(weir, fcgi):
    full, free = fcgi(end(0, 2)), fcgi(answer("free"))
    w = weir("site * { fastcgi @full@ @free@ root=/app { balance first } }\n", full=full.address, free=free.address)
    assert [w.get("/x.php").text for _ in range(3)] == ["free"] * 3


def test_servers_that_are_down(weir, fcgi):
    down, up = fcgi(), fcgi()
    down.stop()
    w = weir("site * { fastcgi @down@ @up@ root=/app { balance first\ncheck tcp every=100ms } }\n",
             down=down.address, up=up.address)
    assert all(w.get("/x.php").status == 200 for _ in range(5))


def test_time_is_up(weir, fcgi):
    s = fcgi(lambda r: [5, answer()])
    w = start(weir, s, block="timeout first_byte=200ms\nretry off")
    assert w.get("/x.php").status == 504
    wait_until(lambda: s.open == 0 or s.requests, 3)


def test_a_client_that_leaves_ends_the_request(weir, fcgi):
    gone = threading.Event()

    def watch(s):
        try:
            for _ in range(500):
                s.sendall(out("x"))
                time.sleep(0.01)
        except OSError:
            gone.set()
            raise
    s = fcgi(lambda r: [out(HEAD + "some"), watch])
    w = start(weir, s)
    with w.client() as c:
        c.send(b"GET /x.php HTTP/1.1\r\nHost: a.test\r\n\r\n")
        c.response(body=False)
    assert gone.wait(5)


def test_a_named_upstream(weir, fcgi):
    s = fcgi()
    w = weir("upstream php { server @fcgi@\nproto fastcgi\nkeepalive 4 }\n"
             "site * { fastcgi php root=/app { param A b } }\n", fcgi=s.address)
    assert w.get("/x.php").body == b"ok"
    assert s.requests[0].params["A"] == "b" and s.requests[0].keep
    assert w.last_access()["upstream"] == "php"


def test_over_a_unix_socket_and_reload(weir, fcgi, tmp_path):
    s = fcgi(path=str(tmp_path / "s.sock"))
    w = start(weir, s, block="keepalive 4")
    assert w.get("/x.php").body == b"ok"
    w.reload()
    assert w.get("/x.php").body == b"ok"
    assert s.connections == 1


# -- which script

def script_of(s):
    return lambda r: answer(r.params["SCRIPT_NAME"] + "|" + r.params.get("PATH_INFO", ""))


@pytest.mark.parametrize("path,got", [
    ("/", "/index.php|"),
    ("/page.php", "/page.php|"),
    ("/page.php/a/b", "/page.php|/a/b"),
    ("/page%2Ephp", "/page.php|"),
    ("/./x/../page.php", "/page.php|"),
    ("/admin/", "/admin/index.php|"),
    ("/pretty/link/", "/index.php|"),
    ("/tag/a%2Fb", "/index.php|"),
    ("/missing.php", "/index.php|"),
    ("/upload/cat.jpg/x.php", "/index.php|"),
    ("/upload/cat.jpg%00.php", 400),
    ("/%2e%2e/outside.php", 400),
    ("/..%2foutside.php", 400),
    ("/link.php", "/index.php|"),
    ("/odd.php/inner.txt", "/index.php|"),
    ("/style.css", "source of style.css"),
    ("/style.css/", "/index.php|"),
    ("/phpinfo.txt", "source of phpinfo.txt"),
    ("/docs/", "source of docs/index.html"),
    ("/.well-known/a.txt", "source of .well-known/a.txt"),
    ("/old.php.bak", "/index.php|"),
    ("/notes.php~", "/index.php|"),
    ("/x.php5", "/index.php|"),
    ("/LOUD.PHP", "/LOUD.PHP|"),
    ("/loud.php", "/index.php|"),
    ("/empty/", "/index.php|"),
    ("/.secret.php", 404),
    ("/.git/config", 404),
    ("//page.php", "/page.php|"),
])
def test_beside_files(weir, fcgi, www, path, got):
    s = fcgi(script_of(None))
    w = weir("site * {\nfiles @www@\nfastcgi @fcgi@\n}\n", fcgi=s.address, www=str(www))
    r = w.get(path)
    if isinstance(got, int):
        assert r.status == got and not s.requests
    else:
        assert (r.status, r.text) == (200, got)
    assert all(q.params["SCRIPT_FILENAME"] == f"{www}{q.params['SCRIPT_NAME']}" for q in s.requests)


def test_folders_get_their_slash(weir, fcgi, www):
    w = weir("site * {\nfastcgi @fcgi@\nfiles @www@\n}\n", fcgi=fcgi().address, www=str(www))
    for path in ("/admin", "/docs"):
        r = w.get(path + "?x=1")
        assert (r.status, r.get("Location")) == (301, path + "/?x=1")


def test_only_get_is_for_files(weir, fcgi, www):
    w = weir("site * {\nfastcgi @fcgi@\nfiles @www@\n}\n", fcgi=fcgi(script_of(None)).address, www=str(www))
    with w.client() as c:
        assert c.post("/style.css", b"x").text == "/index.php|"
        assert c.get("/style.css", method="HEAD").get("Content-Length") == str(len("source of style.css"))


def test_index_can_not_show_source(weir, fcgi, www):
    w = weir("site * {\nfiles @www@ index=index.php,old.php.bak try=.php,/page.php\n"
             "fastcgi @fcgi@ index=none.php try=off\n}\n", fcgi=fcgi().address, www=str(www))
    assert [w.get(p).status for p in ("/", "/page", "/nothing")] == [404] * 3


def test_without_files_nothing_is_sent(weir, fcgi, www):
    w = weir("site * { fastcgi @fcgi@ root=@www@ }\n", fcgi=fcgi(script_of(None)).address, www=str(www))
    assert [w.get(p).text for p in ("/style.css", "/page.php", "/upload/cat.jpg/x.php", "/admin/")] == [
        "/index.php|", "/page.php|", "/index.php|", "/admin/index.php|"]


def test_no_front_controller(weir, fcgi, www):
    w = weir("site * { fastcgi @fcgi@ root=@www@ try=off }\n", fcgi=fcgi(script_of(None)).address, www=str(www))
    assert [w.get(p).status for p in ("/page.php", "/", "/nope.php", "/nope", "/style.css")] == [200, 200, 404, 404, 404]


def test_a_root_that_weir_does_not_see(weir, fcgi):
    s = fcgi(script_of(None))
    w = start(weir, s, "root=/app/")
    for path, got in (("/a.php", "/a.php|"), ("/a.php/b", "/a.php|/b"), ("/pretty/", "/index.php|"), ("/x.css", "/index.php|")):
        assert w.get(path).text == got
    assert s.requests[0].params["SCRIPT_FILENAME"] == "/app/a.php"


def test_a_root_that_is_another_folder_there(weir, fcgi, www):
    s = fcgi(script_of(None))
    w = weir("site * {\nfiles @www@\nfastcgi @fcgi@ root=/app\n}\n", fcgi=s.address, www=str(www))
    assert w.get("/page.php").text == "/page.php|" and w.get("/style.css").text == "source of style.css"
    assert s.requests[0].params["SCRIPT_FILENAME"] == "/app/page.php"
    w.reload("site * { fastcgi @fcgi@ root=@www@ check_file=off }\n")
    assert w.get("/missing.php").text == "/missing.php|"


def test_the_root_comes_from_around(weir, fcgi, www):
    s = fcgi(script_of(None))
    w = weir("site * {\nfiles @www@\nroute ~ '\\.php(/|$)' { fastcgi @fcgi@ }\n"
             "when header.X-Php { fastcgi @fcgi@ try=/page.php }\n}\n", fcgi=s.address, www=str(www))
    assert w.get("/page.php").text == "/page.php|" and w.get("/style.css").text == "source of style.css"
    assert s.requests[0].params["DOCUMENT_ROOT"] == str(www)
    assert w.get("/style.css", headers=["X-Php: 1"]).text == "/page.php|"


def test_a_stripped_prefix_is_part_of_the_scripts_url(weir, fcgi):
    s = fcgi()
    w = weir("site * { route /blog/ strip { fastcgi @fcgi@ root=/app } }\n", fcgi=s.address)
    w.get("/blog/a.php/x?y")
    p = s.requests[0].params
    assert (p["SCRIPT_NAME"], p["SCRIPT_FILENAME"], p["PATH_INFO"], p["REQUEST_URI"]) == (
        "/blog/a.php", "/app/a.php", "/x", "/blog/a.php/x?y")


def test_applications_without_files(weir, fcgi):
    s = fcgi()
    w = weir("site * { fastcgi @fcgi@ split=off }\n", fcgi=s.address)
    w.get("/any/pa%20th.php/.x?q")
    p = s.requests[0].params
    assert (p["SCRIPT_NAME"], p["PATH_INFO"], p["QUERY_STRING"]) == ("", "/any/pa th.php/.x", "q")
    assert "SCRIPT_FILENAME" not in p


# -- the configuration

@pytest.mark.parametrize("text,said", [
    ("site * { fastcgi 127.0.0.1:9000 }", "needs root=FOLDER"),
    ("site * { fastcgi 127.0.0.1:9000 root=/app\nproxy 127.0.0.1:80 }", "has a 'fastcgi' already"),
    ("site * { fastcgi https://127.0.0.1 root=/app }", "not a URL"),
    ("site * { fastcgi 127.0.0.1 root=/app split=php }", "split is the ending"),
    ("site * { fastcgi 127.0.0.1 root=/app index=a/b.php }", "index is the name"),
    ("site * { fastcgi 127.0.0.1 root=/app try=index.php }", "try is the path"),
    ("site * { fastcgi 127.0.0.1 root=/app { param CONTENT_LENGTH 5 } }", "by the request itself"),
    ("site * { fastcgi 127.0.0.1 root=/app { param A 1\nparam A 2 } }", "given twice"),
    ("site * { fastcgi 127.0.0.1 root=/app { param A-B 1 } }", "not the name of a parameter"),
    ("site * { fastcgi 127.0.0.1 root=/app { param A $nothing } }", "nothing"),
    ("site * { fastcgi 127.0.0.1 root=/app { tls } }", "without TLS"),
    ("site * { fastcgi 127.0.0.1 root=/app { proto h2c } }", "by FastCGI"),
    ("site * { fastcgi 127.0.0.1 root=/app { check /ping } }", "speak FastCGI"),
    ("site * { proxy 127.0.0.1 { proto fastcgi } }", "speaks FastCGI"),
    ("upstream a { server 127.0.0.1 }\nsite * { fastcgi a root=/app }", "does not speak FastCGI"),
    ("upstream a { server 127.0.0.1\nproto fastcgi }\nsite * { fastcgi a root=/app { retry 1 } }",
     "in the block of upstream"),
    ("upstream a { server 127.0.0.1\nproto fastcgi }\nsite * { proxy a }", "speaks FastCGI"),
    ("upstream a { server 127.0.0.1\nproto fastcgi }\nsite * { proxy 127.0.0.1:1\nmirror a }", "speaks FastCGI"),
])
def test_what_the_configuration_may_not_say(tmp_path, text, said):
    conf = tmp_path / "weir.conf"
    conf.write_text(text + "\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode != 0 and said in done.stderr, done.stderr


def test_explain(tmp_path, www):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"listen 127.0.0.1:8080\nsite * {{\nfiles {www}\nfastcgi unix:/run/php.sock\n}}\n")
    done = weir_cli("explain", "http://127.0.0.1:8080/page.php", "-c", conf)
    assert f"root={www} try=/index.php, beside files of {www}" in done.stdout, done.stdout
