#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a file includes a folder that its own folder may not use (docs/ARCHITECTURE.md).

MAY is the law: the folders that each folder may include besides itself. Files of ALONE folders do
not include each other. A header that ends in _priv.h stays inside its folder."""
import pathlib
import re
import sys

MAY = {
    "base": "",
    "io": "base",
    "conf": "base",
    "http": "base",
    "codec": "base",
    "net": "base io",
    "limit": "base io net",
    "auth": "base io",
    "tls": "base io net",
    "upstream": "base io net tls conf",
    "balancer": "base conf upstream",
    "h1": "base io net http",
    "h2": "base io net http",
    "h3": "base io net http",
    "fcgi": "base io net http",
    "proxy": "base io net limit auth tls http conf upstream",
    "cache": "base io http",
    "filter": "base io net http codec conf limit auth proxy cache",
    "l4": "base io net conf upstream",
    "acme": "base io net tls http conf proxy",
    "admin": "base io net limit auth tls http conf upstream proxy cache",
    "main": "base io net limit auth http codec conf upstream balancer h1 h2 fcgi proxy filter admin tls cache l4 acme",
}
ALONE = {"filter", "balancer"}
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def is_part(path, included):
    """A large module NAME of an ALONE folder may have parts NAME_*.c, with NAME_priv.h between."""
    stem = pathlib.Path(included).name.removesuffix("_priv.h")
    return included.endswith("_priv.h") and (path.stem + "_").startswith(stem + "_")


def errors_of(path, folder):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match or match[1].startswith("tests/"):
            continue
        target = match[1].split("/")[0]
        bad = target != folder and target not in MAY[folder].split()
        bad |= target == folder and folder in ALONE and not is_part(path, match[1])
        bad |= match[1].endswith("_priv.h") and target != folder
        if bad:
            yield f'{path}:{number}: {folder}/ may not include "{match[1]}"'


def main():
    root = pathlib.Path(sys.argv[1])
    found = []
    for path in sorted(root.rglob("*.[ch]")):
        found += errors_of(path, path.relative_to(root).parts[0])
    print("\n".join(found) if found else "layers: every include goes down")
    return bool(found)


sys.exit(main())
