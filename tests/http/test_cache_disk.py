# SPDX-License-Identifier: Apache-2.0
"""The cache on disk: it survives whatever happens to the program, and never tells anything but what the server said."""
import os
import random
import shutil
import signal
import threading

import pytest

from kit import BINARY, CLOSE, answer, get, wait_until, weir_cli
from kit.tools import run

CONF = """workers 2
listen @listen@
admin @admin@
log access off
cache_store memory size={memory}
cache_store disk {dir} size={size}
upstream o {{ server @o@; retry off; eject off; concurrency off; keepalive off }}
site * {{ cache; proxy o }}
"""
CACHEABLE = "Cache-Control: max-age=3600"
COUNT = 20


def conf(folder, memory="64M", size="1G"):
    return CONF.format(dir=folder, memory=memory, size=size)


def body_of(target, size=3000):
    """Other bytes for each path, so that nobody's are taken for another's."""
    return random.Random(target).randbytes(size)


@pytest.fixture
def server(origin):
    o = origin(lambda r: answer(body_of(r.target, o.size), headers=[CACHEABLE, f"X-Path: {r.target}", 'ETag: "a"']))
    o.size = 3000
    return o


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "cache"
    path.mkdir()
    path.chmod(0o777)
    return path


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:  # it got its last name meanwhile
        return 0


def files(folder):
    return [p for p in folder.rglob("*") if p.is_file()]


def objects(folder, least=1000):
    return [p for p in files(folder) if size_of(p) >= least]


def fill(w, server, count=COUNT):
    for i in range(count):
        assert w.get(f"/{i}").body == body_of(f"/{i}", server.size)


def on_disk(w, count=COUNT):
    """Until so many responses are there, written or found again."""
    wait_until(lambda: w.metric("weir_cache_disk_objects") >= count, 8, f"{count} responses on disk")


def asked_again(w, server, count=COUNT):
    """How often is the server asked when all is asked for again? And each answer is right."""
    server.clear()
    for i in range(count):
        r = w.get(f"/{i}")
        assert r.status == 200 and r.complete and r.body == body_of(f"/{i}", server.size), i
        assert r.get("X-Path") == f"/{i}"
    return len(server.requests)


def settled(w, folder, server, count=COUNT):
    fill(w, server, count)
    on_disk(w, count)


# ---------------------------------------------------------------- it survives

def test_restart(weir, server, folder):
    w = weir(conf(folder), o=server)
    settled(w, folder, server)
    w.stop()
    w = weir(conf(folder), o=server)
    on_disk(w)
    assert asked_again(w, server) == 0
    assert int(w.get("/1").get("Age")) < 60


def test_a_worker_process_that_is_killed(weir, server, folder):
    w = weir(conf(folder), o=server)
    settled(w, folder, server)
    pid = w.worker_pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: w.answers("/0") and w.worker_pid != pid, 5, "another worker process")
    on_disk(w)
    assert asked_again(w, server) == 0


def test_everything_is_killed(weir, server, folder):
    w = weir(conf(folder), o=server)
    settled(w, folder, server)
    w.kill()
    w = weir(conf(folder), o=server)
    on_disk(w)
    assert asked_again(w, server) == 0


def test_killed_again_and_again_while_it_writes(weir, server, folder):
    server.size = 200_000
    for seed in range(5):
        w = weir(conf(folder), o=server)
        stop = threading.Event()

        def load(w=w, seed=seed, stop=stop):
            r = random.Random(seed)
            while not stop.is_set():
                try:
                    get(w.port, f"/{r.randrange(200)}")
                except Exception:
                    return
        threads = [threading.Thread(target=load) for _ in range(3)]
        for t in threads:
            t.start()
        stop.wait(0.3 + seed / 10)
        w.kill()
        stop.set()
        for t in threads:
            t.join(5)
    w = weir(conf(folder), o=server)
    on_disk(w, 5)
    assert asked_again(w, server, 200) < 200, "something is there"
    assert asked_again(w, server, 200) == 0


def test_upgrade(weir, server, folder, tmp_path):
    binary = tmp_path / "weir"
    shutil.copy(BINARY, binary)
    w = weir(conf(folder), o=server, binary=binary)
    settled(w, folder, server)
    assert weir_cli("upgrade", "-c", w.config).returncode == 0
    assert w.process.wait(40) == 0
    w.heir = w.status()["supervisor"]["pid"]
    on_disk(w)
    assert asked_again(w, server) == 0
    more = iter(range(COUNT, 10**6))
    wait_until(lambda: w.get(f"/{next(more)}") and w.metric("weir_cache_disk_objects") > COUNT, 8, "that it writes, too")


def test_reload(weir, server, folder):
    w = weir(conf(folder), o=server)
    settled(w, folder, server)
    w.reload(conf(folder, size="2G"))
    assert asked_again(w, server) == 0


