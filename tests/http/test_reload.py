# SPDX-License-Identifier: Apache-2.0
"""Reload and stop: nothing is dropped, nothing is half-applied."""
import signal
import threading
import time

import pytest

from kit import BINARY, Hold, answer, chunked, free_port, get, wait_until, weir_cli


@pytest.mark.parametrize("by", ["signal", "command"])
def test_reload_installs_the_new_file(weir, by):
    w = weir("site * { respond 200 old }\n")
    with w.client() as c:
        assert c.get().text == "old"
        w.reload("site * { respond 200 new }\n", by=by)
        assert c.get().text == "new", "on the same connection"


@pytest.mark.parametrize("by", ["signal", "command"])
def test_bad_file_keeps_the_old_one(weir, by):
    w = weir("site * { respond 200 old }\n")
    w.write("site * { respnd 200 new }\n")
    if by == "signal":
        w.send_signal(signal.SIGHUP)
        w.wait_stderr("respnd")
        err = w.stderr
    else:
        done = weir_cli("reload", "-c", w.config)
        assert done.returncode == 3
        err = done.stderr
    assert "weir.conf:" in err and "respnd" in err and "respond" in err
    assert w.get().text == "old"
    assert w.generation() == 1
    w.reload("site * { respond 200 newer }\n", by=by)
    assert w.get().text == "newer"


def test_failing_test_block_refuses_a_reload(weir):
    w = weir("site * { respond 200 old }\n")
    w.write("site * { respond 200 new\ntest \"is 404\" { GET /; expect status 404 } }\n")
    done = weir_cli("reload", "-c", w.config)
    assert done.returncode == 3 and "is 404" in done.stderr
    assert w.get().text == "old"


def test_running_request_ends_under_its_old_configuration(weir, origin):
    hold = Hold()
    o = origin([hold, answer("from old")])
    w = weir("site * { proxy @o@; response set X-Conf old }\n", o=o)
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        hold.reached.wait(3)
        w.reload("site * { respond 200 new; response set X-Conf new }\n")
        assert w.get().get("X-Conf") == "new"
        hold.release()
        r = c.response()
        assert (r.text, r.get("X-Conf")) == ("from old", "old")
        assert c.get().text == "new"
    wait_until(lambda: w.status()["config"]["snapshots_alive"] == 1, 3, "the old snapshot to go")


def test_no_request_is_lost_over_many_reloads(weir, origin):
    w = weir("workers 2\nlisten @listen@\nadmin @admin@\nlog access off\nsite * { proxy @o@ }\n",
             o=origin())
    bad, stop = [], threading.Event()

    def load():
        while not stop.is_set():
            try:
                if w.get().status != 200:
                    bad.append("status")
            except Exception as e:
                bad.append(e)
    threads = [threading.Thread(target=load) for _ in range(3)]
    for t in threads:
        t.start()
    for i in range(15):
        w.reload(f"workers 2\nlisten @listen@\nadmin @admin@\nlog access off\n"
                 f"site * {{ proxy @o@; response set X-N {i} }}\n")
    stop.set()
    for t in threads:
        t.join()
    assert not bad, bad[:3]
    assert w.get().get("X-N") == "14"
    wait_until(lambda: w.status()["config"]["snapshots_alive"] == 1, 3, "old snapshots to go")


def test_listeners_come_and_go(weir):
    w = weir("site * { respond 200 x }\n")
    port = free_port()
    w.reload(f"workers 1\nlisten @listen@\nlisten 127.0.0.1:{port}\nadmin @admin@\n"
             "log access off\nsite * { respond 200 y }\n")
    assert get(port).text == "y" and w.get().text == "y"
    w.reload("workers 1\nlisten @listen@\nadmin @admin@\nlog access off\n"
             "site * { respond 200 z }\n")

    def gone():
        try:
            get(port)
        except (ConnectionError, Exception):
            return True
        return False
    wait_until(gone, 3, "the listener to be closed")
    assert w.get().text == "z"


