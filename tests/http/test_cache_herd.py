# SPDX-License-Identifier: Apache-2.0
"""Many clients that want the same at once: one asks the server, the others get the bytes as they come, and nobody waits for
what can not be shared."""
import re
import threading
import time

import pytest

from kit import CLOSE, Client, Hold, Origin, Weir, wait_until

CONF = """workers 2
listen @listen@
admin @admin@
log access off
cache_store memory size=64M
upstream o { server @o@; retry off; eject off; concurrency off; keepalive off }
site small.test { cache object_max=1k; proxy o }
site off.test { proxy o }
site * { cache; proxy o }
"""
COUNT = 50
CACHEABLE = "Cache-Control: max-age=3600"
_numbers = iter(range(1, 10**6))


class Server:
    """Answers by path; counts who is at work at the same time."""

    def __init__(self):
        self.scripts = {}
        self.lock = threading.Lock()
        self.now, self.most = {}, {}

    def __call__(self, request):
        path = re.match(r"/\d+", request.target)[0]
        with self.lock:
            self.now[path] = self.now.get(path, 0) + 1
            self.most[path] = max(self.most.get(path, 0), self.now[path])
        steps = self.scripts[path](request)
        return [*(steps if isinstance(steps, list) else [steps]), lambda _: self.end(path), CLOSE]

    def end(self, path):
        with self.lock:
            self.now[path] -= 1


def head(*lines, status="200 OK", length=None):
    more = ["Transfer-Encoding: chunked"] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, *more, "", ""]).encode()


def whole(body, *lines, status="200 OK"):
    return head(*lines, status=status, length=len(body)) + body


class Rig:
    def __init__(self):
        self.server = Server()
        self.origin = Origin(self.server)
        self.weir = Weir(CONF, o=self.origin)

    def path(self, script):
        """A path of its own, which the server answers like that: a list of steps, or a function of the request."""
        path = f"/{next(_numbers)}"
        self.server.scripts[path] = script if callable(script) else lambda _: script
        return path

    def asked(self, path):
        with self.origin.lock:
            return [r for r in self.origin.requests if r.target == path]


@pytest.fixture(scope="module")
def rig():
    r = Rig()
    with r.origin, r.weir:
        yield r


class Member:
    """One client of a herd: when its first byte of body came, when its last, and what it got."""

    def __init__(self, port, path, *headers, method="GET", host="a.test", rcvbuf=None):
        self.client = Client(port, rcvbuf=rcvbuf, timeout=20)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]
        self.request = "\r\n".join(lines).encode()
        self.method = method
        self.response = self.first = self.last = None
        self.error = None

    def go(self, start):
        self.start = start
        self.client.send(self.request)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            self.response = self.client.response(method=self.method, body=False)
            if not self.client.buf and self.method == "GET" and self.response.status not in (204, 304):
                self.client.fill()
            self.first = time.monotonic() - self.start
            self.client.read_body(self.response, self.method)
            self.last = time.monotonic() - self.start
        except Exception as e:
            self.error = e

    def join(self):
        self.thread.join(20)
        self.client.close()
        if self.error:
            raise self.error


def herd(rig, path, count=COUNT, headers=lambda i: (), lead=0.05, **kw):
    """All of them at once; one of them `lead` seconds before the others, so that it is known who leads."""
    members = [Member(rig.weir.port, path, *headers(i), **kw) for i in range(count)]
    start = time.monotonic()
    members[0].go(start)
    time.sleep(lead)
    for m in members[1:]:
        m.go(start)
    return members


def joined(members):
    for m in members:
        m.join()
    return members


def bodies(members):
    return {m.response.body for m in members}


def warm(rig, path, *headers, method="GET"):
    m = Member(rig.weir.port, path, *headers, method=method)
    m.go(time.monotonic())
    m.join()
    return m.response


# ---------------------------------------------------------------- what can be shared

def test_cold_key_is_one_fetch_and_streams(rig):
    path = rig.path([0.2, head(CACHEABLE), b"5\r\nfirst\r\n", 0.8, b"4\r\nlast\r\n0\r\n\r\n"])
    members = joined(herd(rig, path))
    assert len(rig.asked(path)) == 1
    assert bodies(members) == {b"firstlast"}
    assert max(m.first for m in members) < 0.7, "first bytes before the end"
    assert max(m.last for m in members) < 1.6
    assert all(m.response.complete for m in members)