def test_variants_and_conditions(weir, origin, folder):
    def script(r):
        return answer((r.get("Foo") or "-").encode() * 1000, headers=[CACHEABLE, "Vary: Foo", f'ETag: "{r.get("Foo")}"'])
    o = origin(script)
    w = weir(conf(folder), o=o)
    for foo in "abc":
        w.get("/v", headers=[f"Foo: {foo}"])
    on_disk(w, 3)
    w.stop()
    w = weir(conf(folder), o=o)
    on_disk(w, 3)
    o.clear()
    for foo in "abc":
        assert w.get("/v", headers=[f"Foo: {foo}"]).text == foo * 1000
        assert w.get("/v", headers=[f"Foo: {foo}", f'If-None-Match: "{foo}"']).status == 304
        assert w.get("/v", headers=[f"Foo: {foo}", "Range: bytes=5-7"]).text == foo * 3
    assert not o.requests


def test_what_was_validated_stays_so(weir, origin, folder):
    def script(r):
        if r.get("If-None-Match"):
            return b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=3600\r\nX-A: 2\r\nAge: 0\r\n\r\n"
        return answer(b"x" * 3000, headers=[CACHEABLE, "Age: 3600", 'ETag: "a"', "X-A: 1"])
    o = origin(script)
    w = weir(conf(folder), o=o)
    w.get("/")
    on_disk(w, 1)
    assert w.get("/").get("X-A") == "2"
    w.stop()
    w = weir(conf(folder), o=o)
    on_disk(w, 1)
    o.clear()
    assert w.get("/").get("X-A") == "2" and not o.requests


def test_what_was_dropped_stays_so(weir, server, folder):
    w = weir(conf(folder), o=server)
    settled(w, folder, server)
    w.get("/3", method="DELETE")
    wait_until(lambda: w.metric("weir_cache_disk_objects") == COUNT - 1, 8, "its file to go")
    w.kill()
    w = weir(conf(folder), o=server)
    on_disk(w, COUNT - 1)
    assert asked_again(w, server) == 1


# ---------------------------------------------------------------- large and many

def test_larger_than_memory(weir, server, folder):
    server.size = 12 << 20
    w = weir(conf(folder, memory="4M"), o=server)
    assert w.get("/big").body == body_of("/big", server.size)
    on_disk(w, 1)
    server.clear()
    for _ in range(2):
        assert w.get("/big").body == body_of("/big", server.size)
    r = w.get("/big", headers=["Range: bytes=7000000-7000999"])
    assert r.status == 206 and r.body == body_of("/big", server.size)[7_000_000:7_001_000]
    assert not server.requests
    w.stop()
    w = weir(conf(folder, memory="4M"), o=server)
    on_disk(w, 1)
    assert w.get("/big").body == body_of("/big", server.size) and not server.requests


def test_larger_than_memory_for_many_at_once(weir, server, folder):
    server.size = 6 << 20
    w = weir(conf(folder, memory="4M"), o=server)
    want, bad = body_of("/big", server.size), []
    w.get("/big")
    on_disk(w, 1)
    server.clear()

    ask = lambda: bad.append(1) if get(w.port, "/big").body != want else None  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
    # Memory that is full of the others' pieces just then lets one ask the server: seen once in ten runs.
    assert not bad and len(server.requests) <= 1


def test_memory_that_is_too_small_for_all(weir, server, folder):
    """What left memory comes from disk. It has to get there first: what leaves memory before it was written is
    written no more."""
    server.size = 100_000
    w = weir(conf(folder, memory="2M"), o=server)
    for count in range(5, 101, 5):
        settled(w, folder, server, count)
    assert asked_again(w, server, 100) == 0


def test_the_disk_has_a_limit(weir, server, folder):
    server.size = 200_000
    w = weir(conf(folder, memory="2M", size="4M"), o=server)
    fill(w, server, 100)
    wait_until(lambda: sum(size_of(p) for p in files(folder)) < 6 << 20, 5, "files within the limit")
    assert asked_again(w, server, 100) > 60


def test_no_body_at_all(weir, origin, folder):
    o = origin(lambda r: answer(b"", headers=[CACHEABLE]))
    w = weir(conf(folder), o=o)
    w.get("/empty")
    on_disk(w, 1)
    w.stop()
    w = weir(conf(folder), o=o)
    on_disk(w, 1)
    assert w.get("/empty").status == 200 and len(o.requests) == 1


