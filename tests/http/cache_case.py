# SPDX-License-Identifier: Apache-2.0
"""What a case of the cache's rules is made of (cache_rules.py, cache_rules_use.py), and how it is played
(test_cache_rules.py).

A case is a list of steps on a path of its own. A step is one request of a client and what has to become of it:

    asks(answer, ...)    the server is asked, and the client gets what it says
    hit(...)             the client gets what is stored, and nobody is asked
    checks(answer, ...)  the server is asked, and the client gets what is stored
    behind(answer, ...)  the client gets what is stored at once; the server is asked meanwhile
    either(answer, ...)  nobody demands one or the other; what is said of the answer holds all the same

The server stamps each answer with its number (Stamp: N), so that an answer tells where it comes from. In fields
@N@ is the date N seconds after the start of the case, @N rfc850@ that in another form (FORMS), @path@ the path of
the case."""
import dataclasses
import re
import threading
import time

from kit import CLOSE, RESET, Client, wait_until


# ---------------------------------------------------------------- dates

def _date(pattern):
    return lambda t: time.strftime(pattern, time.gmtime(t))


FORMS = {
    "imf": _date("%a, %d %b %Y %H:%M:%S GMT"),
    "rfc850": _date("%A, %d-%b-%y %H:%M:%S GMT"),
    "asctime": _date("%a %b %e %H:%M:%S %Y"),
    "lower": lambda t: FORMS["imf"](t).lower(),
    "upper": lambda t: FORMS["imf"](t).upper(),
    "lower850": lambda t: FORMS["rfc850"](t).lower(),
    "no-zone": _date("%a, %d %b %Y %H:%M:%S"),
    "utc": _date("%a, %d %b %Y %H:%M:%S UTC"),
    "aest": _date("%a, %d %b %Y %H:%M:%S AEST"),
    "+0000": _date("%a, %d %b %Y %H:%M:%S +0000"),
    "short-year": _date("%a, %d %b %y %H:%M:%S GMT"),
    "no-comma": _date("%a %d %b %Y %H:%M:%S GMT"),
    "two-spaces": _date("%a, %d  %b %Y %H:%M:%S GMT"),
    "two-spaces-time": _date("%a, %d %b %Y  %H:%M:%S GMT"),
    "dashes": _date("%a, %d-%b-%Y %H:%M:%S GMT"),
    "dots": _date("%a, %d %b %Y %H.%M.%S GMT"),
    "short-hour": _date("%a, %d %b %Y 1:%M:%S GMT"),
    "iso": _date("%Y-%m-%dT%H:%M:%SZ"),
    "seconds": lambda t: str(int(t)),
    "no-weekday": _date("%d %b %Y %H:%M:%S GMT"),
    "no-seconds": _date("%a, %d %b %Y %H:%M GMT"),
    "short-weekday-850": _date("%a, %d-%b-%y %H:%M:%S GMT"),
}


def dated(text, start):
    """Puts dates in."""
    return re.sub(r"@([+-]?\d+)(?: ([\w+-]+))?@", lambda m: FORMS[m[2] or "imf"](start + int(m[1])), text)


# ---------------------------------------------------------------- what a server says

@dataclasses.dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: tuple = ()
    body: bytes | None = None  # None: one that tells its number
    delay: float = 0           # before the head
    framing: str = "length"    # or "chunked", "close"
    end: str = ""              # "none": no answer at all; "reset"; "cut": half of the body, and the end
    interim: tuple = ()        # heads of answers before it
    date: bool = True          # Date, unless it is in `headers`
    stamp: bool = True

    def says(self, name):
        return [h.partition(":")[2].strip() for h in self.headers if h.lower().startswith(name.lower() + ":")]


def ok(*headers, **kw):
    return Answer(200, headers, **kw)


def say(status, *headers, **kw):
    return Answer(status, headers, **kw)


def same(*headers, **kw):
    """Not modified: nothing of it but its fields is told from what is stored."""
    return Answer(304, headers, b"", stamp=False, framing="none", **kw)


DEAD = Answer(end="none")
OTHER = ok("Cache-Control: no-store")  # to whoever asks without being expected to


