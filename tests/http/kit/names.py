# SPDX-License-Identifier: Apache-2.0
"""A scripted name server (DNS over UDP) on loopback, for what `resolver` points to."""
import ipaddress
import socket
import struct
import threading

A, CNAME, PTR, AAAA = 1, 5, 12, 28
NXDOMAIN = 3


def _name_read(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += packet[at] + 1
    return ".".join(labels).lower(), at + 1


def _name_write(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def pointer(ip):
    """The name under which an address has its names."""
    return ipaddress.ip_address(ip).reverse_pointer


class Names:
    """`hosts` maps a name to addresses, or to a list of such lists: the first question gets the first, and so
    on; the last one stays. A text that begins with "cname:" is an alias,
    one with "ptr:" a name of the address that `pointer(ip)` is the name of. `ttl` is that of all. What is not there does not exist; a
    name in `silent` gets no answer."""

    def __init__(self, hosts=None, ttl=0, silent=()):
        self.hosts = dict(hosts or {})
        self.ttl = ttl
        self.silent = set(silent)
        self.asked = []  # (name, type), in order
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def count(self, name):
        """How often the name was asked for."""
        return sum(1 for n, kind in self.asked if n == name and kind == A)

    def _serve(self):
        while True:
            try:
                packet, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            answer = self._answer(packet)
            if answer:
                try:
                    self.socket.sendto(answer, peer)
                except OSError:
                    return

    def _record(self, name, kind, data):
        return _name_write(name) + struct.pack(">HHIH", kind, 1, self.ttl, len(data)) + data

    def _records(self, name, kind):
        turn = sum(1 for n, k in self.asked if n == name and k == kind) - 1
        entry = self.hosts.get(name)
        if entry is None:
            return None
        if entry and isinstance(entry[0], list):
            entry = entry[min(max(turn, 0), len(entry) - 1)]
        if isinstance(entry, str):
            entry = [entry]
        records = []
        for value in entry:
            if value.startswith("cname:"):
                records.append(self._record(name, CNAME, _name_write(value[6:])))
                records += self._records(value[6:], kind) or []
                continue
            if value.startswith("ptr:"):
                records += [self._record(name, PTR, _name_write(value[4:]))] if kind == PTR else []
                continue
            ip = ipaddress.ip_address(value)
            if kind == (A if ip.version == 4 else AAAA):
                records.append(self._record(name, kind, ip.packed))
        return records

    def _answer(self, packet):
        name, end = _name_read(packet, 12)
        kind = struct.unpack(">H", packet[end:end + 2])[0]
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        records = self._records(name, kind)
        code = NXDOMAIN if records is None else 0
        records = records or []
        head = packet[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0)
        return head + packet[12:end + 4] + b"".join(records)
