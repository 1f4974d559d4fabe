# SPDX-License-Identifier: Apache-2.0
"""The rules of HTTP/2 one by one, in the order of RFC 9113 (and 7541, 8441, 9218): what a client sends, byte by byte, and
whether that is taken, an error of its stream, or an error of the connection. A connection that failed is told by GOAWAY
and closed; after an error of a stream the connection goes on."""
import dataclasses
import struct

import pytest

from kit import Hold, Origin, Weir, answer
from kit import h2raw
from kit.h2raw import H2Raw, PREFACE, frame

CONF = """workers 1
listen @listen@
listen @tls@ h2
admin @admin@
log access off
timeout client_send=20s
site * {
    route /hold { proxy @o@ }
    route /big { proxy @o@ }
    respond 200 "$method $path"
}
"""


@pytest.fixture(scope="module")
def weir():
    hold = Hold()
    script = {"/hold": lambda: [hold, answer()], "/big": lambda: answer(b"x" * 200_000)}
    with Origin(lambda r: script[r.target](), early=True) as o, Weir(CONF, o=o) as w:
        yield w
        hold.release()


# ---------------------------------------------------------------- what is said

GET = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")]
POST = [(":method", "POST"), *GET[1:]]
HOLD = [(":method", "POST"), (":scheme", "http"), (":path", "/hold"), (":authority", "a.test")]
TUNNEL = [(":method", "CONNECT"), (":protocol", "websocket"), *HOLD[1:]]
EOH, END, PAD, PRIO = h2raw.END_HEADERS, h2raw.END_STREAM, h2raw.PADDED, h2raw.HAS_PRIORITY


def text(s):
    s = s.encode("latin-1") if isinstance(s, str) else s
    assert len(s) < 127
    return bytes([len(s)]) + s


def literal(name, value):
    """Without index and Huffman: nobody but the test has a say in the bytes."""
    return b"\0" + text(name) + text(value)


def block(fields):
    return fields if isinstance(fields, bytes) else b"".join(literal(n, v) for n, v in fields)


def heads(stream, fields=GET, flags=EOH | END, before=b"", behind=b""):
    return frame(h2raw.HEADERS, flags, stream, before + block(fields) + behind)


def more(stream, part=b"", flags=EOH):
    return frame(h2raw.CONTINUATION, flags, stream, part)


def data(stream, payload=b"", flags=0):
    return frame(h2raw.DATA, flags, stream, payload)


def settings(*pairs, flags=0, stream=0):
    return frame(h2raw.SETTINGS, flags, stream, b"".join(struct.pack(">HI", *p) for p in pairs))


def window(stream, by):
    return frame(h2raw.WINDOW_UPDATE, 0, stream, struct.pack(">I", by))


def reset(stream, code=h2raw.CANCEL):
    return frame(h2raw.RST_STREAM, 0, stream, struct.pack(">I", code))


def priority(stream, on, weight=15):
    return frame(h2raw.PRIORITY, 0, stream, struct.pack(">IB", on, weight))


def update(stream, value=b"u=1", on=0):
    return frame(h2raw.PRIORITY_UPDATE, 0, on, struct.pack(">I", stream) + value)


def ping(payload=b"12345678", flags=0, stream=0):
    return frame(h2raw.PING, flags, stream, payload)


def goaway(payload=bytes(8), stream=0):
    return frame(h2raw.GOAWAY, 0, stream, payload)


OPEN = heads(1, HOLD, EOH)             # stream 1: open
HALF = heads(1, HOLD, EOH | END)       # stream 1: half-closed (remote)
GONE = OPEN + reset(1)                 # stream 1: closed, by the client


@dataclasses.dataclass
class Ended:
    """Stream 1 has been served whole: what follows is said after that."""
    then: bytes


@dataclasses.dataclass
class Refused:
    """Stream 1 was reset by the server: what follows is said after that."""
    then: bytes


# ---------------------------------------------------------------- what is expected

@dataclasses.dataclass
class Conn:
    """An error of the connection."""
    code: int

    def check(self, c):
        assert c.goaway(3) == self.code
        c.wait(lambda f: False, 3)
        assert c.closed


@dataclasses.dataclass
class Stream:
    """An error of the stream, and of nothing else."""
    code: int
    id: int = 1

    def check(self, c):
        f = c.wait(lambda f: f.type == h2raw.GOAWAY or (f.type == h2raw.RST_STREAM and f.stream == self.id), 3)
        assert f and f.type == h2raw.RST_STREAM and f.code == self.code, f
        Taken().check(c)


@dataclasses.dataclass
class Taken:
    """No error at all."""
    def check(self, c):
        assert c.ping() and c.goaway(0.001) is None
        c.send(heads(9001))
        assert c.response(9001)[0] == 200


@dataclasses.dataclass
class Served:
    """A request on this stream is answered with this status. What of it was not needed may be refused (8.1)."""
    id: int = 1
    status: int = 200

    def check(self, c):
        assert c.response(self.id, 3)[0] == self.status
        assert c.reset(self.id, 0.001) in (None, h2raw.NO_ERROR)
        Taken().check(c)


@dataclasses.dataclass
class Ignored:
    """What was said is not even answered."""
    id: int

    def check(self, c):
        Taken().check(c)
        assert not [f for f in c.frames if f.stream == self.id]


PROTOCOL, FLOW, CLOSED = h2raw.PROTOCOL_ERROR, h2raw.FLOW_CONTROL_ERROR, h2raw.STREAM_CLOSED
SIZE, COMPRESSION, REFUSED = h2raw.FRAME_SIZE_ERROR, h2raw.COMPRESSION_ERROR, h2raw.REFUSED_STREAM
MALFORMED = Stream(PROTOCOL)


def without(*names, fields=GET):
    return [f for f in fields if f[0] not in names]


def having(name, value, fields=GET):
    return [(n, value if n == name else v) for n, v in fields]


def parts(fields, flags=END, step=5):
    """A block in many frames."""
    b = block(fields)
    cut = [b[i:i + step] for i in range(0, len(b), step)]
    return frame(h2raw.HEADERS, flags, 1, cut[0]) + b"".join(
        more(1, p, EOH if p is cut[-1] else 0) for p in cut[1:])


