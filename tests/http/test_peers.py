# SPDX-License-Identifier: Apache-2.0
"""Real programs on both sides: nginx, python's http.server, node; curl, wrk, h2load, Chromium."""
import hashlib
import json
import re
import subprocess

import pytest

from kit import ROOT, wait_until
from kit.tools import need, run, stop
from peers import Nginx, NodeApp, PythonServer

NODE = ROOT / "tests/node"


@pytest.fixture(scope="module")
def nginx():
    n = Nginx()
    yield n
    n.close()


@pytest.fixture(scope="module")
def node():
    n = NodeApp()
    yield n
    n.close()


def need_npm(name):
    if not (NODE / "node_modules" / name).exists():
        pytest.skip(f"npm package {name} is not installed (tools/setup test)")


# --------------------------------------------------------------------- origins

def test_nginx(weir, nginx):
    (nginx.www / "big").write_bytes(bytes(range(256)) * 40_000)
    w = weir("site * { proxy @n@ }\n", n=nginx)
    with w.client() as c:
        assert c.get("/").text == "nginx\n"
        assert c.get("/gone").status == 410
        assert c.get("/headers?x", "a.test").text == "a.test 127.0.0.1 /headers?x"
        assert c.get("/big").body == bytes(range(256)) * 40_000
        r = c.get("/big", headers=["Range: bytes=256-511"])
        assert (r.status, r.body) == (206, bytes(range(256)))
        etag = c.get("/big", method="HEAD").get("ETag")
        assert c.get("/big", headers=[f"If-None-Match: {etag}"]).status == 304


def test_python_http_server(weir, tmp_path):
    (tmp_path / "a.txt").write_text("from python")
    (tmp_path / "sub").mkdir()
    server = PythonServer(tmp_path)
    try:
        w = weir("site * { proxy @s@ }\n", s=server)
        with w.client() as c:
            assert c.get("/a.txt").text == "from python"
            assert "a.txt" in c.get("/").text
            assert c.get("/sub").get("Location") == "/sub/"
            assert c.get("/none").status == 404
            assert c.post("/a.txt", b"x").status == 501
    finally:
        server.close()


def test_node_app(weir, node):
    w = weir("site * { proxy @n@ }\n", n=node)
    with w.client() as c:
        r = c.post("/echo", b"hello", headers=["X-A: b"])
        got = json.loads(r.body)
        assert (got["method"], got["url"], got["body"]) == ("POST", "/echo", "hello")
        assert got["headers"]["x-a"] == "b" and got["headers"]["x-forwarded-for"] == "127.0.0.1"
        r = c.get("/chunks")
        assert r.body == b"".join(b"line %d\n" % i for i in range(100))
        r = c.get("/hints")
        assert [i.status for i in r.interim] == [103]
        assert c.get("/trailers").trailers[0][1] == "yes"


def test_node_event_stream(weir, node):
    w = weir("site * { proxy @n@ }\n", n=node)
    done = run("curl", "-sSN", "--max-time", "5", w.url("/events"))
    assert done.stdout == "".join(f"data: {i}\n\n" for i in range(5))


def test_node_websocket(weir, node):
    need_npm("ws")
    w = weir("site * { proxy @n@ }\n", n=node)
    done = run("node", NODE / "ws-client.js", f"ws://127.0.0.1:{w.port}/ws")
    assert done.stdout.strip() == "ok", done.stderr


# --------------------------------------------------------------------- clients

def test_curl_features(weir, nginx, tmp_path):
    need("curl")
    data = bytes(range(256)) * 20_000
    (nginx.www / "file").write_bytes(data)
    w = weir("site * { proxy @n@ }\n", n=nginx)
    out = tmp_path / "out"
    assert run("curl", "-sS", "-o", out, w.url("/file")).returncode == 0
    assert hashlib.sha256(out.read_bytes()).digest() == hashlib.sha256(data).digest()
    assert run("curl", "-sS", "--http1.0", w.url("/")).stdout == "nginx\n"
    done = run("curl", "-sS", "-o", "/dev/null", "-w", "%{num_connects}\n", w.url("/"),
               "-o", "/dev/null", w.url("/"))
    assert done.stdout.split() == ["1", "0"], "kept alive"
    done = run("curl", "-sS", "-H", "Expect: 100-continue", "--data-binary", f"@{out}",
               "-o", "/dev/null", "-w", "%{http_code}", w.url("/"))
    assert done.stdout in ("200", "405")


@pytest.mark.parametrize("argv", [
    ["-t1", "-c1", "-d1s"], ["-t2", "-c64", "-d2s"], ["-t2", "-c500", "-d2s"]])
def test_wrk(weir, nginx, argv):
    need("wrk")
    w = weir("workers 2\nlisten @listen@\nadmin @admin@\nlog access off\nsite * { proxy @n@ }\n",
             n=nginx)
    done = run("wrk", *argv, w.url("/"))
    assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout
    assert int(re.search(r"(\d+) requests in", done.stdout)[1]) > 10
    wait_until(lambda: w.metric("weir_requests_active") == 0, 3)


def test_h2load_over_http_1(weir, nginx):
    need("h2load")
    w = weir("site * { proxy @n@ }\n", n=nginx)
    done = run("h2load", "--h1", "-n2000", "-c20", "-t1", w.url("/"))
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout


@pytest.mark.seconds(120)
def test_chromium_loads_a_page(weir, node):
    need_npm("playwright-core")
    need("/usr/bin/chromium")
    w = weir("site * { proxy @n@\nroute /shut/ { proxy 127.0.0.1:9 } }\n", n=node)
    done = run("node", NODE / "browser.js", w.url("/page"), seconds=100)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    assert got["title"] == "weir test page"
    assert got["fetched"] == "posted: 5"
    assert got["socket"] == "echo: hi"
    assert got["events"] == ["0", "1", "2", "3", "4"]
    assert got["images"] == 20
    assert got["error_page"].startswith("502")


def test_haproxy_in_front_is_trusted(weir, origin, tmp_path):
    """Another proxy in front adds its fields, and weir believes them."""
    haproxy = need("haproxy")
    from kit import free_port, get
    port = free_port()
    o = origin()
    w = weir("trust 127.0.0.1\nsite * { proxy @o@ }\n", o=o)
    conf = tmp_path / "haproxy.cfg"
    conf.write_text(f"defaults\n mode http\n timeout connect 2s\n timeout client 5s\n"
                    f" timeout server 5s\nfrontend f\n bind 127.0.0.1:{port}\n"
                    f" http-request set-header X-Forwarded-For 203.0.113.7\n"
                    f" default_backend b\nbackend b\n server s 127.0.0.1:{w.port}\n")
    p = subprocess.Popen([haproxy, "-db", "-f", str(conf)], stderr=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL)
    try:
        def up():
            try:
                return get(port).status == 200
            except OSError:
                return False
        wait_until(up, 5)
    finally:
        stop(p)
    assert w.last_access()["client"] == "203.0.113.7"
