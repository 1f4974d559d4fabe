# SPDX-License-Identifier: Apache-2.0
"""Servers are changed while weir runs: by command, over the control socket, without its files."""
import collections
import hashlib
import os
import signal
import ssl
import threading
import time

import pytest

from kit import Client, Hold, Pki, answer, wait_until, weir_cli

TWO = ("upstream app {\n    server @a@\n    server @b@\n    balance round_robin\n}\n"
       "site * { proxy app }\n")
REQUESTS = 40


def named(origin, word):
    return origin(answer(word))


@pytest.fixture
def three(origin):
    return [named(origin, word) for word in "abc"]


def change(w, *words, code=0):
    done = weir_cli("server", *words, "-c", w.config)
    assert done.returncode == code, done.stderr
    return done


def shares(w, count=REQUESTS):
    return collections.Counter(w.get().text for _ in range(count))


def status(w, origin):
    return next(s for u in w.status()["upstreams"] for s in u["servers"]
                if s["name"] == origin.address)


@pytest.mark.parametrize("how,state", [("drain", "draining"), ("disable", "disabled"),
                                       ("remove", "disabled")])
def test_a_server_gets_no_more_requests(weir, three, how, state):
    a, b, _ = three
    w = weir(TWO, a=a, b=b)
    assert set(shares(w)) == {"a", "b"}
    change(w, how, "app", a.address)
    assert set(shares(w)) == {"b"}
    s = status(w, a)
    assert (s["state"], s["reason"], s["changed"]) == (state, "at run time", ["use"])
    change(w, "enable", "app", a.address)
    assert set(shares(w)) == {"a", "b"}
    change(w, "reset", "app", a.address)
    assert status(w, a)["changed"] == []


def test_a_request_under_way_ends_in_peace(weir, origin):
    hold = Hold()
    a = origin([hold, answer("whole")])
    w = weir("upstream app { server @a@ }\nsite * { proxy app }\n", a=a)
    with w.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        hold.reached.wait(3)
        change(w, "remove", "app", a.address)
        assert w.get().status == 503
        hold.release()
        assert c.response().text == "whole"


def test_an_added_server_serves_by_its_weight(weir, three):
    a, b, c = three
    w = weir("upstream app {\n    balance round_robin\n    server @a@\n    server @b@\n}\n"
             "site * { proxy app }\n", a=a, b=b)
    change(w, "add", "app", c.address, "weight=2")
    assert shares(w) == {"a": 10, "b": 10, "c": 20}
    assert status(w, c)["changed"] == ["added", "weight"]
    change(w, "set", "app", a.address, "weight=5")
    assert shares(w) == {"a": 25, "b": 5, "c": 10}
    change(w, "remove", "app", c.address)
    assert set(shares(w)) == {"a", "b"}
    assert len(w.status()["upstreams"][0]["servers"]) == 2


def test_an_unnamed_upstream_goes_by_what_stands_behind_proxy(weir, three):
    a, b, c = three
    w = weir("site * { proxy @a@ @b@ }\n", a=a, b=b)
    change(w, "add", f"{a.address} {b.address}", c.address)
    assert set(shares(w)) == {"a", "b", "c"}


def test_changes_outlive_reload_crash_and_upgrade(weir, three):
    a, b, c = three
    w = weir(TWO, a=a, b=b)
    change(w, "drain", "app", a.address)
    change(w, "add", "app", c.address)
    w.reload(TWO + "# another\n")
    assert set(shares(w)) == {"b", "c"}
    os.kill(w.worker_pid, signal.SIGKILL)
    w.wait_stderr("after the end of the last", 10)
    assert set(shares(w)) == {"b", "c"}
    assert weir_cli("upgrade", "-c", w.config).returncode == 0
    w.heir = wait_until(lambda: w.status()["supervisor"]["pid"] != w.pid and
                        w.status()["supervisor"]["pid"], 5, "the successor")
    assert set(shares(w)) == {"b", "c"}
    assert status(w, c)["changed"] == ["added"]


def test_files_that_are_being_edited_are_not_read(weir, three):
    a, b, _ = three
    w = weir(TWO, a=a, b=b)
    w.write("site * { half a li")
    change(w, "drain", "app", a.address)
    assert set(shares(w)) == {"b"}