FRAMES = {
    "4.1 unknown type on a stream": (frame(0xfa, 0xff, 1, b"x") + heads(1), Served()),
    "4.1 unknown type on the connection": (frame(0xfb, 0, 0, b"x" * 100) + heads(1), Served()),
    "4.1 unknown type on an even stream": (frame(0xfb, 0, 2, b""), Taken()),
    "4.1 unknown flags of PING": (ping(flags=0xfe), Taken()),
    "4.1 unknown flags of HEADERS": (heads(1, flags=EOH | END | 0xd2), Served()),
    "4.1 unknown flags of DATA": (OPEN + data(1, b"x", 0xf6), Taken()),
    "4.1 unknown flags of RST_STREAM": (OPEN + frame(h2raw.RST_STREAM, 0xff, 1, bytes(4)), Taken()),
    "4.1 unknown flags of WINDOW_UPDATE": (frame(h2raw.WINDOW_UPDATE, 0xff, 0, b"\0\0\0\1"), Taken()),
    "4.1 reserved bit of the stream": (heads(1 | 1 << 31), Served()),
    "4.1 reserved bit on the connection": (ping(stream=1 << 31), Taken()),
    "4.1 reserved bit of a window": (frame(h2raw.WINDOW_UPDATE, 0, 0, b"\x80\0\0\1"), Taken()),
    "4.2 DATA of 2^14": (heads(1, having(":path", "/", POST), EOH) + data(1, bytes(16384), END), Served()),
    "4.2 DATA of 2^14+1": (OPEN + data(1, bytes(16385)), Conn(SIZE)),
    "4.2 HEADERS of 2^14+1": (heads(1, bytes(16385)), Conn(SIZE)),
    "4.2 CONTINUATION of 2^14+1": (heads(1, flags=END) + more(1, bytes(16385)), Conn(SIZE)),
    "4.2 SETTINGS of 2^14+2": (frame(h2raw.SETTINGS, 0, 0, bytes(16386)), Conn(SIZE)),
    "4.2 unknown type of 2^14+1": (frame(0xfa, 0, 0, bytes(16385)), Conn(SIZE)),
    "4.3 a block in many frames": (parts(GET), Served()),
    "4.3 an empty HEADERS and a CONTINUATION": (heads(1, b"", END) + more(1, block(GET)), Served()),
    "4.3 an empty CONTINUATION at the end": (heads(1, flags=END) + more(1), Served()),
    "4.3 PRIORITY in a block": (heads(1, flags=END) + priority(1, 0), Conn(PROTOCOL)),
    "4.3 PRIORITY of another stream in a block": (heads(1, flags=END) + priority(3, 0), Conn(PROTOCOL)),
    "4.3 unknown type in a block": (heads(1, flags=END) + frame(0xfa, 0, 1), Conn(PROTOCOL)),
    "4.3 unknown type on the connection in a block": (heads(1, flags=END) + frame(0xfa, 0, 0), Conn(PROTOCOL)),
    "4.3 DATA in a block": (heads(1, flags=0) + data(1), Conn(PROTOCOL)),
    "4.3 HEADERS of another stream in a block": (heads(1, flags=END) + heads(3), Conn(PROTOCOL)),
    "4.3 HEADERS of the same stream in a block": (heads(1, flags=END) + heads(1), Conn(PROTOCOL)),
    "4.3 SETTINGS in a block": (heads(1, flags=END) + settings(), Conn(PROTOCOL)),
    "4.3 PING in a block": (heads(1, flags=END) + ping(), Conn(PROTOCOL)),
    "4.3 GOAWAY in a block": (heads(1, flags=END) + goaway(), Conn(PROTOCOL)),
    "4.3 WINDOW_UPDATE in a block": (heads(1, flags=END) + window(0, 1), Conn(PROTOCOL)),
    "4.3 RST_STREAM in a block": (heads(1, flags=END) + reset(1), Conn(PROTOCOL)),
    "4.3 PRIORITY_UPDATE in a block": (heads(1, flags=END) + update(1), Conn(PROTOCOL)),
    "4.3 a block that does not decompress": (heads(1, b"\x80"), Conn(COMPRESSION)),
    "4.3 nor one in trailers": (OPEN + heads(1, b"\x80"), Conn(COMPRESSION)),
    "4.3 nor one of a stream that was reset": (GONE + heads(1, b"\x80"), Conn(COMPRESSION)),
    "4.3 nor one of a stream half-closed": (HALF + heads(1, b"\x80"), Conn(COMPRESSION)),
}

STATES = {
    "5.1 DATA on idle": (data(1, b"x"), Conn(PROTOCOL)),
    "5.1 RST_STREAM on idle": (reset(1), Conn(PROTOCOL)),
    "5.1 WINDOW_UPDATE on idle": (window(1, 1), Conn(PROTOCOL)),
    "5.1 CONTINUATION on idle": (more(1, block(GET)), Conn(PROTOCOL)),
    "5.1 PRIORITY on idle": (priority(1, 0) + heads(1), Served()),
    "5.1 DATA on half-closed (remote)": (HALF + data(1, b"x", END), Stream(CLOSED)),
    "5.1 empty DATA on half-closed (remote)": (HALF + data(1), Stream(CLOSED)),
    "5.1 HEADERS on half-closed (remote)": (HALF + heads(1, [("a", "b")]), Stream(CLOSED)),
    "5.1 CONTINUATION on half-closed (remote)": (HALF + more(1, block([("a", "b")])), Conn(PROTOCOL)),
    "5.1 WINDOW_UPDATE on half-closed (remote)": (HALF + window(1, 1), Taken()),
    "5.1 PRIORITY on half-closed (remote)": (HALF + priority(1, 0), Taken()),
    "5.1 RST_STREAM on half-closed (remote)": (HALF + reset(1), Taken()),
    "5.1 DATA after RST_STREAM": (GONE + data(1, b"x", END), Stream(CLOSED)),
    "5.1 HEADERS after RST_STREAM": (GONE + heads(1, [("a", "b")]), Stream(CLOSED)),
    "5.1 CONTINUATION after RST_STREAM": (GONE + more(1, block([("a", "b")])), Conn(PROTOCOL)),
    "5.1 PRIORITY after RST_STREAM": (GONE + priority(1, 0), Taken()),
    "5.1 WINDOW_UPDATE after RST_STREAM": (GONE + window(1, 1), Taken()),
    "5.1 RST_STREAM after RST_STREAM": (GONE + reset(1), Taken()),
    "5.1 DATA on closed": (Ended(data(1, b"x", END)), Conn(CLOSED)),
    "5.1 HEADERS on closed": (Ended(heads(1)), Conn(CLOSED)),
    "5.1 CONTINUATION on closed": (Ended(more(1, block(GET))), Conn(PROTOCOL)),
    "5.1 PRIORITY on closed": (Ended(priority(1, 0)), Taken()),
    "5.1 WINDOW_UPDATE on closed": (Ended(window(1, 1)), Taken()),
    "5.1 RST_STREAM on closed": (Ended(reset(1)), Taken()),
    "5.1 DATA after a reset of ours": (Refused(data(1, b"x", END)), Taken()),
    "5.1 HEADERS after a reset of ours": (Refused(heads(1, [("a", "b")])), Taken()),
    "5.1 WINDOW_UPDATE after a reset of ours": (Refused(window(1, 1)), Taken()),
    "5.1 RST_STREAM after a reset of ours": (Refused(reset(1)), Taken()),
    "5.1.1 HEADERS on an even stream": (heads(2), Conn(PROTOCOL)),
    "5.1.1 DATA on an even stream": (data(2, b"x"), Conn(PROTOCOL)),
    "5.1.1 RST_STREAM on an even stream": (reset(2), Conn(PROTOCOL)),
    "5.1.1 WINDOW_UPDATE on an even stream": (window(2, 1), Conn(PROTOCOL)),
    "5.1.1 a lower stream": (heads(5, HOLD) + heads(3), Conn(PROTOCOL)),
    "5.1.1 streams left out": (heads(1) + heads(77), Served(77)),
    "5.3.2 PRIORITY on itself": (OPEN + priority(1, 1), Stream(PROTOCOL)),
    "5.3.2 PRIORITY on itself of what is closed": (GONE + priority(1, 1), Stream(PROTOCOL)),
    "5.3.2 PRIORITY on itself of what is idle": (priority(1, 1), Conn(PROTOCOL)),
    "5.3.2 HEADERS on itself": (heads(1, flags=EOH | END | PRIO, before=b"\0\0\0\1\x0f"), Stream(PROTOCOL)),
    "5.3.2 HEADERS on itself, exclusive": (heads(1, flags=EOH | END | PRIO, before=b"\x80\0\0\1\x0f"), Stream(PROTOCOL)),
    "5.3.2 HEADERS on another": (heads(1, flags=EOH | END | PRIO, before=b"\x80\0\0\3\x0f"), Served()),
}