def test_reload_keeps_health_and_idle_connections(weir, origin):
    good = origin(answer("good"))
    text = "upstream u { server @g@; server 127.0.0.1:@d@; eject after=1 for=1m }\n" \
           "site * { proxy u; response set X-N N }\n"
    w = weir(text, g=good, d=free_port())
    for _ in range(10):
        assert w.get().text == "good"
    tried = w.metric("weir_origin_connect_errors_total")
    w.reload(text.replace("X-N N", "X-N M"))
    for _ in range(10):
        assert w.get().text == "good"
    assert w.metric("weir_origin_connect_errors_total") == tried, "still ejected"
    assert good.connections == 1, "the idle connection is used on"


def test_a_taken_address_refuses_the_reload(weir):
    import socket
    w = weir("site * { respond 200 old }\n")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        w.write(f"listen @listen@\nlisten 127.0.0.1:{s.getsockname()[1]}\nadmin @admin@\n"
                "site * { respond 200 new }\n")
        done = weir_cli("reload", "-c", w.config)
        assert done.returncode != 0
        assert "in use" in done.stderr
    assert w.get().text == "old"


# --------------------------------------------------------------------- stopping

@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_graceful_stop_finishes_what_runs(weir, origin, sig):
    hold = Hold()
    o = origin([hold, chunked(b"whole", b"answer")])
    w = weir("site * { proxy @o@ }\n", o=o)
    with w.client() as c, w.client() as idle:
        assert idle.send(b"")
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        hold.reached.wait(3)
        w.send_signal(sig)
        assert idle.closed(3), "idle connections close at once"
        with pytest.raises(OSError):
            wait_until(lambda: w.client().close(), 2)
        hold.release()
        r = c.response()
        assert r.body == b"wholeanswer" and r.complete
        assert c.closed(3)
    assert w.process.wait(5) == 0
    w.finish()


@pytest.mark.parametrize("gap", [0, 0.001, 0.002, 0.005, 0.01])
def test_stop_in_the_middle_of_a_reload(weir, gap):
    w = weir("site * { respond 200 }\n")
    w.send_signal(signal.SIGHUP)
    time.sleep(gap)
    w.send_signal(signal.SIGTERM)
    assert w.process.wait(8) == 0
    w.finish()


def test_stop_timeout_cuts_off(weir, origin):
    o = origin([30])
    w = weir("stop_timeout 500ms\nsite * { proxy @o@ }\n", o=o)
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: o.requests)
        began = time.monotonic()
        w.send_signal(signal.SIGTERM)
        assert w.process.wait(8) == 0
        assert 0.4 < time.monotonic() - began < 5
    w.finish()


def test_second_sigint_ends_at_once(weir, origin):
    o = origin([30])
    w = weir("site * { proxy @o@ }\n", o=o)
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: o.requests)
        w.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert w.process.poll() is None
        w.send_signal(signal.SIGINT)
        began = time.monotonic()
        w.process.wait(3)
        assert time.monotonic() - began < 2
    w.finish()


def test_weir_stop(weir):
    w = weir("site * { respond 200 }\n")
    done = weir_cli("stop", "-c", w.config)
    assert done.returncode == 0, done.stderr
    assert w.process.wait(3) == 0
    assert weir_cli("stop", "-c", w.config).returncode == 4
    w.finish()


def test_commands_without_a_running_weir(tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text("site * { respond 200 }\n")
    for word in ("reload", "stop", "status"):
        done = weir_cli(word, "-c", conf)
        assert done.returncode == 4 and "no weir runs" in done.stderr


def test_a_second_weir_on_the_same_file_is_told(weir):
    w = weir("site * { respond 200 }\n")
    done = weir_cli("run", "-c", w.config)
    assert done.returncode == 1 and "runs already" in done.stderr


def test_ready_is_told_to_a_service_manager(weir, tmp_path):
    import socket
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(5)
        w = weir("site * { respond 200 }\n", env={"NOTIFY_SOCKET": path})
        assert b"READY=1" in s.recv(4096)
        w.send_signal(signal.SIGHUP)
        messages = b""
        while b"READY=1" not in messages:
            messages += s.recv(4096)
        assert b"RELOADING=1" in messages
        w.send_signal(signal.SIGTERM)
        while b"STOPPING=1" not in messages:
            messages += s.recv(4096)


def test_binary_is_there():
    assert BINARY.exists()
