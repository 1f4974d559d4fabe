# SPDX-License-Identifier: Apache-2.0
"""Debian's PHP-FPM behind `files` and `fastcgi`: what scripts see and answer, uploads, streams, errors, restarts."""
import hashlib
import json
import os
import pathlib
import tempfile
import threading
import time

import pytest

from kit.tools import need, run
from peers import PhpFpm

SCRIPTS = {
    "index.php": """<?php header('Content-Type: application/json');
        echo json_encode(['server' => $_SERVER, 'get' => $_GET, 'cookie' => $_COOKIE]);""",
    "post.php": """<?php header('Content-Type: application/json');
        echo json_encode(['post' => $_POST, 'files' => array_map(fn($f) => [$f['name'], $f['size'],
            md5_file($f['tmp_name'])], $_FILES), 'raw' => strlen(file_get_contents('php://input'))]);""",
    "raw.php": """<?php echo strlen($b = file_get_contents('php://input')), ' ', md5($b);""",
    "flush.php": """<?php for ($i = 0; $i < 3; $i++) { echo "tick $i\\n"; flush(); usleep(300000); }""",
    "headers.php": """<?php setcookie('a', '1'); setcookie('b', '2', ['httponly' => true]);
        header('X-Answer: 42'); http_response_code(418); echo 'teapot';""",
    "redirect.php": "<?php header('Location: /elsewhere?x=1');",
    "none.php": "<?php http_response_code(204);",
    "not_modified.php": "<?php header('ETag: \"x\"'); http_response_code(304);",
    "fatal.php": "<?php error_log('said before'); nowhere();",
    "large.php": "<?php for ($i = 0; $i < 1000; $i++) echo str_repeat(chr(65 + $i % 26), 10000);",
    "sleep.php": "<?php usleep(200000); echo getmypid();",
    "pid.php": "<?php echo getmypid();",
    "finish.php": "<?php echo 'early'; fastcgi_finish_request(); sleep(1); error_log('late');",
    "auth.php": """<?php if (($_SERVER['PHP_AUTH_USER'] ?? '') !== 'joe') {
        header('WWW-Authenticate: Basic realm="x"'); http_response_code(401); } echo 'done';""",
}


@pytest.fixture
def www():
    """A folder that PHP-FPM can read, which runs as somebody else."""
    with tempfile.TemporaryDirectory(prefix="weir-www-") as folder:
        root = pathlib.Path(folder)
        root.chmod(0o755)
        (root / "sub").mkdir()
        for name, text in SCRIPTS.items():
            (root / name).write_text(text)
        (root / "sub" / "index.php").write_text("<?php echo 'sub ', $_SERVER['PATH_INFO'] ?? '';")
        (root / "style.css").write_text("body {}")
        (root / "cat.jpg").write_text("<?php echo 'owned';")
        yield root


@pytest.fixture
def fpm(www):
    made = PhpFpm(www)
    yield made
    made.close()


def start(weir, fpm, block="", more=""):
    return weir(f"site * {{\n{more}\nfiles @www@\nfastcgi @fpm@ {{\n{block}\n}}\n}}\n", fpm=fpm.address, www=str(fpm.www))


def test_what_php_sees(weir, fpm):
    w = start(weir, fpm, "param APP_ENV test")
    r = json.loads(w.get("/any/pretty%20link?a=1&b[]=2", headers=["Cookie: k=v; l=w", "X-Test: yes"]).body)
    s = r["server"]
    assert (r["get"], r["cookie"]) == ({"a": "1", "b": ["2"]}, {"k": "v", "l": "w"})
    assert s["SCRIPT_FILENAME"] == f"{fpm.www}/index.php" and s["PHP_SELF"] == "/index.php"
    assert s["REQUEST_URI"] == "/any/pretty%20link?a=1&b[]=2" and s["HTTP_X_TEST"] == "yes"
    assert (s["REMOTE_ADDR"], s["APP_ENV"], s["FCGI_ROLE"]) == ("127.0.0.1", "test", "RESPONDER")


def test_scripts_and_files(weir, fpm):
    w = start(weir, fpm)
    assert w.get("/sub/").text == "sub "
    assert w.get("/sub/index.php/a/b").text == "sub /a/b"
    assert w.get("/style.css").text == "body {}"
    assert w.get("/cat.jpg/x.php").get("Content-Type") == "application/json"  # the front controller
    for path in ("/post.php", "/POST.PHP", "/%70ost.php", "/post.php/", "/post.php?x"):
        assert b"<?php" not in w.get(path).body


