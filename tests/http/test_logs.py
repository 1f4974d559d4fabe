# SPDX-License-Identifier: Apache-2.0
"""Access log (JSON, common, combined, own formats), error log, reopening, and the admin listener."""
import json
import re
import signal

import pytest

from kit import answer, free_port, wait_until

HEAD = "workers 1\nlisten @listen@\nadmin @admin@\n"


def test_json_tells_the_whole_story(weir, origin):
    w = weir("site a.test { proxy @o@ }\n", o=origin(answer("hello")))
    with w.client() as c:
        c.post("/p?q=1", b"abc", headers=["User-Agent: u \"x\"", "Referer: r"])
    line = w.last_access()
    want = {"client": "127.0.0.1", "method": "POST", "host": "a.test", "path": "/p",
            "query": "q=1", "proto": "HTTP/1.1", "status": 200, "bytes": 5, "request_bytes": 3,
            "site": "a.test", "tries": 1, "user_agent": 'u "x"', "referer": "r"}
    assert {k: line.get(k) for k in want} == want
    assert line["server"] == w.names["o"].address
    assert "error" not in line
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", line["time"])
    assert re.fullmatch(r"[0-9a-f]{16}", line["id"])
    for key in ("duration_ms", "connect_ms", "first_byte_ms", "response_ms"):
        assert line[key] >= 0


def test_times_of_the_steps(weir, origin):
    w = weir("site * { proxy @o@ }\n", o=origin([0.2, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
                                               0.2, b"x"]))
    w.get()
    line = w.last_access()
    assert 190 <= line["first_byte_ms"] <= 400
    assert 390 <= line["duration_ms"] <= 800


def test_errors_are_named(weir):
    w = weir("site * { proxy 127.0.0.1:@d@ }\n", d=free_port())
    w.get()
    line = w.last_access()
    assert (line["status"], line["error"]) == (502, "connect_refused")
    assert line["step"]


def test_refused_requests_are_logged(weir):
    w = weir("site * { respond 200 }\n")
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
        c.response()
    line = w.last_access()
    assert (line["status"], line["error"]) == (400, "bad_header")


def test_hostile_values_cannot_break_a_line(weir):
    w = weir("site * { respond 200 }\n")
    w.get("/%0a%22%5c?\"{}".replace('"', ""), headers=[b"User-Agent: \\\"},\t\xff\xc3".decode("latin-1")])
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\\\"\t{\r\n\r\n")
        c.response()
    lines = w.access(2)
    assert len(lines) == 2 and all(isinstance(x, dict) for x in lines)


def test_common_and_combined(weir):
    w = weir(HEAD + "site a.test { respond 200 hey; log access common to=@dir@/c.log }\n"
             "site b.test { respond 200 hey; log access combined to=@dir@/b.log }\n")
    w.get("/x?y", "a.test")
    w.get("/x", "b.test", ["Referer: ref", "User-Agent: \"ua"])
    common = wait_until(lambda: w.log_lines("c.log"), 3)[0]
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] '
                        r'"GET /x\?y HTTP/1\.1" 200 3', common), common
    combined = wait_until(lambda: w.log_lines("b.log"), 3)[0]
    assert combined.endswith('200 3 "ref" "\\"ua"'), combined


def test_own_format(weir, origin):
    w = weir(HEAD + "log access \"$method $path $status ${header.X-A} ${response.X-B} $tries\" "
             "to=@dir@/own.log\nsite * { proxy @o@ }\n",
             o=origin(answer("x", headers=["X-B: bee"])))
    w.get("/p", headers=["X-A: aye"])
    assert wait_until(lambda: w.log_lines("own.log"), 3) == ["GET /p 200 aye bee 1"]


def test_off_and_to_stdout(weir):
    w = weir(HEAD + "site a.test { respond 200; log access off }\nsite b.test { respond 200 }\n")
    w.get(host="a.test")
    w.get(host="b.test")
    wait_until(lambda: w.stdout, 3)
    lines = [json.loads(x) for x in w.stdout.splitlines()]
    assert [x["host"] for x in lines] == ["b.test"]


def test_reopened_by_sigusr1(weir):
    w = weir("site * { respond 200 }\n")
    w.get("/one")
    w.access(1)
    (w.dir / "access.log").rename(w.dir / "old.log")
    w.get("/two")
    wait_until(lambda: len(w.log_lines("old.log")) == 2, 3)
    w.send_signal(signal.SIGUSR1)
    wait_until((w.dir / "access.log").exists, 3, "the new file")
    w.get("/three")
    assert w.last_access()["path"] == "/three"
    assert len(w.log_lines("old.log")) == 2


