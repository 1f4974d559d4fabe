# SPDX-License-Identifier: Apache-2.0
"""What nobody may see of a configuration: in /config, in explain, in messages and in logs."""
import signal

from kit import answer, wait_until, weir_cli

PLANTED = "planted-secret-1234567890"
SITES = """
define guarded HOST KEY {
    site ${HOST} {
        proxy @origin@ { sticky cookie secret=${KEY} }
        request set X-Key "${file:@token@}"
    }
}
use guarded a.test planted-secret-1234567890
site b.test { proxy @origin@ { sticky cookie secret="planted-secret-1234567890" } }
site c.test { request set Authorization "Basic planted-secret-1234567890"; proxy @origin@ }
"""


def start(weir, origin, tmp_path):
    token = tmp_path / "token"
    token.write_text(PLANTED + "-of-a-file\n")
    return weir(SITES, origin=origin(answer("ok")), token=token)


def test_no_page_no_log_and_no_explanation_shows_a_secret(weir, origin, tmp_path):
    w = start(weir, origin, tmp_path)
    config = w.admin("/config").text
    assert "sticky cookie secret=***" in config and "use guarded a.test ***" in config
    assert "set Authorization ***" in config
    told = [config, w.admin("/status").text, w.admin("/metrics").text]
    for host in ("a.test", "b.test", "c.test"):
        assert w.get("/", host).status == 200
        done = weir_cli("explain", "-c", w.config, f"http://{host}:{w.port}/")
        assert done.returncode == 0, done.stderr
        assert host not in ("a.test", "c.test") or "***" in done.stdout, done.stdout
        told += [done.stdout, done.stderr]
    w.access(3)
    told += [w.stderr, w.stdout, "\n".join(w.log_lines())]
    for text in told:
        assert PLANTED not in text, text


def test_a_mistake_in_its_line_does_not_show_a_secret(weir, origin, tmp_path):
    w = start(weir, origin, tmp_path)
    good = w.config.read_text()
    for bad in ("site d.test { proxy @origin@ { sticky cookie sekret=1 secret=planted-secret-1234567890 } }",
                "site d.test { proxy @origin@ { sticky cookie secret=1 secret=planted-secret-1234567890 } }",
                "site d.test { proxi @origin@ { sticky cookie secret=planted-secret-1234567890 } }",
                "site d.test { sticky cookie secret=planted-secret-1234567890 }"):
        w.config.write_text(good + w.expand("@listen@" + bad).removeprefix(w.names["listen"]) + "\n")
        done = weir_cli("check", "-c", w.config)
        assert done.returncode != 0
        assert PLANTED not in done.stdout + done.stderr, done.stderr
        assert "secret=***" in done.stderr, done.stderr
        before = len(w.stderr)
        w.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload refused" in w.stderr[before:], 5, "the refusal")
    assert PLANTED not in w.stderr
