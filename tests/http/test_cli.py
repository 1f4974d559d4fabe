# SPDX-License-Identifier: Apache-2.0
"""The command line: exit codes, help, check, fmt, explain, docs, proxy, demo."""
import os
import re
import subprocess
import time

import pytest

from kit import BINARY, Weir, answer, free_port, get, wait_until, weir_cli
from kit.tools import run, stop

COMMANDS = ["run", "check", "reload", "stop", "upgrade", "status", "server", "explain", "fmt", "proxy", "demo", "trust",
            "docs", "completion", "version"]


def write(tmp_path, text, name="weir.conf"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_help_lists_every_command_and_the_exit_codes():
    done = weir_cli("--help")
    assert done.returncode == 0
    for word in COMMANDS:
        assert re.search(rf"^  {word}\b", done.stdout, re.M), word
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize("word", COMMANDS)
def test_help_of_each_command(word):
    for argv in ([word, "--help"], ["help", word]):
        done = weir_cli(*argv)
        assert done.returncode == 0 and done.stdout.startswith(f"Usage: weir {word}")


@pytest.mark.parametrize("word,near", [("relaod", "reload"), ("chekc", "check"), ("rnu", "run"),
                                       ("explian", "explain")])
def test_unknown_word_gets_the_nearest(word, near):
    done = weir_cli(word)
    assert done.returncode == 2 and f"'{near}'" in done.stderr


def test_usage_errors():
    assert weir_cli().returncode == 2
    assert weir_cli("zzzzzz").returncode == 2
    assert weir_cli("run", "--nope").returncode == 2
    assert weir_cli("explain").returncode == 2
    assert weir_cli("run", "-c").returncode == 2
    done = weir_cli("explain", "--methd", "GET", "/")
    assert done.returncode == 2 and "--method" in done.stderr


def test_version():
    for argv in (["version"], ["--version"]):
        assert re.match(r"weir \d+\.\d+\.\d+", weir_cli(*argv).stdout)


def test_missing_file():
    done = weir_cli("check", "-c", "/nonexistent/weir.conf")
    assert done.returncode == 3
    assert "/nonexistent/weir.conf" in done.stderr
    assert weir_cli("run", "-c", "/nonexistent/weir.conf").returncode == 3


def test_check_says_what_the_file_holds(tmp_path):
    conf = write(tmp_path, "upstream u { server 10.0.0.1:80 }\n"
                 "site a.test { proxy u\nroute /x/ { respond 200 } }\n")
    done = weir_cli("check", "-c", conf)
    assert done.returncode == 0, done.stderr
    assert "1 site" in done.stdout and "1 upstream" in done.stdout


@pytest.mark.parametrize("text,line,col,words", [
    ("site * { porxy 1.2.3.4:80 }\n", 1, 10, ["porxy", "proxy"]),
    ("site * {\n    proxy 1.2.3.4:80\n    timeout read=10\n}\n", 3, 18, ["10", "s"]),
    ("site * {\n    timeout raed=10s\n}\n", 2, 13, ["read"]),
    ("site * { respond 999 }\n", 1, 18, ["999"]),
    ("site * { proxy nowhere }\nupstream nowhen { server 1.2.3.4:80 }\n", 1, 16, ["nowhen"]),
    ("server 1.2.3.4:80\n", 1, 1, ["server"]),
    ("site * {\n    respond 200\n", 1, 8, ["}"]),
    ("site * { respond 200 }\n}\n", 2, 1, ["}"]),
    ("site * { respond 200 \"abc }\n", 1, 22, []),
    ("upstream u { server 1.2.3.4:80 weight=0 }\n", 1, 39, ["1"]),
    ("upstream u { server 1.2.3.4:80 wieght=2 }\n", 1, 32, ["weight"]),
    ("upstream u { server 1.2.3.4:80; balance roundrobin }\n", 1, 41, ["round_robin"]),
    ("site * { route /a { respond 200 }; route /a { respond 404 } }\n", 1, None, ["/a"]),
    ("site a.test { respond 200 }\nsite a.test { respond 200 }\n", 2, 6, ["a.test"]),
    ("site * { when metod == GET { respond 200 } }\n", 1, 15, ["method"]),
    ("site * { route ~ \"(\" { respond 200 } }\n", 1, None, []),
    ("site * { respond 200 $hots }\n", 1, None, ["host"]),
    ("site * { respond 200; respond 201 }\n", 1, 23, ["respond"]),
    ("workers 0\nsite * { respond 200 }\n", 1, 9, []),
    ("listen 127.0.0.1:99999\nsite * { respond 200 }\n", 1, 8, []),
    ("include missing.conf\n", 1, None, ["missing.conf"]),
])
def test_check_points_at_mistakes(tmp_path, text, line, col, words):
    done = weir_cli("check", "-c", write(tmp_path, text))
    assert done.returncode == 3
    place = f"weir.conf:{line}:{col if col else ''}"
    assert place in done.stderr, done.stderr
    assert "^" in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert "\x1b[" not in done.stderr, "colour only on a terminal"


def test_many_mistakes_at_once_but_not_more_than_20(tmp_path):
    done = weir_cli("check", "-c", write(tmp_path, "site * {\n" + "    nonsense\n" * 50 + "}\n"))
    places = re.findall(r"weir\.conf:\d+:\d+", done.stderr)
    assert 15 <= len(places) <= 20
    assert "30 more" in done.stderr or "30" in done.stderr


TESTED = """
site app.test {
    proxy 10.0.0.9:80
    route /api/ strip {
        proxy api
        request set X-Tenant acme
        response set X-Frame deny
    }
    route /closed/ { respond 403 }
    test "api" {
        GET /api/v1?x=1
        expect path /v1
        expect upstream api
        expect request X-Tenant acme
    }
    test "closed" {
        GET /closed/ from=203.0.113.9
        expect status 403
    }
    %s
}
upstream api { server 10.0.0.1:80 }
"""


def test_test_blocks_pass(tmp_path):
    done = weir_cli("check", "-c", write(tmp_path, TESTED % ""))
    assert done.returncode == 0, done.stderr
    assert "2 tests passed" in done.stdout


@pytest.mark.parametrize("expect", [
    "expect status 404", "expect path /other", "expect upstream other",
    "expect request X-Tenant other", "expect request X-None", "expect no request X-Tenant"])
def test_test_blocks_fail(tmp_path, expect):
    wrong = f'test "wrong" {{ GET /api/v1; {expect} }}'
    done = weir_cli("check", "-c", write(tmp_path, TESTED % wrong))
    assert done.returncode == 3, done.stdout
    assert "wrong" in done.stderr and "weir.conf:" in done.stderr


UGLY = """# a comment
site   a.test{proxy 10.0.0.1:80;route /x/{respond 200 "a b"} # tail
}


upstream  u  {
server 1.2.3.4:80   weight=2
        # inside
}
"""


def test_fmt_is_idempotent_and_keeps_comments(tmp_path):
    once = weir_cli("fmt", write(tmp_path, UGLY))
    assert once.returncode == 0, once.stderr
    for comment in ("# a comment", "# tail", "# inside"):
        assert comment in once.stdout
    assert "site a.test {\n" in once.stdout
    twice = weir_cli("fmt", write(tmp_path, once.stdout, "again.conf"))
    assert twice.stdout == once.stdout
    assert weir_cli("fmt", "--check", write(tmp_path, UGLY)).returncode == 1
    assert weir_cli("fmt", "--check", write(tmp_path, once.stdout)).returncode == 0


def test_fmt_writes_and_reads_standard_input(tmp_path):
    path = write(tmp_path, UGLY)
    assert weir_cli("fmt", "--write", path).returncode == 0
    formatted = path.read_text()
    assert weir_cli("fmt", "-", input=UGLY, stdin=None).stdout == formatted
    assert weir_cli("fmt", write(tmp_path, "site {{{\n")).returncode == 3


def test_explain(tmp_path):
    conf = write(tmp_path, "listen :8080\n" + (TESTED % ""))
    done = weir_cli("explain", "http://app.test/api/v1/users?x=1", "-c", conf, "--from",
                    "203.0.113.9")
    assert done.returncode == 0, done.stderr
    out = done.stdout
    for words in ("app.test (exact)", "/api/ strip", "X-Tenant acme", "/v1/users", "api",
                  "X-Frame"):
        assert words in out, out
    assert re.search(r"weir\.conf:\d+", out)


@pytest.mark.parametrize("argv,words", [
    (["http://app.test/closed/x"], ["403"]),
    (["http://nobody.test/"], ["421"]),
    (["http://app.test/x", "--method", "POST", "--header", "X-A: b"], ["10.0.0.9:80"]),
])
def test_explain_other_ends(tmp_path, argv, words):
    done = weir_cli("explain", *argv, "-c", write(tmp_path, "listen :8080\n" + (TESTED % "")))
    for word in words:
        assert word in done.stdout + done.stderr


def test_explain_refuses_what_is_no_request(tmp_path):
    conf = write(tmp_path, TESTED % "")
    for url in ("not a url", "http://", "http://app.test/%00"):
        done = weir_cli("explain", url, "-c", conf)
        assert done.returncode == 1 or "400" in done.stdout, done


def test_docs_name_every_word():
    done = weir_cli("docs")
    assert done.returncode == 0
    for word in ("site", "route", "upstream", "server", "proxy", "timeout", "retry", "trust",
                 "redirect", "rewrite", "error", "request", "response", "admin", "workers"):
        assert re.search(rf"^#+ .*\b{word}\b", done.stdout, re.M), word


def test_man_page_is_valid_roff():
    done = weir_cli("docs", "man")
    assert done.stdout.startswith(".TH WEIR 8")


def test_completion_is_valid_bash(tmp_path):
    script = write(tmp_path, weir_cli("completion", "bash").stdout, "c.bash")
    assert run("bash", "-n", script).returncode == 0
    done = run("bash", "-c", f". {script}; COMP_WORDS=(weir re); COMP_CWORD=1; "
               "f=$(complete -p weir | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f weir re weir; "
               "echo ${COMPREPLY[@]}")
    assert done.stdout.strip() == "reload", done


def test_proxy_without_a_file(origin):
    o, port = origin(answer("direct")), free_port()
    p = subprocess.Popen([BINARY, "proxy", o.address, "--listen", f"127.0.0.1:{port}"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        def up():
            try:
                return get(port).text
            except OSError:
                return None
        assert wait_until(up, 5) == "direct"
    finally:
        stop(p)
    assert p.returncode == 0
    p.stderr.close()


def test_demo_and_its_five_requests(tmp_path):
    port = free_port()
    p = subprocess.Popen([BINARY, "demo", "--listen", f"127.0.0.1:{port}"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         env={**os.environ, "WEIR_CA_DIR": str(tmp_path / "ca")})
    lines = []
    try:
        until = time.monotonic() + 5
        os.set_blocking(p.stdout.fileno(), False)
        while time.monotonic() < until and len([x for x in lines if "curl" in x]) < 5:
            lines += (p.stdout.read() or b"").decode().splitlines()
            time.sleep(0.05)
        tries = [re.sub(r"\s+#.*", "", x.strip()) for x in lines if "curl " in x]
        assert len(tries) == 5, lines
        for line in tries:
            done = run("bash", "-c", line.replace("curl ", "curl -sS --max-time 5 ", 1))
            assert done.returncode == 0 and done.stdout, (line, done.stderr)
    finally:
        stop(p)
    p.stdout.close()
    assert p.returncode == 0


def test_descriptors_are_raised(weir):
    w = weir("site * { respond 200 }\n")
    limits = open(f"/proc/{w.worker_pid}/limits").read()
    soft, hard = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits).groups()
    assert soft == hard


def test_user_is_given_up(weir):
    if os.getuid() != 0:
        pytest.skip("needs root")
    w = weir("user nobody\nsite * { respond 200 ok }\n")

    def given_up():
        uids = re.search(r"Uid:\s+(\d+)\s+(\d+)\s+(\d+)", open(f"/proc/{w.worker_pid}/status").read())
        return "0" not in uids.groups()
    wait_until(given_up, 2, "root to be given up")
    assert w.get().text == "ok"
    w.reload("user nobody\nsite * { respond 200 new }\n")
    assert w.get().text == "new"


def test_pid_file():
    with Weir("pid_file @dir@/pid\nsite * { respond 200 }\n") as w:
        path = wait_until(lambda: w.dir / "pid" if (w.dir / "pid").exists() else None)
        assert int(path.read_text()) == w.pid