TYPES = {
    "6.1 DATA on stream 0": (data(0, b"x"), Conn(PROTOCOL)),
    "6.1 padding": (heads(1, POST, EOH) + data(1, b"\3abc" + bytes(3), PAD | END), Served()),
    "6.1 padding of 255": (heads(1, POST, EOH) + data(1, b"\xff" + bytes(255), PAD | END), Served()),
    "6.1 nothing but padding": (heads(1, POST, EOH) + data(1, b"\3" + bytes(3), PAD | END), Served()),
    "6.1 padding of 0": (heads(1, POST, EOH) + data(1, b"\0abc", PAD | END), Served()),
    "6.1 padding as long as the payload": (OPEN + data(1, b"\4abc", PAD), Conn(PROTOCOL)),
    "6.1 padding longer than the payload": (OPEN + data(1, b"\xffabc", PAD), Conn(PROTOCOL)),
    "6.1 padding without its length": (OPEN + data(1, b"", PAD), Conn(SIZE)),
    "6.1 padding that is not zero": (heads(1, POST, EOH) + data(1, b"\2abcxy", PAD | END), Served()),
    "6.2 HEADERS on stream 0": (heads(0), Conn(PROTOCOL)),
    "6.2 padding": (heads(1, flags=EOH | END | PAD, before=b"\5", behind=bytes(5)), Served()),
    "6.2 padding and priority": (heads(1, flags=EOH | END | PAD | PRIO, before=b"\5\0\0\0\0\x0f", behind=bytes(5)),
                                 Served()),
    "6.2 padding longer than the payload": (heads(1, b"abc", EOH | END | PAD, before=b"\4"), Conn(PROTOCOL)),
    "6.2 padding into the priority": (heads(1, b"", EOH | END | PAD | PRIO, before=b"\1\0\0\0\0\x0f"), Conn(PROTOCOL)),
    "6.2 padding without its length": (heads(1, b"", EOH | END | PAD), Conn(SIZE)),
    "6.2 too short for its priority": (heads(1, b"abcd", EOH | END | PRIO), Conn(SIZE)),
    "6.2 too short for both": (heads(1, b"\0abcd", EOH | END | PAD | PRIO), Conn(SIZE)),
    "6.2 no block": (heads(1, b""), MALFORMED),
    "6.3 PRIORITY on stream 0": (priority(0, 1), Conn(PROTOCOL)),
    "6.3 PRIORITY of 4 bytes": (OPEN + frame(h2raw.PRIORITY, 0, 1, bytes(4)), Stream(SIZE)),
    "6.3 PRIORITY of 6 bytes": (OPEN + frame(h2raw.PRIORITY, 0, 1, bytes(6)), Stream(SIZE)),
    "6.3 PRIORITY of no bytes": (OPEN + frame(h2raw.PRIORITY, 0, 1), Stream(SIZE)),
    "6.3 PRIORITY of 4 bytes on idle": (frame(h2raw.PRIORITY, 0, 1, bytes(4)), Conn(SIZE)),
    "6.4 RST_STREAM on stream 0": (reset(0), Conn(PROTOCOL)),
    "6.4 RST_STREAM of 3 bytes": (OPEN + frame(h2raw.RST_STREAM, 0, 1, bytes(3)), Conn(SIZE)),
    "6.4 RST_STREAM of 5 bytes": (OPEN + frame(h2raw.RST_STREAM, 0, 1, bytes(5)), Conn(SIZE)),
    "6.4 RST_STREAM with an unknown code": (OPEN + reset(1, 0xfafafafa), Taken()),
    "6.5 SETTINGS on a stream": (settings((3, 5), stream=1), Conn(PROTOCOL)),
    "6.5 ACK with a payload": (settings((3, 5), flags=h2raw.ACK), Conn(SIZE)),
    "6.5 ACK that nobody waits for": (settings(flags=h2raw.ACK) * 3, Taken()),
    "6.5 5 bytes": (frame(h2raw.SETTINGS, 0, 0, bytes(5)), Conn(SIZE)),
    "6.5 7 bytes": (frame(h2raw.SETTINGS, 0, 0, bytes(7)), Conn(SIZE)),
    "6.5.2 unknown setting": (settings((0xfa, 1), (0, 7), (0xffff, 2 ** 32 - 1)) + heads(1), Served()),
    "6.5.2 ENABLE_PUSH 0": (settings((2, 0)), Taken()),
    "6.5.2 ENABLE_PUSH 1": (settings((2, 1)), Taken()),
    "6.5.2 ENABLE_PUSH 2": (settings((2, 2)), Conn(PROTOCOL)),
    "6.5.2 INITIAL_WINDOW_SIZE 2^31-1": (settings((4, 2 ** 31 - 1)) + heads(1), Served()),
    "6.5.2 INITIAL_WINDOW_SIZE 2^31": (settings((4, 2 ** 31)), Conn(FLOW)),
    "6.5.2 MAX_FRAME_SIZE 2^14-1": (settings((5, 16383)), Conn(PROTOCOL)),
    "6.5.2 MAX_FRAME_SIZE 2^14": (settings((5, 16384)), Taken()),
    "6.5.2 MAX_FRAME_SIZE 2^24-1": (settings((5, 2 ** 24 - 1)), Taken()),
    "6.5.2 MAX_FRAME_SIZE 2^24": (settings((5, 2 ** 24)), Conn(PROTOCOL)),
    "6.5.2 HEADER_TABLE_SIZE 2^32-1": (settings((1, 2 ** 32 - 1)) + heads(1), Served()),
    "6.5.2 MAX_CONCURRENT_STREAMS 0": (settings((3, 0)) + heads(1), Served()),
    "6.5.2 MAX_HEADER_LIST_SIZE 0": (settings((6, 0)) + heads(1), Served()),
    "6.5.2 ENABLE_CONNECT_PROTOCOL 2": (settings((8, 2)), Conn(PROTOCOL)),
    "6.5.3 the last of several values": (settings((4, 2 ** 31 - 1), (4, 0), (4, 65535)) + heads(1), Served()),
    "6.6 PUSH_PROMISE": (OPEN + frame(h2raw.PUSH_PROMISE, EOH, 1, b"\0\0\0\2" + block(GET)), Conn(PROTOCOL)),
    "6.7 PING on a stream": (ping(stream=1), Conn(PROTOCOL)),
    "6.7 PING of 7 bytes": (ping(bytes(7)), Conn(SIZE)),
    "6.7 PING of 9 bytes": (ping(bytes(9)), Conn(SIZE)),
    "6.7 ACK that nobody waits for": (ping(flags=h2raw.ACK), Taken()),
    "6.7 ACK of 7 bytes": (ping(bytes(7), h2raw.ACK), Conn(SIZE)),
    "6.8 GOAWAY on a stream": (goaway(stream=1), Conn(PROTOCOL)),
    "6.8 GOAWAY of 7 bytes": (goaway(bytes(7)), Conn(SIZE)),
    "6.9 WINDOW_UPDATE of 3 bytes": (frame(h2raw.WINDOW_UPDATE, 0, 0, bytes(3)), Conn(SIZE)),
    "6.9 WINDOW_UPDATE of 5 bytes": (frame(h2raw.WINDOW_UPDATE, 0, 0, bytes(5)), Conn(SIZE)),
    "6.9 WINDOW_UPDATE by 0 on the connection": (window(0, 0), Conn(PROTOCOL)),
    "6.9 WINDOW_UPDATE by 0 on a stream": (HALF + window(1, 0), Stream(PROTOCOL)),
    "6.9.1 the connection's window at 2^31-1": (window(0, 2 ** 31 - 1 - 65535), Taken()),
    "6.9.1 the connection's window at 2^31": (window(0, 2 ** 31 - 65535), Conn(FLOW)),
    "6.9.1 the connection's window at 2^31 in two": (window(0, 2 ** 30) + window(0, 2 ** 30), Conn(FLOW)),
    "6.9.1 a stream's window at 2^31-1": (HALF + window(1, 2 ** 31 - 1 - 65535), Taken()),
    "6.9.1 a stream's window at 2^31": (HALF + window(1, 2 ** 31 - 65535), Stream(FLOW)),
    "6.9.2 SETTINGS take a stream's window to 2^31-1": (HALF + window(1, 2 ** 31 - 1 - 65535) + settings((4, 65535)),
                                                        Taken()),
    "6.9.2 SETTINGS take a stream's window to 2^31": (HALF + window(1, 2 ** 31 - 1 - 65535) + settings((4, 65536)),
                                                      Conn(FLOW)),
    "6.9.2 SETTINGS leave the connection's window": (window(0, 2 ** 31 - 1 - 65535) + settings((4, 2 ** 31 - 1)),
                                                     Taken()),
    "6.10 CONTINUATION on stream 0": (heads(1, flags=END) + more(0), Conn(PROTOCOL)),
    "6.10 CONTINUATION of another stream": (heads(1, flags=END) + more(3), Conn(PROTOCOL)),
    "6.10 CONTINUATION after END_HEADERS": (OPEN + more(1), Conn(PROTOCOL)),
    "6.10 CONTINUATION after a CONTINUATION with END_HEADERS": (heads(1, b"", 0) + more(1, block(HOLD)) + more(1),
                                                                Conn(PROTOCOL)),
    "6.10 CONTINUATION after DATA": (OPEN + data(1, b"x") + more(1), Conn(PROTOCOL)),
    "RFC 9218 7.1 PRIORITY_UPDATE on a stream": (update(1, on=1), Conn(PROTOCOL)),
    "RFC 9218 7.1 PRIORITY_UPDATE of 3 bytes": (frame(h2raw.PRIORITY_UPDATE, 0, 0, bytes(3)), Conn(SIZE)),
    "RFC 9218 7.1 PRIORITY_UPDATE of stream 0": (update(0), Conn(PROTOCOL)),
    "RFC 9218 7.1 PRIORITY_UPDATE of an even stream": (update(2), Conn(PROTOCOL)),
    "RFC 9218 7.1 PRIORITY_UPDATE of idle": (update(1) + heads(1), Served()),
    "RFC 9218 7.1 PRIORITY_UPDATE of closed": (Ended(update(1)), Taken()),
    "RFC 9218 7.1 PRIORITY_UPDATE that is no dictionary": (HALF + update(1, b"\0\xff,,=;"), Taken()),
    "RFC 9218 2.1 NO_RFC7540_PRIORITIES 2": (settings((9, 2)), Conn(PROTOCOL)),
}

