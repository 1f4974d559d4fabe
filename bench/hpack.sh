#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Instructions per header block, ours and nghttp2's (bench/hpack.c): the difference between 1,100
# rounds and 100 under callgrind. Needs valgrind and libnghttp2-dev.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
gcc -std=gnu17 -O2 -flto=auto -fstack-protector-strong -fcf-protection=full -D_FORTIFY_SOURCE=2 \
    -D_GNU_SOURCE -Isrc -o build/hpack_cost bench/hpack.c src/http/field.c \
    src/h2/hpack_{decode,encode,huffman,static,table}.c src/base/{arena,slice,assert}.c -lnghttp2

count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null build/hpack_cost "$@" 2>&1 |
        awk '/Collected/ { print $4 }'
}

for what in decode decode-same decode-first encode encode-same; do
    for coder in ours peer; do
        printf '%-13s %s %6d instructions, %s\n' "$what" $coder \
            $((($(count $what $coder 1100) - $(count $what $coder 100)) / 1000)) \
            "$(build/hpack_cost $what $coder 1)"
    done
done