def test_error_log_levels(weir):
    w = weir("log error error to=@dir@/error.log\nsite * { respond 200 }\n")
    w.send_signal(signal.SIGHUP)
    wait_until(lambda: w.generation() == 2, 3)
    assert not w.log_lines("error.log")
    w.write("log error error to=@dir@/error.log\nsite * { nonsense }\n")
    w.send_signal(signal.SIGHUP)
    wait_until(lambda: "nonsense" in "\n".join(w.log_lines("error.log")), 3)


def test_full_disk_does_not_stop_requests(weir):
    w = weir(HEAD + "log access json to=/dev/full\nsite * { respond 200 ok }\n")
    with w.client() as c:
        for _ in range(2000):
            assert c.get().status == 200


# --------------------------------------------------------------------- admin

def test_metrics_are_prometheus_text(weir, origin):
    w = weir("site * { proxy @o@ }\n", o=origin())
    w.get()
    r = w.admin("/metrics")
    assert r.get("Content-Type").startswith("text/plain")
    seen_help, seen_type = set(), set()
    for line in r.text.splitlines():
        if line.startswith("# HELP "):
            seen_help.add(line.split()[2])
        elif line.startswith("# TYPE "):
            assert line.split()[3] in ("counter", "gauge", "histogram")
            seen_type.add(line.split()[2])
        elif line:
            assert re.fullmatch(r'weir_[a-z0-9_]+(\{([a-z_]+="[^"\n]*",?)*\})? -?[0-9.e+]+', line), line
            assert line.split("{")[0].split()[0] in seen_type
    assert seen_help == seen_type
    m = w.metrics()
    assert m["weir_requests_total"] == 1 and m["weir_responses_2xx_total"] == 1


def test_status_names_what_happened(weir, origin):
    good = origin()
    w = weir("upstream app { server @g@; server 127.0.0.1:@d@ }\nsite * { proxy app }\n",
             g=good, d=free_port())
    for _ in range(20):
        w.get()
    app = next(u for u in w.status()["upstreams"] if u["name"] == "app")
    up, dead = sorted(app["servers"], key=lambda s: s["name"] != good.address)
    assert up["state"] == "up" and up["requests"] >= 20 and up["failures"] == 0
    assert dead["failures"] >= 1
    assert dead["last_error"]["name"] == "connect_refused"
    assert "refused" in dead["last_error"]["text"]


def test_config_shows_the_files(weir):
    w = weir("site * { respond 200 ${env.SECRET} }\n", env={"SECRET": "hidden"})
    got = json.loads(w.admin("/config").body)
    assert got["files"][0]["path"].endswith("weir.conf")
    assert "respond 200" in got["files"][0]["text"]
    assert "hidden" not in json.dumps(got)


@pytest.mark.parametrize("path,status", [("/nothing", 404), ("/", 200), ("/../etc/passwd", 400)])
def test_other_paths(weir, path, status):
    w = weir("site * { respond 200 }\n")
    r = w.admin(path)
    assert r.status in (status, 404)


def test_admin_refuses_pages_of_other_hosts(weir):
    """DNS rebinding: a browser's page must not read it under its own name."""
    w = weir("site * { respond 200 }\n")
    from kit import get
    assert get(w.admin_port, "/status", "evil.test").status in (403, 421)
    assert get(w.admin_port, "/status", "localhost").status == 200


def test_admin_takes_no_writes_over_tcp(weir):
    w = weir("site * { respond 200 }\n")
    from kit import Client
    for path in ("/stop", "/reload"):
        with Client(w.admin_port) as c:
            assert c.post(path, b"", host="127.0.0.1").status in (403, 404, 405)
    assert w.get().status == 200


def test_admin_off(weir):
    w = weir("listen @listen@\nadmin off\nlog access off\nsite * { respond 200 }\n")
    assert w.get().status == 200
    with pytest.raises(OSError):
        w.admin("/status")


def test_weir_status_reads_well(weir, origin):
    from kit import weir_cli
    w = weir("upstream app { server @g@; server 127.0.0.1:@d@; eject after=1 }\nsite * { proxy app }\n",
             g=origin(), d=free_port())
    for _ in range(10):
        w.get()
    done = weir_cli("status", "-c", w.config)
    assert done.returncode == 0
    assert "app" in done.stdout and "refused" in done.stdout
    assert json.loads(weir_cli("status", "--json", "-c", w.config).stdout)["upstreams"]