MESSAGES = {
    "8.1 trailers": (heads(1, POST, EOH) + data(1, b"x") + heads(1, [("a", "b")]), Served()),
    "8.1 trailers without DATA": (heads(1, POST, EOH) + heads(1, [("a", "b")]), Served()),
    "8.1 trailers in many frames": (heads(1, POST, EOH) + heads(1, b"", END) + more(1, block([("a", "b")])), Served()),
    "8.1 empty trailers": (heads(1, POST, EOH) + heads(1, b""), Served()),
    "8.1 trailers without END_STREAM": (OPEN + heads(1, [("a", "b")], EOH), MALFORMED),
    "8.1 a second head": (OPEN + heads(1, HOLD, EOH), MALFORMED),
    "8.1 a pseudo-header in trailers": (OPEN + heads(1, [(":path", "/")]), MALFORMED),
    "8.1 upper case in trailers": (OPEN + heads(1, [("A", "b")]), MALFORMED),
    "8.1 a field of the connection in trailers": (OPEN + heads(1, [("connection", "close")]), MALFORMED),
    "8.1 DATA after END_STREAM": (HALF + data(1, b"x"), Stream(CLOSED)),
    "8.1 DATA after trailers": (OPEN + heads(1, [("a", "b")]) + data(1, b"x"), Stream(CLOSED)),
    "8.1.1 content-length": (heads(1, [*POST, ("content-length", "5")], EOH) + data(1, b"abc") + data(1, b"de", END),
                             Served()),
    "8.1.1 content-length 0 and no DATA": (heads(1, [*POST, ("content-length", "0")]), Served()),
    "8.1.1 content-length 0 and empty DATA": (heads(1, [*POST, ("content-length", "0")], EOH) + data(1, b"", END),
                                              Served()),
    "8.1.1 content-length and no DATA": (heads(1, [*POST, ("content-length", "5")]), MALFORMED),
    "8.1.1 too little DATA": (heads(1, [*HOLD, ("content-length", "5")], EOH) + data(1, b"abcd", END), MALFORMED),
    "8.1.1 too little DATA in two": (heads(1, [*HOLD, ("content-length", "5")], EOH) + data(1, b"ab") +
                                     data(1, b"cd", END), MALFORMED),
    "8.1.1 too little DATA and an empty one": (heads(1, [*HOLD, ("content-length", "5")], EOH) + data(1, b"abcd") +
                                               data(1, b"", END), MALFORMED),
    "8.1.1 too little DATA and trailers": (heads(1, [*HOLD, ("content-length", "5")], EOH) + data(1, b"abcd") +
                                           heads(1, [("a", "b")]), MALFORMED),
    "8.1.1 too much DATA": (heads(1, [*HOLD, ("content-length", "5")], EOH) + data(1, b"abcdef", END), MALFORMED),
    "8.1.1 too much DATA in two": (heads(1, [*HOLD, ("content-length", "5")], EOH) + data(1, b"abc") +
                                   data(1, b"def"), MALFORMED),
    "8.1.1 padding does not count": (heads(1, [*POST, ("content-length", "2")], EOH) +
                                     data(1, b"\3ab" + bytes(3), PAD | END), Served()),
    "8.1.1 two equal lengths": (heads(1, [*POST, ("content-length", "0"), ("content-length", "0")]), MALFORMED),
    "8.1.1 content-length of a list": (heads(1, [*POST, ("content-length", "0, 0")]), MALFORMED),
    "8.1.1 content-length with a sign": (heads(1, [*POST, ("content-length", "+0")]), MALFORMED),
    "8.1.1 content-length beyond 2^64": (heads(1, [*HOLD, ("content-length", "18446744073709551617")], EOH), MALFORMED),
    "8.1.1 content-length empty": (heads(1, [*POST, ("content-length", "")]), MALFORMED),
    "8.2.1 an empty name": (heads(1, [*GET, ("", "x")]), MALFORMED),
    "8.2.1 nothing but a colon": (heads(1, [(":", "x"), *GET]), MALFORMED),
    "8.2.1 a colon in a name": (heads(1, [*GET, ("a:b", "x")]), MALFORMED),
    "8.2.1 an empty value": (heads(1, [*GET, ("a", "")]), Served()),
    "8.2.1 a tab in a value": (heads(1, [*GET, ("a", "b\tc")]), Served()),
    "8.2.1 bytes above 127 in a value": (heads(1, [*GET, ("a", "\xe4\xff")]), Served()),
    "8.2.3 crumbs of cookies": (heads(1, [*GET, ("cookie", "a=b"), ("cookie", "c=d")]), Served()),
    "8.2.2 te: trailers": (heads(1, [*GET, ("te", "trailers")]), Served()),
    "8.2.2 te: gzip": (heads(1, [*GET, ("te", "gzip")]), MALFORMED),
    "8.2.2 te: trailers and more": (heads(1, [*GET, ("te", "trailers, deflate;q=0.5")]), MALFORMED),
    "8.3 response pseudo-header": (heads(1, [*GET, (":status", "200")]), MALFORMED),
    "8.3 unknown pseudo-header": (heads(1, [*GET, (":x", "y")]), MALFORMED),
    "8.3 upper case pseudo-header": (heads(1, [(":Method", "GET"), *GET[1:]]), MALFORMED),
    "8.3.1 plain CONNECT": (heads(1, [(":method", "CONNECT"), (":authority", "a.test:443")], EOH), Served(1, 501)),
    "8.5 CONNECT without :authority": (heads(1, [(":method", "CONNECT")]), MALFORMED),
    "8.5 CONNECT with :path": (heads(1, [(":method", "CONNECT"), (":path", "/"), (":authority", "a.test")]), MALFORMED),
    "8.5 CONNECT with :scheme": (heads(1, [(":method", "CONNECT"), (":scheme", "http"), (":authority", "a.test")]),
                                 MALFORMED),
    "8.3.1 no method": (heads(1, without(":method")), MALFORMED),
    "8.3.1 no scheme": (heads(1, without(":scheme")), MALFORMED),
    "8.3.1 no path": (heads(1, without(":path")), MALFORMED),
    "8.3.1 empty method": (heads(1, having(":method", "")), MALFORMED),
    "8.3.1 empty scheme": (heads(1, having(":scheme", "")), MALFORMED),
    "8.3.1 empty path": (heads(1, having(":path", "")), MALFORMED),
    "8.3.1 empty authority": (heads(1, having(":authority", "")), MALFORMED),
    "8.3.1 OPTIONS of the server": (heads(1, having(":path", "*", having(":method", "OPTIONS"))), Served()),
    "8.3.1 asterisk of another method": (heads(1, having(":path", "*")), MALFORMED),
    "8.3.1 user in :authority": (heads(1, having(":authority", "u@a.test")), MALFORMED),
    "8.3.1 neither :authority nor host": (heads(1, without(":authority")), MALFORMED),
    "8.3.1 host alone": (heads(1, [*without(":authority"), ("host", "a.test")]), Served()),
    "8.3.1 host that agrees": (heads(1, [*GET, ("host", "a.test")]), Served()),
    "8.3.1 host that does not": (heads(1, [*GET, ("host", "b.test")]), MALFORMED),
    "8.3.1 two hosts": (heads(1, [*without(":authority"), ("host", "a.test"), ("host", "a.test")]), MALFORMED),
    "RFC 8441 4 :protocol without CONNECT": (heads(1, [(":protocol", "websocket"), *GET]), MALFORMED),
    "RFC 8441 4 no scheme": (heads(1, without(":scheme", fields=TUNNEL), EOH), MALFORMED),
    "RFC 8441 4 no path": (heads(1, without(":path", fields=TUNNEL), EOH), MALFORMED),
    "RFC 8441 4 no authority": (heads(1, without(":authority", fields=TUNNEL), EOH), MALFORMED),
    "RFC 8441 4 unknown protocol": (heads(1, [(":protocol", "x"), (":method", "CONNECT"), *GET[1:]], EOH),
                                    Served(1, 501)),
    "8.2.1 CR, LF and NUL are not whitespace": (heads(1, [*GET, ("a", "\r")]), MALFORMED),
}
for first, *_ in (GET[i:] for i in range(4)):
    MESSAGES[f"8.3.1 {first[0]} twice"] = (heads(1, [first, *GET]), MALFORMED)
    MESSAGES[f"8.3 {first[0]} after a field"] = (heads(1, [*without(first[0]), ("a", "b"), first]), MALFORMED)