def test_changes_do_not_put_off_a_new_certificate(weir, three, tmp_path):
    """Files are looked at every two seconds, whatever is ordered meanwhile."""
    a, b, _ = three
    pki = Pki(tmp_path)
    old, new = pki.cert("old", "a.test"), pki.cert("new", "a.test")
    pair = tmp_path / "pair.pem"
    pair.write_text(old.crt.read_text() + old.key.read_text())
    w = weir("listen @tls@ tls\nlisten @listen@\nadmin @admin@\n" + TWO.replace(
        "proxy app", "tls cert=@pair@ redirect=off\n proxy app"), a=a, b=b, pair=pair)

    def shown():
        pem = ssl.get_server_certificate(("127.0.0.1", w.tls_port), timeout=5)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    assert shown() == old.fingerprint()
    (tmp_path / "next.pem").write_text(new.crt.read_text() + new.key.read_text())
    os.replace(tmp_path / "next.pem", pair)

    def order():
        for word in ("drain", "reset"):
            change(w, word, "app", a.address)
            time.sleep(0.3)
        return shown() == new.fingerprint()
    wait_until(order, 12, "the new certificate")


def test_what_the_configuration_overrides_is_listed(weir, three):
    a, b, c = three
    w = weir(TWO, a=a, b=b)
    change(w, "drain", "app", a.address)
    change(w, "add", "app", c.address)
    w.reload("upstream app { servers @b@ @c@ }\nsite * { proxy app }\n", c=c)
    assert {x["server"]: x["reason"] for x in w.status()["changes_without_effect"]} == {
        a.address: "the configuration has no such server",
        c.address: "the configuration has this server itself now"}
    w.wait_stderr("has no effect")
    assert f"server {a.address} of upstream app was changed at run time, but" in change(w).stdout
    change(w, "reset", "app", a.address)
    change(w, "reset", "app", c.address)
    assert w.status()["changes_without_effect"] == []


@pytest.mark.parametrize("words,code,said", [
    (["drian", "app", "@a@"], 1, "unknown action"),
    (["drain", "none", "@a@"], 1, "no upstream 'none'"),
    (["drain", "app", "127.0.0.1:1"], 1, "no server '127.0.0.1:1'"),
    (["add", "app", "@a@"], 1, "there already"),
    (["add", "app", "not an address"], 1, "not the address of a server"),
    (["set", "app", "@a@"], 1, "set what?"),
    (["set", "app", "@a@", "weight=1001"], 1, "from 1 to 1000"),
    (["set", "app", "@a@", "weight=x"], 1, "not a number"),
    (["set", "app", "@a@", "colour=1"], 2, "weight=N or max_conns=N"),
    (["drain", "app"], 2, "expected ACTION UPSTREAM SERVER"),
])
def test_mistakes_change_nothing(weir, three, words, code, said):
    a, b, _ = three
    w = weir(TWO, a=a, b=b)
    done = change(w, *[word.replace("@a@", a.address) for word in words], code=code)
    assert said in done.stderr
    assert set(shares(w)) == {"a", "b"}
    assert w.generation() == 1


def test_the_admin_listener_changes_nothing(weir, three):
    w = weir(TWO, a=three[0], b=three[1])
    with Client(w.admin_port) as c:
        c.send(f"POST /server?do=drain&upstream=app&server={three[0].address} HTTP/1.1\r\n"
               "Host: localhost\r\nContent-Length: 0\r\n\r\n".encode())
        assert c.response().status == 403
    assert set(shares(w)) == {"a", "b"}


def test_reloads_and_changes_wait_for_each_other(weir, three):
    """Each is installed in all workers before the next is taken; none of them is refused for that."""
    a, b, _ = three
    w = weir("workers 2\nlisten @listen@\nadmin @admin@\n" + TWO, a=a, b=b)
    ends, codes = threading.Event(), collections.Counter()

    def order(origin):
        while not ends.is_set():
            for word in ("drain", "reset"):
                codes[weir_cli("server", word, "app", origin.address, "-c", w.config).returncode] += 1
    threads = [threading.Thread(target=order, args=(o,)) for o in (a, b)]
    for t in threads:
        t.start()
    try:
        for _ in range(25):
            done = weir_cli("reload", "-c", w.config)
            assert done.returncode == 0, done.stderr
    finally:
        ends.set()
        for t in threads:
            t.join()
    assert set(codes) == {0}


def test_changes_under_load_lose_no_request(weir, three):
    a, b, c = three
    w = weir("workers 2\nlisten @listen@\nadmin @admin@\n" + TWO, a=a, b=b)
    ends, seen = threading.Event(), collections.Counter()

    def ask():
        while not ends.is_set():
            with w.client() as client:
                for _ in range(20):
                    seen[client.get().status] += 1
    clients = [threading.Thread(target=ask) for _ in range(4)]
    for t in clients:
        t.start()
    try:
        for _ in range(4):
            change(w, "add", "app", c.address, "weight=3")
            change(w, "drain", "app", a.address)
            change(w, "remove", "app", c.address)
            change(w, "reset", "app", a.address)
    finally:
        ends.set()
        for t in clients:
            t.join()
    assert set(seen) == {200} and seen[200] > 100
