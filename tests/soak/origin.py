#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server behind weir for the soak test: origin.py NAME PORT JOURNAL.

Requests carry an id in their path and get it back in a header and in every byte of the body (words.py).
Each head that comes is written to the journal at once, so that what a killed server got is known:

    GET  /e/ID/SIZE   an answer of SIZE bytes          GET /c/ID/SIZE  the same in chunks
    GET  /d/ID/SIZE   the same, slowly                 POST /p/ID/SIZE takes and checks SIZE bytes
    GET  /w/ID/SIZE   the same after a moment's work   GET /t/ID/0     with Upgrade: a tunnel that echoes
    GET  /f, /k, /x/ID/SIZE  like /e, in the server's mood

    GET  /mood/-/0    is how it feels, in the field X-Mood: well, slow (20 times), sick (its checks fail), 500 or 503
    GET  /health/-/0  what checks ask"""
import asyncio
import base64
import hashlib
import logging
import os
import sys
import time

from words import due

NAME, PORT = sys.argv[1], int(sys.argv[2])
JOURNAL = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
PIECE = 16384
WORK_S, SLOW = 0.01, 20
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
mood = ["well"]


class Bad(Exception):
    """What came is not what a client of ours sends."""


async def read_head(reader):
    raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = raw[:-4].split("\r\n")
    method, target, _version = first.split(" ")
    fields = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
    try:
        _, what, request_id, size = target.split("/")
    except ValueError:
        raise Bad(raw)
    if request_id != "-":
        os.write(JOURNAL, f"{request_id} {method} {what} {time.monotonic():.3f}\n".encode())
    return method, what, request_id, int(size), fields


async def read_body(reader, fields):
    if fields.get("transfer-encoding"):
        body = bytearray()
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        if await reader.readuntil(b"\r\n") != b"\r\n":
            raise Bad("trailers")
        return bytes(body)
    return await reader.readexactly(int(fields.get("content-length", 0)))


def head(request_id, *lines, status="200 OK"):
    return "\r\n".join([f"HTTP/1.1 {status}", f"X-Id: {request_id}", f"X-Server: {NAME}", *lines,
                        "", ""]).encode()


async def feel(writer, what, fields):
    """Not of clients: orders of the test, and checks."""
    if what == "mood":
        mood[0] = fields["x-mood"]
    sick = what == "health" and mood[0] in ("sick", "503")
    writer.write(head("-", "Content-Length: 0", status="503 Sick" if sick else "200 OK"))
    await writer.drain()


async def by_mood(writer, method, request_id, size):
    await asyncio.sleep(WORK_S * (SLOW if mood[0] == "slow" else 1))
    if mood[0] in ("500", "503"):
        writer.write(head(request_id, "Content-Length: 0", status=f"{mood[0]} Mood"))
        await writer.drain()
    else:
        await answer(writer, method, "e", request_id, size)


async def answer(writer, method, what, request_id, size):
    body = due(request_id, size)
    if what == "c":
        writer.write(head(request_id, "Transfer-Encoding: chunked"))
        for at in range(0, size, 5000):
            piece = body[at:at + 5000]
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    elif what == "d":
        writer.write(head(request_id, f"Content-Length: {size}"))
        for at in range(0, size, max(1, size // 5)):
            await asyncio.sleep(0.05)
            writer.write(body[at:at + max(1, size // 5)])
    else:
        if what == "w":
            await asyncio.sleep(0.2)
        writer.write(head(request_id, f"Content-Length: {size}") +
                     (b"" if method == "HEAD" else body))
    await writer.drain()


async def take(reader, writer, request_id, size, fields):
    """A body: an odd size is read slowly, so that weir has to hold back the client."""
    if size % 2 and size > 100000:
        await asyncio.sleep(0.1)
    body = await read_body(reader, fields)
    text = b"ok %d" % size if body == due(request_id, size) else b"WRONG BODY of %d bytes" % len(body)
    writer.write(head(request_id, f"Content-Length: {len(text)}") + text)
    await writer.drain()


async def tunnel(reader, writer, request_id, fields):
    key = fields.get("sec-websocket-key", "")
    accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
    writer.write(head(request_id, "Connection: Upgrade", f"Upgrade: {fields['upgrade']}",
                      f"Sec-WebSocket-Accept: {accept}", status="101 Switching Protocols"))
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def serve(reader, writer):
    try:
        while True:
            method, what, request_id, size, fields = await read_head(reader)
            if what == "t":
                await tunnel(reader, writer, request_id, fields)
                return
            if request_id == "-":
                await feel(writer, what, fields)
                continue
            if method == "POST":
                await take(reader, writer, request_id, size, fields)
            elif what in "fkx":
                await by_mood(writer, method, request_id, size)
            else:
                await answer(writer, method, what, request_id, size)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    except Exception as e:  # what weir sent is broken: that is a finding
        os.write(JOURNAL, f"!{NAME}:{e!r}".replace(" ", "_").encode() + b"\n")
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", PORT, limit=1 << 20, backlog=1024)
    async with server:
        await server.serve_forever()

logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it tells of every client that vanished
asyncio.run(main())