for char in [*range(0x21), *range(0x41, 0x5b), *range(0x7f, 0x100)]:
    MESSAGES[f"8.2.1 {char:#04x} in a name"] = (heads(1, [*GET, (f"a{chr(char)}b", "x")]), MALFORMED)
for char in (0, 10, 13):
    for value in (f"{chr(char)}b", f"a{chr(char)}b", f"a{chr(char)}"):
        MESSAGES[f"8.2.1 {value!r} as a value"] = (heads(1, [*GET, ("a", value)]), MALFORMED)
        MESSAGES[f"8.2.1 {value!r} as a path"] = (heads(1, having(":path", "/" + value)), MALFORMED)
for char in (" ", "\t"):
    for value in (char, char + "b", "b" + char):
        MESSAGES[f"8.2.1 {value!r} as a value"] = (heads(1, [*GET, ("a", value)]), MALFORMED)
for name in ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"):
    MESSAGES[f"8.2.2 {name}"] = (heads(1, [*GET, (name, "x")]), MALFORMED)

B = block(GET)
TABLE = {
    "2.3.3 index 0": (heads(1, B + b"\x80"), Conn(COMPRESSION)),
    "2.3.3 index 62 of an empty table": (heads(1, B + b"\xbe"), Conn(COMPRESSION)),
    "2.3.3 index 62 after an addition": (heads(1, B + b"\x40\x01a\x01b\xbe"), Served()),
    "2.3.3 index 63 after an addition": (heads(1, B + b"\x40\x01a\x01b\xbf"), Conn(COMPRESSION)),
    "2.3.3 a name beyond the table": (heads(1, B + b"\x7e\x01b"), Conn(COMPRESSION)),
    "2.3.3 a name beyond the table, without index": (heads(1, B + b"\x0f\x2f\x01b"), Conn(COMPRESSION)),
    "2.3.3 the index 61": (heads(1, B + b"\xbd"), Served()),
    "3.2 an evicted entry": (heads(1, B + b"\x40\x01a\x01b\x40\x01c\x7f\xe1\x1e" + b"x" * 4064 + b"\xbf"),
                             Conn(COMPRESSION)),
    "4.2 a smaller table": (heads(1, b"\x20" + B), Served()),
    "4.2 two changes of it": (heads(1, b"\x20\x3f\xe1\x1f" + B), Served()),
    "4.2 the largest": (heads(1, b"\x3f\xe1\x1f" + B), Served()),
    "4.2 one byte more than that": (heads(1, b"\x3f\xe2\x1f" + B), Conn(COMPRESSION)),
    "4.2 a change behind a field": (heads(1, B + b"\x20"), Conn(COMPRESSION)),
    "4.2 a change in the middle": (heads(1, block(GET[:2]) + b"\x3f\xe1\x1f" + block(GET[2:])), Conn(COMPRESSION)),
    "4.3 entries are gone with the size": (heads(1, B + b"\x40\x01a\x01b") + heads(3, b"\x20\x3f\xe1\x1f" + B + b"\xbe"),
                                           Conn(COMPRESSION)),
    "4.4 an entry larger than the table empties it": (
        heads(1, B + b"\x40\x01a\x01b") + heads(3, B + b"\x40\x01c\x7f\x90\x1f" + b"x" * 4111 + b"\xbe"),
        Conn(COMPRESSION)),
    "5.1 an integer that does not end": (heads(1, B + b"\xff"), Conn(COMPRESSION)),
    "5.1 an integer beyond 32 bits": (heads(1, B + b"\xff\xff\xff\xff\xff\xff\x0f"), Conn(COMPRESSION)),
    "5.1 an integer of many bytes": (heads(1, B + b"\xff" + b"\x80" * 20 + b"\0"), Conn(COMPRESSION)),
    "5.2 a name that is cut off": (heads(1, B + b"\0\x05ab"), Conn(COMPRESSION)),
    "5.2 a value that is cut off": (heads(1, B + b"\0\x01a\x05ab"), Conn(COMPRESSION)),
    "5.2 no value": (heads(1, B + b"\0\x01a"), Conn(COMPRESSION)),
    "5.2 a length that is cut off": (heads(1, B + b"\0\x01a\x7f"), Conn(COMPRESSION)),
    "5.2 Huffman": (heads(1, B + b"\0\x01a\x81\x1f"), Served()),  # "a": 00011 and three bits of padding
    "5.2 Huffman padding of zeros": (heads(1, B + b"\0\x01a\x81\x18"), Conn(COMPRESSION)),
    "5.2 Huffman padding of 8 bits and more": (heads(1, B + b"\0\x01a\x82\x1f\xff"), Conn(COMPRESSION)),
    "5.2 Huffman padding of a byte alone": (heads(1, B + b"\0\x01a\x81\xff"), Conn(COMPRESSION)),
    "5.2 the EOS symbol": (heads(1, B + b"\0\x01a\x84\xff\xff\xff\xff"), Conn(COMPRESSION)),
    "5.2 the EOS symbol inside": (heads(1, B + b"\0\x01a\x85\x1f\xff\xff\xff\xff"), Conn(COMPRESSION)),
    "5.2 Huffman of an empty text": (heads(1, B + b"\0\x01a\x80"), Served()),
    "6.2.3 never indexed": (heads(1, B + b"\x10\x01a\x01b"), Served()),
    "6.2 a static name with a value": (heads(1, B + b"\x5a\x01b"), Served()),
    "a refused request keeps the table": (heads(1, [*GET, (":x", "y")]) +
                                          heads(3, block([*GET, (":x", "y")]) + b"\x40\x01a\x01b") +
                                          heads(5, B + b"\xbe"), Served(5)),
}