def bodiless(request, status):
    return request.method == "HEAD" or status in (204, 304)


# ---------------------------------------------------------------- what a client does and gets

@dataclasses.dataclass(frozen=True)
class Step:
    source: str
    answers: tuple = ()
    headers: tuple = ()
    method: str = "GET"
    at: str = ""              # behind the path of the case
    host: str = ""            # in front of the site's name
    body: bytes | None = None
    pause: float = 0          # before it
    of: int | None = None     # the stamp that it has to have, unless it is the last one
    status: object = None     # of the client's answer, unless it is that of the server's; several: any of them
    has: dict = dataclasses.field(default_factory=dict)  # field -> what it has to be (holds())
    saw: dict = dataclasses.field(default_factory=dict)  # the same of the request that the server got
    age: int | None = None
    text: bytes | None = None  # the body
    complete: bool = True
    within: float = 0          # seconds
    interim: tuple = ()        # statuses before it


def asks(answer, *headers, **kw):
    return Step("origin", (answer,), headers, **kw)


def hit(*headers, **kw):
    return Step("cache", (), headers, **kw)


def checks(answer, *headers, **kw):
    return Step("checked", (answer,), headers, **kw)


def behind(answer, *headers, **kw):
    return Step("behind", (answer,), headers, **kw)


def either(answer, *headers, **kw):
    return Step("either", (answer,), headers, **kw)


def head(step):
    return dataclasses.replace(step, method="HEAD")


@dataclasses.dataclass(frozen=True)
class Under:
    """A case whose steps go to the site of that policy."""
    policy: str
    steps: list


def under(policy, *steps):
    return Under(policy, list(steps))


def holds(want, got, expand):
    """`want`: None (absent), the only line, a list of all lines, a pattern, or a function of them."""
    if want is None:
        return not got
    if isinstance(want, re.Pattern):
        return any(want.search(g) for g in got)
    if callable(want):
        return bool(want(got))
    return got == [expand(w) for w in ([want] if isinstance(want, str) else want)]


# ---------------------------------------------------------------- playing it

