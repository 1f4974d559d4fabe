# SPDX-License-Identifier: Apache-2.0
"""A raw HTTP/1.1 client: sends the bytes it is given, in pieces and with delays, and reads answers
strictly. It knows nothing that would repair a request or an answer."""
import dataclasses
import select
import socket
import ssl
import time


class Closed(Exception):
    """The peer closed before a whole answer was there."""


@dataclasses.dataclass
class Response:
    status: int
    reason: str
    headers: list          # (name, value) as they came
    body: bytes = b""
    interim: list = dataclasses.field(default_factory=list)  # 1xx before it: Response
    trailers: list = dataclasses.field(default_factory=list)
    raw_head: bytes = b""
    complete: bool = True  # the body ended as its framing says

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name, default=None):
        return next(iter(self.all(name)), default)

    @property
    def text(self):
        return self.body.decode()


class Client:
    """One connection. `to` is a port, an address pair or a unix socket path; `source` an address of ours."""

    def __init__(self, to, timeout=5.0, rcvbuf=None, source=None):
        if isinstance(to, int):
            to = ("127.0.0.1", to)
        family = socket.AF_UNIX if isinstance(to, str) else (
            socket.AF_INET6 if ":" in to[0] else socket.AF_INET)
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(timeout)
        self.sock.connect(to)
        if family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.eof = False
        self.reset = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    @property
    def port(self):
        return self.sock.getsockname()[1]

    # -- sending

    def send(self, *pieces):
        """Sends bytes; a number among them is a pause in seconds. True when all went out."""
        try:
            for p in pieces:
                if isinstance(p, (int, float)):
                    time.sleep(p)
                else:
                    self.sock.sendall(p)
            return True
        except OSError:  # the peer has closed, or the test has closed this end meanwhile
            return False

    def send_split(self, data, size=1):
        """Sends in pieces of `size` bytes, each its own segment."""
        return self.send(*(data[i:i + size] for i in range(0, len(data), size)))

    def get(self, path="/", host="a.test", headers=(), method="GET", **kw):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        return self.response(method=method, **kw)

    def post(self, path="/", body=b"", host="a.test", headers=(), method="POST"):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}",
                 *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return self.response(method=method)

    def half_close(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the peer has reset the connection
            pass

    # -- receiving

    def fill(self):
        """Reads what comes next; False at the end. A time-out is a TimeoutError."""
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            self.reset = self.eof = True
            return False
        if not data:
            self.eof = True
            return False
        self.buf += data
        return True

    def take(self, n):
        while len(self.buf) < n:
            if not self.fill():
                raise Closed(f"wanted {n} bytes, got {len(self.buf)}: {self.buf[:200]!r}")
        data, self.buf = self.buf[:n], self.buf[n:]
        return data

    def take_until(self, mark):
        while mark not in self.buf:
            if not self.fill():
                raise Closed(f"no {mark!r} in {self.buf[:200]!r}")
        data, self.buf = self.buf.split(mark, 1)
        return data

    def head(self):
        raw = self.take_until(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")
        version, status, reason = first.split(" ", 2)
        assert version == "HTTP/1.1", first
        assert len(status) == 3, first
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon and name == name.strip(), line
            headers.append((name, value.strip()))
        return Response(int(status), reason, headers, raw_head=raw + b"\r\n\r\n")

    def response(self, method="GET", body=True):
        """The next final answer with its interim ones. body=False: leaves the body unread."""
        interim = []
        while True:
            r = self.head()
            if r.status >= 200 or r.status == 101:
                break
            interim.append(r)
        r.interim = interim
        if body and r.status != 101:
            self.read_body(r, method)
        return r

    def read_body(self, r, method="GET"):
        coding, length = r.all("Transfer-Encoding"), r.all("Content-Length")
        assert not (coding and length), "both Transfer-Encoding and Content-Length"
        assert len(length) <= 1 and len(coding) <= 1
        if method == "HEAD" or r.status in (204, 304):
            return
        try:
            if coding:
                assert coding[0].lower() == "chunked"
                self.read_chunks(r)
            elif length:
                n = int(length[0])
                while len(self.buf) < n and self.fill():
                    pass
                r.body, self.buf = self.buf[:n], self.buf[n:]
                r.complete = len(r.body) == n
            else:
                r.body = self.rest()
                r.complete = not self.reset
        except Closed:
            r.complete = False

    def read_chunks(self, r):
        while True:
            size = int(self.take_until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            while len(self.buf) < size and self.fill():
                pass
            piece, self.buf = self.buf[:size], self.buf[size:]
            r.body += piece
            if len(piece) < size:
                raise Closed("inside a chunk")
            assert self.take(2) == b"\r\n"
        while True:
            line = self.take_until(b"\r\n")
            if not line:
                return
            name, _, value = line.decode("latin-1").partition(":")
            r.trailers.append((name, value.strip()))

    def rest(self):
        """Everything until the peer closes."""
        while self.fill():
            pass
        data, self.buf = self.buf, b""
        return data

    def closed(self, seconds=2.0):
        """True when the peer closes (without further bytes) in time."""
        if self.buf:
            return False
        if self.eof:
            return True
        old = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            return not self.fill()
        except TimeoutError:
            return False
        finally:
            self.sock.settimeout(old)

    def idle_end(self):
        """Between two answers: has the peer closed or sent anything?"""
        if not self.buf and select.select([self.sock], [], [], 0)[0]:
            self.fill()
        return self.eof or bool(self.buf)

    def quiet(self, seconds=0.2):
        """True when nothing comes, not even a close, for that long."""
        return not self.buf and not select.select([self.sock], [], [], seconds)[0]


class TlsClient(Client):
    """A connection over TLS. `context` as certs.client_context() makes it; `sni` None: no name."""

    def __init__(self, to, context, sni="a.test", session=None, **kw):
        super().__init__(to, **kw)
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname=sni, session=session)
        except BaseException:
            self.sock.close()
            raise

    def fill(self):
        try:
            return super().fill()
        except ssl.SSLEOFError:
            self.eof = self.reset = True
            return False

    def idle_end(self):
        """Between two answers: has the peer closed or sent anything but its tickets?"""
        old = self.sock.gettimeout()
        self.sock.settimeout(0)
        try:
            self.fill()
            return True
        except (ssl.SSLWantReadError, BlockingIOError):
            return bool(self.buf)
        finally:
            self.sock.settimeout(old)


def get(to, path="/", host="a.test", headers=(), **kw):
    """One GET on a connection of its own."""
    with Client(to) as c:
        return c.get(path, host, headers, **kw)