FIRST = {
    "3.4 the first frame is no SETTINGS": (PREFACE + heads(1), Conn(PROTOCOL)),
    "3.4 the first frame is PING": (PREFACE + ping() + settings(), Conn(PROTOCOL)),
    "3.4 the first frame is an ACK": (PREFACE + settings(flags=h2raw.ACK), Conn(PROTOCOL)),
    "3.4 the first frame is WINDOW_UPDATE": (PREFACE + window(0, 1), Conn(PROTOCOL)),
    "3.4 the first frame is unknown": (PREFACE + frame(0xfa), Conn(PROTOCOL)),
    "3.4 SETTINGS on a stream come first": (PREFACE + settings(stream=1), Conn(PROTOCOL)),
    "3.4 a preface that ends otherwise": (PREFACE[:-2] + b"XX" + settings(), Conn(PROTOCOL)),
    "3.4 a preface in lower case": (PREFACE.lower() + settings(), Conn(PROTOCOL)),
    "3.4 requests before our SETTINGS came": (PREFACE + settings() + heads(1), Served()),
    "3.4 no preface": (settings() + heads(1), Conn(PROTOCOL)),
}


def say(c, what):
    if isinstance(what, Ended):
        c.send(heads(1))
        assert c.response(1)[0] == 200
    elif isinstance(what, Refused):
        c.send(heads(1, [*HOLD, ("Upper", "x")], EOH))
        assert c.reset(1) == PROTOCOL
    c.send(what.then if isinstance(what, (Ended, Refused)) else what)