def test_cold_key_of_known_length_streams(rig):
    path = rig.path([0.2, head(CACHEABLE, length=9), b"first", 0.8, b"last"])
    members = joined(herd(rig, path))
    assert len(rig.asked(path)) == 1 and bodies(members) == {b"firstlast"}
    assert max(m.first for m in members) < 0.7


def test_followers_have_the_head_of_a_hit(rig):
    path = rig.path([0.2, whole(b"x", CACHEABLE, "Age: 10", "X-A: 1")])
    members = joined(herd(rig, path, 5))
    assert [m.response.get("X-A") for m in members] == ["1"] * 5
    assert {m.response.get("Age") for m in members} <= {"10", "11"}


def test_who_comes_in_the_middle_gets_all_from_the_start(rig):
    hold = Hold()
    path = rig.path([head(CACHEABLE, length=9), b"first", hold, b"last"])
    a = Member(rig.weir.port, path)
    a.go(time.monotonic())
    assert hold.reached.wait(5)
    late = [Member(rig.weir.port, path) for _ in range(5)]
    for m in late:
        m.go(time.monotonic())
    wait_until(lambda: all(m.first for m in late), 3, "first bytes of those who came late")
    hold.release()
    assert bodies(joined([a, *late])) == {b"firstlast"}
    assert len(rig.asked(path)) == 1


