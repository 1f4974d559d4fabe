# SPDX-License-Identifier: Apache-2.0
"""Writes databases in MaxMind's format (maxmind.github.io/MaxMind-DB): small ones for the tests."""
import ipaddress
import struct


def field(kind, size):
    extra = b""
    if size >= 29:
        assert size < 285
        size, extra = 29, bytes([size - 29])
    return (bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])) + extra


def value(v):
    if isinstance(v, str):
        data = v.encode()
        return field(2, len(data)) + data
    if isinstance(v, dict):
        return field(7, len(v)) + b"".join(value(k) + value(x) for k, x in v.items())
    if isinstance(v, list):
        return field(11, len(v)) + b"".join(map(value, v))
    data = v.to_bytes(4, "big").lstrip(b"\0")
    return field(6, len(data)) + data


def sized(kind, v, size):
    data = v.to_bytes(size, "big").lstrip(b"\0")
    return field(kind, len(data)) + data


def bits_of(prefix):
    """IPv4 stands in ::/96."""
    net = ipaddress.ip_network(prefix)
    if net.version == 4:
        return f"{int(net.network_address):0128b}"[:96 + net.prefixlen]
    return f"{int(net.network_address):0128b}"[:net.prefixlen]


def write(path, prefixes, kind="Test"):
    """`prefixes`: {"10.0.0.0/8": {...}}, none within another."""
    nodes, data = [[None, None]], b""
    for prefix, record in prefixes.items():
        at, bits = 0, bits_of(prefix)
        for bit in map(int, bits[:-1]):
            if nodes[at][bit] is None:
                nodes.append([None, None])
                nodes[at][bit] = len(nodes) - 1
            at = nodes[at][bit]
        nodes[at][int(bits[-1])] = ("data", len(data))
        data += value(record)
    count = len(nodes)

    def number(r):
        return count if r is None else r if isinstance(r, int) else count + 16 + r[1]
    tree = b"".join(struct.pack(">I", number(r))[1:] for node in nodes for r in node)
    facts = {"node_count": sized(6, count, 4), "record_size": sized(5, 24, 2), "ip_version": sized(5, 6, 2),
             "database_type": value(kind), "languages": value(["en"]),
             "binary_format_major_version": sized(5, 2, 2), "binary_format_minor_version": sized(5, 0, 2),
             "build_epoch": sized(9, 1_700_000_000, 8), "description": value({"en": "test"})}
    meta = field(7, len(facts)) + b"".join(value(k) + v for k, v in facts.items())
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + meta)
    return path