def test_half_an_answer_is_not_saved(weir, origin, folder):
    o = origin([b"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50_000, CLOSE])
    w = weir(conf(folder), o=o)
    assert not w.get("/half").complete
    o.script = answer(b"y" * 100_000, headers=[CACHEABLE])
    assert w.get("/half").body == b"y" * 100_000
    on_disk(w, 1)
    w.kill()
    w = weir(conf(folder), o=o)
    assert w.get("/half").body == b"y" * 100_000


# ---------------------------------------------------------------- a disk that is not what it should be

def damage(kind, path, r):
    data = bytearray(path.read_bytes())
    at = r.randrange(len(data))
    if kind == "bit":
        data[at] ^= 1 << r.randrange(8)
    elif kind == "head":
        data[r.randrange(min(200, len(data)))] ^= 255
    elif kind == "cut":
        del data[at:]
    elif kind == "empty":
        data.clear()
    elif kind == "zeros":
        data[at:at + 4096] = bytes(min(4096, len(data) - at))
    elif kind == "longer":
        data += r.randbytes(5000)
    elif kind == "noise":
        data[:] = r.randbytes(len(data))
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["bit", "head", "cut", "empty", "zeros", "longer", "noise"])
def test_torn_files(weir, server, folder, kind):
    """A miss, never a wrong answer; and what was torn is saved anew."""
    server.size = 100_000
    w = weir(conf(folder), o=server)
    settled(w, folder, server)
    w.stop()
    r = random.Random(kind)
    for path in objects(folder):
        damage(kind, path, r)
    w = weir(conf(folder), o=server)
    for _ in range(3):
        for i in range(COUNT):
            with w.client() as c:
                got = c.get(f"/{i}")
                assert not got.complete or got.body == body_of(f"/{i}", server.size), i
    assert asked_again(w, server) == 0


def test_files_damaged_while_it_runs(weir, server, folder):
    server.size = 100_000
    w = weir(conf(folder, memory="1M"), o=server)
    settled(w, folder, server, 40)
    for path in objects(folder):
        damage("bit", path, random.Random(path.name))
    for _ in range(3):
        for i in range(40):
            got = w.get(f"/{i}")
            assert not got.complete or got.body == body_of(f"/{i}", server.size), i


def test_files_changed_among_each_other(weir, server, folder):
    """An object that lies where another should is not that other one."""
    w = weir(conf(folder), o=server)
    settled(w, folder, server)
    w.stop()
    found = objects(folder)
    texts = [p.read_bytes() for p in found]
    for p, text in zip(found, texts[1:] + texts[:1]):
        p.write_bytes(text)
    w = weir(conf(folder), o=server)
    for _ in range(2):
        asked_again(w, server)


def test_files_that_are_gone_while_it_runs(weir, server, folder):
    server.size = 100_000
    w = weir(conf(folder, memory="1M"), o=server)
    settled(w, folder, server, 40)
    for path in objects(folder):
        path.unlink()
    for _ in range(2):
        for i in range(40):
            got = w.get(f"/{i}")
            assert not got.complete or got.body == body_of(f"/{i}", server.size), i
    assert w.answers("/1")


def test_files_of_others(weir, server, folder):
    (folder / "README").write_text("mine")
    (folder / "dir").mkdir()
    (folder / "dir" / "x").write_bytes(b"\0" * 5000)
    os.symlink("/etc/passwd", folder / "link")
    os.mkfifo(folder / "fifo")
    w = weir(conf(folder), o=server)
    fill(w, server)
    w.stop()
    w = weir(conf(folder), o=server)
    assert asked_again(w, server) in range(COUNT + 1)
    assert (folder / "README").read_text() == "mine"
    assert (folder / "dir" / "x").exists() and (folder / "link").is_symlink()


def test_the_folder_is_made(weir, server, tmp_path):
    w = weir(conf(tmp_path / "new"), o=server)
    settled(w, tmp_path / "new", server)


def in_namespace(tmp_path, folder, options):
    """weir in a mount namespace of its own, with a file system on `folder`."""
    if run("unshare", "-m", "true").returncode:
        pytest.skip("no mount namespaces here")
    script = tmp_path / "weir.sh"
    script.write_text(f'#!/bin/sh\nexec unshare -m sh -c \'mount -t tmpfs {options} none {folder} && exec {BINARY} "$@"\' sh "$@"\n')
    script.chmod(0o755)
    return script


def test_full_disk(weir, server, folder, tmp_path):
    server.size = 200_000
    w = weir(conf(folder), o=server, binary=in_namespace(tmp_path, folder, "-o size=1m"))
    fill(w, server, 40)
    w.wait_stderr(str(folder))
    assert asked_again(w, server, 40) == 0, "memory goes on serving"
    assert w.stderr.count(str(folder)) < 5, "with a warning once"


def test_no_inodes(weir, server, folder, tmp_path):
    w = weir(conf(folder), o=server, binary=in_namespace(tmp_path, folder, "-o size=100m,nr_inodes=12"))
    fill(w, server, 40)
    assert asked_again(w, server, 40) == 0


def test_read_only_disk(weir, server, folder, tmp_path):
    w = weir(conf(folder), o=server, binary=in_namespace(tmp_path, folder, "-o ro,size=1m"))
    fill(w, server)
    assert asked_again(w, server) == 0
    w.wait_stderr(str(folder))


def test_a_folder_that_is_not_ours(weir, server, folder):
    if os.geteuid() != 0:
        pytest.skip("only root can give up rights")
    folder.chmod(0o755)
    w = weir("user nobody\n" + conf(folder), o=server)
    fill(w, server)
    assert asked_again(w, server) == 0


def test_a_folder_that_can_not_be(weir, server):
    w = weir(conf("/proc/nothing/cache"), o=server)
    fill(w, server)
    assert asked_again(w, server) == 0
    assert "/proc/nothing/cache" in w.stderr