@pytest.mark.parametrize("rule", [*FRAMES, *STATES, *TYPES])
def test_frames(weir, rule):
    what, expected = {**FRAMES, **STATES, **TYPES}[rule]
    with H2Raw(weir.port) as c:
        say(c, what)
        expected.check(c)


@pytest.mark.parametrize("rule", MESSAGES)
def test_messages(weir, rule):
    what, expected = MESSAGES[rule]
    with H2Raw(weir.port) as c:
        say(c, what)
        expected.check(c)


@pytest.mark.parametrize("rule", TABLE)
def test_header_compression(weir, rule):
    """RFC 7541."""
    what, expected = TABLE[rule]
    with H2Raw(weir.port) as c:
        say(c, what)
        expected.check(c)


@pytest.mark.parametrize("rule", FIRST)
def test_first_words(weir, rule):
    what, expected = FIRST[rule]
    with H2Raw(weir.tls_port, settings=None) as c:
        say(c, what)
        expected.check(c)


# ---------------------------------------------------------------- what the server says

BIG = [(":method", "GET"), (":scheme", "http"), (":path", "/big"), (":authority", "a.test")]


def got(c, stream=None):
    """Bytes of DATA so far, once nothing more comes."""
    assert c.ping()
    c.wait(lambda f: False, 0.15)
    return sum(len(f.payload) for f in c.frames if f.type == h2raw.DATA and stream in (None, f.stream))


def pairs(f):
    return dict(struct.unpack_from(">HI", f.payload, at) for at in range(0, len(f.payload), 6))


def test_first_frame_is_settings(weir):
    """3.4, 6.5.2, RFC 8441 3, RFC 9218 2.1"""
    with H2Raw(weir.port) as c:
        assert c.ping()
        first = c.frames[0]
        assert (first.type, first.flags, first.stream) == (h2raw.SETTINGS, 0, 0)
        assert pairs(first) == {3: 100, 6: 32768, 8: 1, 9: 1}


def test_settings_are_acknowledged_at_once_and_in_order(weir):
    """6.5.3"""
    with H2Raw(weir.port, settings=None) as c:
        c.send(PREFACE + settings() + settings((4, 7)) + ping(b"between!") + settings((4, 8)))
        assert c.wait(lambda f: len([a for a in c.frames if a.type == h2raw.SETTINGS and a.flags]) == 3, 2)
        said = [f for f in c.frames if f.flags & h2raw.ACK and f.type in (h2raw.SETTINGS, h2raw.PING)]
        assert [f.type for f in said] == [h2raw.SETTINGS, h2raw.SETTINGS, h2raw.PING, h2raw.SETTINGS]
        assert all(f.stream == 0 for f in said) and said[0].payload == b"" and said[2].payload == b"between!"


def test_goaway_names_the_last_stream(weir):
    """6.8"""
    with H2Raw(weir.port) as c:
        c.send(heads(1) + heads(7) + ping(stream=1))
        assert c.goaway() == PROTOCOL
        assert c.of(h2raw.GOAWAY).payload[:4] == b"\0\0\0\7"


def test_goaway_of_the_client(weir):
    """6.8: with an unknown code (7) and more data; what runs ends, then the connection is closed."""
    with H2Raw(weir.port, settings=struct.pack(">HI", 4, 10)) as c:
        c.send(heads(1, BIG))
        assert got(c) == 10
        c.send(frame(h2raw.GOAWAY, 0, 0, b"\0\0\0\0\xfa\xfa\xfa\xfa" + b"why"))
        assert c.ping()
        c.send(window(1, 1_000_000) + window(0, 1_000_000))
        assert len(c.response(1)[1]) == 200_000
        c.wait(lambda f: False, 3)
        assert c.closed


def test_one_more_stream_than_allowed(weir):
    """5.1.2"""
    with H2Raw(weir.port) as c:
        assert c.ping()
        c.send(settings(flags=h2raw.ACK) + b"".join(heads(2 * i + 1, HOLD, EOH) for i in range(101)))
        assert c.reset(201) == REFUSED
        assert [f.stream for f in c.frames if f.type == h2raw.RST_STREAM] == [201]
        c.send(reset(1))
        assert c.ping()
        c.send(heads(203))
        assert c.response(203)[0] == 200


def test_reserved_is_not_open(weir):
    """5.1.2: streams that are idle or closed do not count."""
    with H2Raw(weir.port) as c:
        for i in range(150):
            c.send(priority(1001 + 2 * i, 0))
        for i in range(150):
            c.send(heads(2 * i + 1))
            assert c.response(2 * i + 1)[0] == 200


def test_header_list_at_its_limit(weir):
    """6.5.2, 10.5.1: as many bytes as our SETTINGS say, 32 more for each field, and one more."""
    long = [*GET, *[("x", "y" * 6000)] * 5]
    rest = 32768 - sum(len(n) + len(v) + 32 for n, v in long)
    for more_bytes, status in ((0, 200), (1, 431)):
        with H2Raw(weir.port) as c:
            b = c.encoder.encode([*long, ("z", "w" * (rest - 33 + more_bytes))])
            c.send(heads(1, b[:16000], END))
            for at in range(16000, len(b), 16000):
                c.send(more(1, b[at:at + 16000], EOH if at + 16000 >= len(b) else 0))
            assert c.response(1)[0] == status
            Taken().check(c)


def test_table_of_the_client_may_be_empty(weir):
    """RFC 7541 4.2: the change is said at the start of the next block, and nothing is put in."""
    with H2Raw(weir.port) as c:
        assert c.get("/")[0] == 200
        c.send(settings((1, 0)))
        assert c.ping()
        c.send(heads(3))
        block_of = c.of(h2raw.HEADERS, 3).payload
        assert block_of[0] == 0x20
        assert c.decoder.header_table.maxsize == 0 or c.decoder.header_table_size == 0
        assert c.get("/", 5)[0] == 200