def test_expired_key_is_one_validation(rig):
    def script(r):
        if r.get("If-None-Match"):
            return [0.3, b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=3600\r\nAge: 0\r\n\r\n"]
        return whole(b"body", CACHEABLE, "Age: 3600", 'ETag: "a"')
    path = rig.path(script)
    warm(rig, path)
    members = joined(herd(rig, path))
    assert len(rig.asked(path)) == 2, "the first fetch and one validation"
    assert bodies(members) == {b"body"} and max(m.last for m in members) < 1


def test_expired_key_without_a_validator_is_one_fetch(rig):
    answers = iter([[whole(b"old", CACHEABLE, "Age: 3600")], [0.3, whole(b"new", CACHEABLE)]])
    path = rig.path(lambda r: next(answers))
    warm(rig, path)
    members = joined(herd(rig, path))
    assert len(rig.asked(path)) == 2 and bodies(members) == {b"new"}
    assert max(m.last for m in members) < 1


def test_stale_while_revalidate_is_at_once_and_one_validation(rig):
    def script(r):
        if r.get("If-None-Match"):
            return [1, b"HTTP/1.1 304 Not Modified\r\nAge: 0\r\n\r\n"]
        return whole(b"body", "Cache-Control: max-age=3600, stale-while-revalidate=100", "Age: 3650", 'ETag: "a"')
    path = rig.path(script)
    warm(rig, path)
    members = joined(herd(rig, path))
    assert max(m.last for m in members) < 0.8, "nobody waits"
    assert sorted(m.last for m in members)[len(members) // 2] < 0.3
    assert bodies(members) == {b"body"}
    time.sleep(1.2)
    assert len(rig.asked(path)) == 2, "one validation"
    joined(herd(rig, path, 5))
    assert len(rig.asked(path)) == 2, "and it counted"


def test_an_error_that_may_be_stored_is_shared(rig):
    path = rig.path([0.3, whole(b"gone", CACHEABLE, status="404 Not Found")])
    members = joined(herd(rig, path))
    assert len(rig.asked(path)) == 1 and {m.response.status for m in members} == {404}


def test_many_keys_do_not_wait_for_each_other(rig):
    slow = rig.path([1, whole(b"slow", CACHEABLE)])
    quick = [rig.path(whole(b"quick", CACHEABLE)) for _ in range(20)]
    members = herd(rig, slow, 10)
    start = time.monotonic()
    others = [Member(rig.weir.port, p) for p in quick]
    for m in others:
        m.go(start)
    joined(others)
    assert max(m.last for m in others) < 0.5
    joined(members)
    assert len(rig.asked(slow)) == 1


def test_head_and_ranges_wait_for_the_same_fetch_or_ask_themselves(rig):
    """Either way they get what they asked for."""
    def script(r):
        if r.method == "HEAD":
            return head(CACHEABLE, 'ETag: "a"', length=10)
        if r.get("Range"):
            return whole(b"234", CACHEABLE, 'ETag: "a"', "Content-Range: bytes 2-4/10", status="206 Partial Content")
        return [0.3, whole(b"0123456789", CACHEABLE, 'ETag: "a"')]
    path = rig.path(script)
    lead = herd(rig, path, 3)
    start = time.monotonic()
    ranges = [Member(rig.weir.port, path, "Range: bytes=2-4") for _ in range(3)]
    heads = [Member(rig.weir.port, path, method="HEAD") for _ in range(3)]
    for m in ranges + heads:
        m.go(start)
    assert bodies(joined(lead)) == {b"0123456789"}
    assert {(m.response.status, m.response.body) for m in joined(ranges)} == {(206, b"234")}
    assert {(m.response.status, m.response.get("Content-Length")) for m in joined(heads)} == {(200, "10")}
    assert len([r for r in rig.asked(path) if r.method == "GET" and not r.get("Range")]) == 1


def test_a_condition_of_a_follower_is_its_own(rig):
    path = rig.path(lambda r: [0.3, whole(b"body", CACHEABLE, 'ETag: "a"')])
    members = joined(herd(rig, path, 6, lambda i: ('If-None-Match: "a"',) if i == 3 else ()))
    got = [m.response.status for m in members]
    assert got[:3] + got[4:] == [200] * 5 and got[3] in (200, 304)


# ---------------------------------------------------------------- what can not

@pytest.mark.parametrize("field", ["Cache-Control: no-store", "Cache-Control: private", "Vary: *", "X-Nothing: said"])
def test_unstorable_herd_is_released_at_once(rig, field):
    path = rig.path(lambda r: [0.3, whole(b"x", field)])
    members = joined(herd(rig, path))
    assert max(m.last for m in members) < 1.2, "all of the others in parallel, as soon as the head is there"
    assert len(rig.asked(path)) == COUNT
    members = joined(herd(rig, path, lead=0))
    assert max(m.last for m in members) < 0.8, "the second herd does not queue at all"
    assert rig.server.most[path] > COUNT * 3 // 4


@pytest.mark.parametrize("field", ["Cache-Control: no-cache", "Cache-Control: max-age=0", "X-Nothing: said"])
def test_what_is_stored_for_validation_only_makes_no_queue(rig, field):
    def script(r):
        if r.get("If-None-Match") == '"a"':
            return [0.3, b"HTTP/1.1 304 Not Modified\r\n\r\n"]
        return [0.3, whole(b"x", field, 'ETag: "a"')]
    path = rig.path(script)
    for _ in range(2):
        members = joined(herd(rig, path))
        assert bodies(members) == {b"x"} and {m.response.status for m in members} == {200}
        assert max(m.last for m in members) < 1.5, "not one after the other"


def test_body_of_a_released_herd_is_each_ones_own(rig):
    path = rig.path(lambda r: [0.1, whole(r.get("X-Me").encode(), "Cache-Control: private")])
    members = joined(herd(rig, path, 20, lambda i: (f"X-Me: {i}",)))
    assert [m.response.body for m in members] == [b"%d" % i for i in range(20)]


def test_vary_that_followers_do_not_match(rig):
    path = rig.path(lambda r: [0.3, whole(r.get("Foo").encode(), CACHEABLE, "Vary: Foo")])
    members = joined(herd(rig, path, headers=lambda i: (f"Foo: {i % 2}",)))
    assert [m.response.body for m in members] == [b"%d" % (i % 2) for i in range(COUNT)]
    assert 2 <= len(rig.asked(path)) <= COUNT // 2 + 1
    assert max(m.last for m in members) < 1.2, "two rounds"
    joined(herd(rig, path, 10, headers=lambda i: (f"Foo: {i % 2}",)))
    assert len(rig.asked(path)) <= COUNT // 2 + 1, "both are stored"


def test_vary_where_everybody_differs(rig):
    path = rig.path(lambda r: [0.3, whole(r.get("Foo").encode(), CACHEABLE, "Vary: Foo")])
    members = joined(herd(rig, path, headers=lambda i: (f"Foo: {i}",)))
    assert [m.response.body for m in members] == [b"%d" % i for i in range(COUNT)]
    assert max(m.last for m in members) < 1.5, "not one after the other"


def test_authorization_is_never_attached(rig):
    path = rig.path(lambda r: [0.2, whole((r.get("Authorization") or "nobody").encode(), CACHEABLE)])
    members = joined(herd(rig, path, 20, lambda i: (f"Authorization: Basic {i}",) if i % 2 else ()))
    assert [m.response.body.decode() for m in members] == [f"Basic {i}" if i % 2 else "nobody" for i in range(20)]
    assert len([r for r in rig.asked(path) if not r.get("Authorization")]) == 1


def test_authorization_does_not_lead(rig):
    path = rig.path(lambda r: [0.3, whole((r.get("Authorization") or "nobody").encode(), CACHEABLE)])
    members = joined(herd(rig, path, 10, lambda i: () if i else ("Authorization: Basic x",)))
    assert members[0].response.body == b"Basic x"
    assert {m.response.body for m in members[1:]} == {b"nobody"}
    assert len(rig.asked(path)) == 2


def test_no_store_of_a_client_is_not_attached(rig):
    path = rig.path(lambda r: [0.2, whole((r.get("X-Me") or "-").encode(), CACHEABLE)])
    members = joined(herd(rig, path, 10, lambda i: ("Cache-Control: no-store", f"X-Me: {i}") if i % 2 else ()))
    assert [m.response.body for m in members] == [b"%d" % i if i % 2 else b"-" for i in range(10)]


def test_other_methods_are_not_attached(rig):
    path = rig.path(lambda r: [0.2, whole(r.method.encode(), CACHEABLE)])
    members = joined(herd(rig, path, 10, method="DELETE"))
    assert len(rig.asked(path)) == 10 and bodies(members) == {b"DELETE"}


def test_without_a_cache_nobody_is_attached(rig):
    path = rig.path(lambda r: [0.1, whole(b"x", CACHEABLE)])
    joined(herd(rig, path, 10, host="off.test"))
    assert len(rig.asked(path)) == 10


# ---------------------------------------------------------------- who fails, who leaves, who is slow

def test_leader_leaves_before_the_head(rig):
    path = rig.path(lambda r: [0.5, whole(b"body", CACHEABLE)])
    members = herd(rig, path)
    time.sleep(0.1)
    members[0].client.sock.shutdown(2)
    members[0].client.close()
    assert bodies(joined(members[1:])) == {b"body"}
    assert len(rig.asked(path)) <= 2
    assert max(m.last for m in members[1:]) < 2


def test_leader_leaves_in_the_middle(rig):
    hold = Hold()
    path = rig.path([head(CACHEABLE, length=200_009), b"first", hold, b"x" * 200_000, b"last"])
    members = herd(rig, path, 10)
    assert hold.reached.wait(5)
    wait_until(lambda: all(m.first for m in members), 3, "first bytes")
    members[0].client.sock.shutdown(2)
    time.sleep(0.1)
    hold.release()
    assert {len(m.response.body) for m in joined(members[1:])} == {200_009}
    assert all(m.response.complete for m in members[1:])
    assert len(rig.asked(path)) == 1, "the fetch is kept"


def test_everybody_leaves(rig):
    path = rig.path(lambda r: [0.4, whole(b"body", CACHEABLE)])
    members = herd(rig, path, 10)
    for m in members:
        m.client.sock.shutdown(2)
    for m in members:
        m.thread.join(5)
    assert warm(rig, path).body == b"body"


def test_followers_leave(rig):
    path = rig.path([0.4, whole(b"body", CACHEABLE)])
    members = herd(rig, path, 20)
    for m in members[1::2]:
        m.client.sock.shutdown(2)
    assert bodies(joined([members[0], *members[2::2]])) == {b"body"}
    assert len(rig.asked(path)) == 1


def test_leaders_server_fails(rig):
    answers = iter([[0.3, CLOSE]])
    path = rig.path(lambda r: next(answers, None) or [0.1, whole(b"body", CACHEABLE)])
    members = joined(herd(rig, path))
    assert members[0].response.status == 502
    assert {(m.response.status, m.response.body) for m in members[1:]} == {(200, b"body")}
    assert len(rig.asked(path)) == 2, "one of the others asks"


def test_a_server_that_fails_everybody_does_not_fail_them_one_by_one(rig):
    path = rig.path(lambda r: [0.2, CLOSE])
    members = joined(herd(rig, path))
    assert {m.response.status for m in members} <= {502, 504}
    assert max(m.last for m in members) < 2


def test_leaders_server_fails_in_the_middle(rig):
    answers = iter([[head(CACHEABLE, length=100), b"half", 0.3, CLOSE]])
    path = rig.path(lambda r: next(answers, None) or whole(b"body", CACHEABLE))
    members = joined(herd(rig, path, 10))
    for m in members:
        assert not m.response.complete or m.response.body == b"body", "nobody takes half of it for the whole"
    assert warm(rig, path).body == b"body"


def test_an_error_of_the_server_without_a_lifetime(rig):
    path = rig.path(lambda r: [0.2, whole(b"busy", status="503 Service Unavailable")])
    members = joined(herd(rig, path))
    assert {m.response.status for m in members} == {503}
    assert max(m.last for m in members) < 1.2


BIG = b"0123456789abcdef" * (200 << 10)  # 3 MB: as large as memory keeps


def test_slow_follower_holds_up_nobody(rig):
    path = rig.path([0.2, head(CACHEABLE, length=len(BIG)), BIG])
    lead = herd(rig, path, 3)
    slow = Client(rig.weir.port, rcvbuf=4096)
    slow.send(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
    members = herd(rig, path, 5)
    for m in joined(lead + members):
        assert m.response.body == BIG and m.last < 5
    assert slow.response().body == BIG
    slow.close()
    assert len(rig.asked(path)) == 1


def test_slow_leader_holds_up_nobody(rig):
    path = rig.path([0.2, head(CACHEABLE, length=len(BIG)), BIG])
    slow = Client(rig.weir.port, rcvbuf=4096)
    slow.send(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
    time.sleep(0.05)
    for m in joined(herd(rig, path, 5)):
        assert m.response.body == BIG and m.last < 5
    assert slow.response().body == BIG
    slow.close()
    assert len(rig.asked(path)) == 1


def test_what_is_too_large_to_be_kept_is_whole_for_everybody(rig):
    path = rig.path(lambda r: [0.2, head(CACHEABLE, length=len(BIG)), BIG])
    for m in joined(herd(rig, path, 8, host="small.test")):
        assert m.response.body == BIG and m.response.complete
    assert len(rig.asked(path)) <= 8


def test_too_large_without_a_length(rig):
    def script(r):
        return [0.2, head(CACHEABLE), *(b"10000\r\n" + b"x" * 65536 + b"\r\n" for _ in range(40)), b"0\r\n\r\n"]
    path = rig.path(script)
    for m in joined(herd(rig, path, 8, host="small.test")):
        assert len(m.response.body) == 40 * 65536 and m.response.complete


def test_dropped_while_it_is_fetched(rig):
    """What a POST made old is told to those who asked before, but not stored."""
    hold = Hold()
    answers = iter([[hold, whole(b"old", CACHEABLE)]])
    path = rig.path(lambda r: whole(b"done") if r.method == "POST" else next(answers, None) or whole(b"new", CACHEABLE))
    members = herd(rig, path, 5)
    assert hold.reached.wait(5)
    assert warm(rig, path, "Content-Length: 0", method="POST").body == b"done"
    hold.release()
    assert bodies(joined(members)) <= {b"old", b"new"}
    assert warm(rig, path).body == b"new"


def test_cost_of_herds_again_and_again(rig):
    """A thousand requests in twenty herds are twenty fetches."""
    for _ in range(20):
        path = rig.path([0.05, whole(b"x" * 1000, CACHEABLE)])
        assert bodies(joined(herd(rig, path, lead=0))) == {b"x" * 1000}
        assert len(rig.asked(path)) == 1


def test_not_to_queue_is_forgotten_after_ten_seconds(rig):
    """What could not be stored once may be later: then one fetch is enough again."""
    storable = [False]
    path = rig.path(lambda _: [0.3, whole(b"x", CACHEABLE if storable[0] else "Cache-Control: no-store")])
    warm(rig, path)
    storable[0] = True
    time.sleep(10.2)
    before = len(rig.asked(path))
    joined(herd(rig, path, 10))
    assert len(rig.asked(path)) - before == 1