class Play:
    """One case on its way."""

    def __init__(self, weir, case, number):
        self.weir = weir
        self.policy, self.steps = (case.policy, case.steps) if isinstance(case, Under) else ("plain", case)
        self.path = f"/r{number}"
        self.start = 0
        self.lock = threading.Lock()
        self.script = []
        self.seen = []     # requests, in order
        self.said = {}     # stamp -> (answer, body)
        self.done = 0      # answers that went out whole
        self.newest = None
        self.client = None

    # -- as the server

    def origin(self, request):
        with self.lock:
            self.seen.append(request)
            number = len(self.seen)
            answer = self.script.pop(0) if self.script else OTHER
            body = answer.body if answer.body is not None else b"answer %d of %s" % (number, self.path.encode())
            if answer.stamp and answer.end not in ("none", "reset"):
                self.said[number] = answer, body
                self.newest = number
        return self.bytes_of(answer, number, body, request)

    def bytes_of(self, a, number, body, request):
        if a.end:
            end = {"none": CLOSE, "reset": RESET, "cut": CLOSE}[a.end]
            if a.end != "cut":
                return [a.delay, self.count, end]
        lines = list(a.headers)
        if a.date and not a.says("Date"):
            lines.append("Date: " + FORMS["imf"](time.time()))
        if a.stamp:
            lines.append(f"Stamp: {number}")
        data = body
        if a.framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
            data = b"%x\r\n%s\r\n" % (len(body), body) + (b"" if a.end else b"0\r\n\r\n")
        elif a.framing == "length" and a.status != 204 and not a.says("Content-Length"):
            lines.append(f"Content-Length: {len(body)}")
        if a.end == "cut":
            data = data[:len(data) // 2]
        if bodiless(request, a.status):
            data = b""
        text = "\r\n".join([f"HTTP/1.1 {a.status} Said", *lines, "", ""])
        steps = [self.encode(i + "\r\n\r\n") for i in a.interim]
        steps += [a.delay, self.encode(text) + data, self.count]
        return steps + ([CLOSE] if a.end or a.framing == "close" else [])

    def expand(self, text):
        return dated(text.replace("@path@", self.path), self.start)

    def encode(self, text):
        return self.expand(text).encode("latin-1")

    def count(self, _):
        with self.lock:
            self.done += 1

    # -- as the client

    def run(self):
        self.start = int(time.time())
        self.client = Client(self.weir.port)
        try:
            for i, step in enumerate(self.steps):
                time.sleep(step.pause)
                try:
                    self.step(step)
                except AssertionError as e:
                    raise AssertionError(f"step {i + 1} ({step.source}): {e}") from None
        finally:
            self.client.close()

    def send(self, s):
        if self.client.idle_end():
            self.client.close()
            self.client = Client(self.weir.port)
        lines = [f"{s.method} {self.path}{s.at} HTTP/1.1", f"Host: {s.host}{self.policy}.test",
                 *(self.expand(h) for h in s.headers)]
        if s.body is not None or s.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(s.body or b'')}")
        self.client.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (s.body or b""))
        return self.client.response(method=s.method)

    def step(self, s):
        with self.lock:
            self.script = list(s.answers)
            before, stamp = len(self.seen), self.newest
        began = time.monotonic()
        r = self.send(s)
        took = time.monotonic() - began
        asked = {"cache": 0, "origin": 1, "checked": 1, "behind": 1, "either": None}[s.source]
        if s.source == "behind":
            self.await_answers(before + 1)
        with self.lock:
            requests = self.seen[before:]
        if asked is None:
            asked = len(requests)
            assert asked <= 1, f"{asked} requests"
        assert len(requests) == asked, f"the server was asked {len(requests)} times, not {asked}: {told(r)}"
        if s.source == "origin":
            stamp = self.newest if self.newest != stamp else None
        if s.source == "either":
            stamp = self.newest
        if s.source == "checked":
            self.newest = stamp
        assert not s.within or took < s.within, f"took {took:.3f} s"
        self.check_requests(s, requests)
        self.check_answer(s, r, s.of or stamp)

    def await_answers(self, count):
        wait_until(lambda: self.done >= count, 3, f"{count} answers of the server")
        time.sleep(0.03)  # it has to be stored, too

    def check_requests(self, s, requests):
        for r in requests:
            for name, want in s.saw.items():
                assert holds(want, r.all(name), self.expand), f"the server saw {name}: {r.all(name)}, not {want}"

    def check_answer(self, s, r, stamp):
        said, body = self.said.get(stamp, (None, b""))
        direct = s.source == "origin"
        from_store = s.source in ("cache", "behind")
        status = s.status or (s.answers[0].status if direct else said and said.status)
        assert r.status in (status if isinstance(status, tuple) else (status,)), f"not {status}: {told(r)}"
        assert [i.status for i in r.interim] == list(s.interim), f"{r.interim}"
        if from_store and r.status != 504:
            assert len(r.all("Age")) == 1 and r.get("Age").isdigit(), f"Age: {r.all('Age')}"
        if direct and not s.status:
            assert "Age" in s.has or r.all("Age") == s.answers[0].says("Age"), f"Age: {r.all('Age')}"
        if s.age is not None:
            assert s.age <= int(r.get("Age", -1)) <= s.age + 1, f"Age: {r.all('Age')}, not {s.age}"
        for name, want in s.has.items():
            assert holds(want, r.all(name), self.expand), f"{name}: {r.all(name)}, not {want}"
        assert r.complete == s.complete
        if said and r.status == said.status:
            assert r.get("Stamp") == str(stamp), f"not of answer {stamp}: {told(r)}"
        self.check_body(s, r, body if said and r.status == said.status else None)

    def check_body(self, s, r, body):
        want = s.text if s.text is not None else body
        if s.method == "HEAD" or r.status in (204, 304):
            assert r.body == b""
        elif want is not None and s.complete:
            assert r.body == want, f"body {r.body!r}, not {want!r}"


def told(r):
    return f"{r.status} {r.headers} {r.body[:80]!r}"