def test_forms_and_files(weir, fpm, tmp_path):
    need("curl")
    w = start(weir, fpm)
    big = tmp_path / "big"
    data = os.urandom(1 << 20) * 10
    big.write_bytes(data)
    done = run("curl", "-sS", "-F", f"up=@{big}", "-F", "name=value", w.url("/post.php"))
    r = json.loads(done.stdout)
    assert r["post"] == {"name": "value"}
    assert r["files"] == {"up": ["big", len(data), hashlib.md5(data).hexdigest()]}
    with w.client() as c:
        for size in (0, 1, 100_000, 10_000_000):
            body = data[:size]
            assert c.post("/raw.php", body).text == f"{size} {hashlib.md5(body).hexdigest()}"


def test_an_upload_without_a_length(weir, fpm, tmp_path):
    need("curl")
    w = start(weir, fpm)
    data = os.urandom(3_000_000)
    (tmp_path / "up").write_bytes(data)
    done = run("curl", "-sS", "-T", "-", w.url("/raw.php"), stdin=open(tmp_path / "up", "rb"))
    assert done.stdout == f"3000000 {hashlib.md5(data).hexdigest()}", done


def test_fields_and_statuses(weir, fpm):
    w = start(weir, fpm)
    r = w.get("/headers.php")
    assert (r.status, r.body, r.get("X-Answer")) == (418, b"teapot", "42")
    assert [c.split(";")[0] for c in r.all("Set-Cookie")] == ["a=1", "b=2"]
    r = w.get("/redirect.php")
    assert (r.status, r.get("Location")) == (302, "/elsewhere?x=1")
    assert w.get("/none.php").status == 204
    r = w.get("/not_modified.php")
    assert (r.status, r.get("ETag")) == (304, '"x"')
    assert w.get("/auth.php").status == 401
    assert w.get("/auth.php", headers=["Authorization: Basic am9lOng="]).body == b"done"
    r = w.get("/large.php", method="HEAD")
    assert (r.status, r.body) == (200, b"")


def test_a_large_answer(weir, fpm):
    body = start(weir, fpm).get("/large.php").body
    assert len(body) == 10_000_000 and body[:10001] == b"A" * 10000 + b"B" and body[-1:] == b"L"


def test_flush_reaches_the_client(weir, fpm):
    w = start(weir, fpm)
    with w.client() as c:
        c.send(b"GET /flush.php HTTP/1.1\r\nHost: a.test\r\n\r\n")
        c.response(body=False)
        came = []
        for i in range(3):
            c.take_until(f"tick {i}".encode())
            came.append(time.monotonic())
    assert came[1] - came[0] > 0.15 and came[2] - came[1] > 0.15


def test_an_error_is_500_and_in_the_log(weir, fpm):
    w = start(weir, fpm)
    r = w.get("/fatal.php")
    assert r.status == 500 and b"nowhere" not in r.body
    w.wait_stderr("nowhere()")
    assert "said before" in w.stderr and w.last_access()["id"] in w.stderr


def test_scripts_that_go_on(weir, fpm):
    w = start(weir, fpm)
    began = time.monotonic()
    assert w.get("/finish.php").text == "early"
    assert time.monotonic() - began < 0.9


def test_connections_are_kept_when_asked(weir, fpm):
    w = start(weir, fpm, "keepalive 1")
    with w.client() as c:
        assert len({c.get("/pid.php").text for _ in range(20)}) == 1
    assert w.metric("weir_origin_connects_total") == 1
    with w.client() as c:
        assert c.post("/raw.php", b"x" * 100_000).text.startswith("100000 ")
        assert c.get("/pid.php").status == 200


@pytest.mark.parametrize("block", ["", "keepalive 2"])
def test_more_at_once_than_php_has_processes(weir, fpm, block):
    w = start(weir, fpm, block)
    got = []

    def one():
        with w.client(timeout=20) as c:
            got.extend(c.get("/sleep.php").status for _ in range(3))
    threads = [threading.Thread(target=one) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == [200] * 48


@pytest.mark.parametrize("block", ["", "keepalive 4"])
def test_php_restarts_under_load(weir, fpm, block):
    w = start(weir, fpm, block + "\neject off\nretry off")
    stop, statuses = threading.Event(), []

    def load():
        while not stop.is_set():
            with w.client() as c:
                for _ in range(20):
                    statuses.append(c.get("/pid.php").status)
                    time.sleep(0.002)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(2):
        time.sleep(0.4)
        fpm.restart()
    time.sleep(0.5)
    stop.set()
    for t in threads:
        t.join()
    assert set(statuses) <= {200, 502}
    assert statuses.count(200) > 200 and set(statuses[-20:]) == {200}


def test_over_http2(weir, fpm):
    need("curl")
    w = start(weir, fpm)
    done = run("curl", "-sS", "--http2-prior-knowledge", "-d", "a=b", w.url("/post.php"))
    assert json.loads(done.stdout)["post"] == {"a": "b"}