def test_table_goes_down_and_up_between_two_blocks(weir):
    """RFC 7541 4.2: the least and the last are said."""
    with H2Raw(weir.port) as c:
        assert c.get("/")[0] == 200
        c.send(settings((1, 0)) + settings((1, 4096)))
        assert c.ping()
        c.send(heads(3))
        assert c.of(h2raw.HEADERS, 3).payload.startswith(b"\x20\x3f\xe1\x1f")
        assert c.response(3)[0] == 200


# ---------------------------------------------------------------- flow control (5.2, 6.9)

def test_window_of_one(weir):
    with H2Raw(weir.port, settings=struct.pack(">HI", 4, 1)) as c:
        c.send(heads(1, BIG))
        assert got(c) == 1
        c.send(window(1, 1))
        assert got(c) == 2


def test_window_of_none_that_opens(weir):
    """Heads, and answers without a body, need no window."""
    with H2Raw(weir.port, settings=struct.pack(">HI", 4, 0)) as c:
        c.send(heads(1, BIG) + heads(3, having(":method", "HEAD")))
        assert c.of(h2raw.HEADERS, 1).get(":status") == "200" and c.response(3)[0] == 200
        assert got(c) == 0
        c.send(window(1, 5))
        assert got(c) == 5
        c.send(settings((4, 100)))
        assert got(c) == 105


def test_window_below_none(weir):
    """6.9.2: SETTINGS take it below zero, and nothing comes until it is above."""
    with H2Raw(weir.port, settings=struct.pack(">HI", 4, 1000)) as c:
        c.send(heads(1, BIG))
        assert got(c) == 1000
        c.send(settings((4, 400)))
        assert c.ping()
        c.send(window(1, 600))
        assert got(c) == 1000
        c.send(window(1, 1))
        assert got(c) == 1001


def test_window_of_the_connection(weir):
    """6.9.2: is not SETTINGS' to change; both windows count."""
    with H2Raw(weir.port, settings=struct.pack(">HI", 4, 2 ** 31 - 1)) as c:
        c.send(heads(1, BIG) + heads(3, BIG))
        assert got(c) == 65535
        c.send(window(0, 100))
        assert got(c) == 65635
        c.send(window(0, 1_000_000))
        assert len(c.response(1)[1]) == len(c.response(3)[1]) == 200_000
        assert all(len(f.payload) <= 16384 for f in c.frames)  # 4.2


def test_frames_are_no_larger_than_said(weir):
    """6.5.2: MAX_FRAME_SIZE is leave, not duty."""
    with H2Raw(weir.port, settings=struct.pack(">HIHI", 4, 1_000_000, 5, 2 ** 24 - 1)) as c:
        c.send(window(0, 1_000_000) + heads(1, BIG))
        assert len(c.response(1)[1]) == 200_000
        assert all(len(f.payload) < 2 ** 24 for f in c.frames)


def fill(stream, count):
    return b"".join(data(stream, bytes(min(16384, count - at))) for at in range(0, count, 16384))


def test_more_data_than_the_streams_window(weir):
    """6.9.1: exactly as much is taken. A tunnel that is not open yet consumes nothing."""
    with H2Raw(weir.port) as c:
        c.send(heads(1, TUNNEL, EOH) + fill(1, 65535) + heads(3, TUNNEL, EOH) + fill(3, 65536))
        assert c.reset(3) == FLOW
        assert c.reset(1, 0.1) is None and c.goaway(0.001) is None
        Taken().check(c)


@pytest.mark.parametrize("extra, expected", [(0, Taken()), (1, Conn(FLOW))])
def test_more_data_than_the_connections_window(weir, extra, expected):
    with H2Raw(weir.port) as c:
        assert c.ping()
        total = 65535 + sum(struct.unpack(">I", f.payload)[0] for f in c.frames
                            if f.type == h2raw.WINDOW_UPDATE and f.stream == 0)
        whole, rest = divmod(total, 65535)
        for i in range(whole):
            c.send(heads(2 * i + 1, TUNNEL, EOH) + fill(2 * i + 1, 65535))
        c.send(heads(801, TUNNEL, EOH) + fill(801, rest) + (data(801, bytes(extra)) if extra else b""))
        expected.check(c)


def test_padding_counts_and_comes_back(weir):
    """6.1, 6.9.1: nothing but padding, far more than the windows are."""
    with H2Raw(weir.port) as c:
        c.send(heads(1, TUNNEL, EOH))
        for _ in range(400):
            c.send(data(1, b"\xff" + b"x" + bytes(255), PAD))
        assert c.ping() and c.goaway(0.001) is None and c.reset(1, 0.001) is None
        assert sum(struct.unpack(">I", f.payload)[0] for f in c.frames
                   if f.type == h2raw.WINDOW_UPDATE and f.stream == 1) >= 400 * 257 - 65535


# ---------------------------------------------------------------- priorities (RFC 9218)

def shares(c):
    """Who gets the next 30,000 bytes of a connection that has no window left."""
    assert got(c) == 65535
    before = {stream: got(c, stream) for stream in (1, 3)}
    c.send(window(0, 30_000))
    return {stream: got(c, stream) - before[stream] for stream in (1, 3)}


def waiting(weir):
    return H2Raw(weir.port, settings=struct.pack(">HI", 4, 2 ** 31 - 1))


def test_priority_update_before_its_stream(weir):
    """7.1: kept until the stream begins; counts more than the field of its head."""
    with waiting(weir) as c:
        c.send(update(3, b"u=0") + heads(1, BIG) + heads(3, [*BIG, ("priority", "u=7")]))
        assert shares(c) == {1: 0, 3: 30_000}


def test_priority_update_of_an_open_stream(weir):
    with waiting(weir) as c:
        c.send(heads(1, [*BIG, ("priority", "u=1")]) + heads(3, [*BIG, ("priority", "u=2")]))
        assert got(c) == 65535
        c.send(update(3, b"u=0"))
        assert c.ping()
        c.send(window(0, 1))  # they take their places anew
        assert got(c) == 65536
        c.send(window(0, 30_000))
        assert got(c, 3) >= 30_000


def test_priority_update_says_all(weir):
    """7: what it leaves out has its default."""
    with waiting(weir) as c:
        c.send(heads(1, [*BIG, ("priority", "u=4")]) + heads(3, [*BIG, ("priority", "u=6")]) + update(3, b"i"))
        assert shares(c) == {1: 0, 3: 30_000}


def test_many_priorities_of_streams_to_come(weir):
    """A bounded number of them is kept: the last ones."""
    with waiting(weir) as c:
        c.send(b"".join(update(2 * i + 1, b"u=0") for i in range(100, 150)) + update(3, b"u=0"))
        c.send(heads(1, BIG) + heads(3, BIG))
        assert shares(c) == {1: 0, 3: 30_000}
