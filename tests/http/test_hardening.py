# SPDX-License-Identifier: Apache-2.0
"""The binary that is shipped: what the compiler and the linker were asked for is in it. It is read here, as an ELF
file, so that a tool that is missing can not make the test pass."""
import os
import platform
import struct

import pytest

from kit import ROOT

BINARY = ROOT / "build" / "release" / "weir"
ET_DYN, PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 3, 1, 2, 3, 4
PT_GNU_STACK, PT_GNU_RELRO = 0x6474e551, 0x6474e552
PF_X, PF_W = 1, 2
DT_NEEDED, DT_STRTAB, DT_RPATH, DT_RUNPATH, DT_FLAGS, DT_TEXTREL = 1, 5, 15, 29, 30, 22
DT_FLAGS_1 = 0x6ffffffb
DF_BIND_NOW, DF_1_NOW, DF_1_PIE, DF_TEXTREL = 8, 1, 0x08000000, 4
SHT_DYNSYM, SHT_NOTE = 11, 7
NT_GNU_PROPERTY_TYPE_0, X86_FEATURE_1_AND = 5, 0xc0000002


class Elf:
    """A 64-bit little-endian file: its segments, dynamic entries, and names of dynamic symbols."""

    def __init__(self, data):
        assert data[:6] == b"\x7fELF\x02\x01", "no 64-bit little-endian ELF file"
        self.data = data
        (self.type, _, _, _, phoff, shoff, _, _, phsize, phnum, shsize, shnum, _) = \
            struct.unpack_from("<HHIQQQIHHHHHH", data, 16)
        self.segments = []
        for i in range(phnum):
            kind, flags, offset, _, _, size, memory, _ = struct.unpack_from("<IIQQQQQQ", data,
                                                                           phoff + i * phsize)
            self.segments.append((kind, flags, offset, size, memory))
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + i * shsize)
                         for i in range(shnum)]

    def segment(self, kind):
        return [s for s in self.segments if s[0] == kind]

    def dynamic(self):
        """{tag: [values]}"""
        (_, _, offset, size, _), = self.segment(PT_DYNAMIC)
        found = {}
        for at in range(offset, offset + size, 16):
            tag, value = struct.unpack_from("<qQ", self.data, at)
            if tag == 0:
                break
            found.setdefault(tag, []).append(value)
        return found

    def symbols(self):
        """Names that come from libraries."""
        names = set()
        for _, kind, _, _, offset, size, link, _, _, entry in self.sections:
            if kind != SHT_DYNSYM:
                continue
            strings = self.sections[link][4]
            for at in range(offset, offset + size, entry):
                start = strings + struct.unpack_from("<I", self.data, at)[0]
                names.add(self.data[start:self.data.index(b"\0", start)].decode())
        return names

    def properties(self):
        """{type: bits} of .note.gnu.property"""
        found = {}
        for _, _, offset, size, _ in self.segment(PT_NOTE):
            at = offset
            while at + 12 <= offset + size:
                namesz, descsz, kind = struct.unpack_from("<III", self.data, at)
                desc = at + 12 + (namesz + 3) // 4 * 4
                if kind == NT_GNU_PROPERTY_TYPE_0 and self.data[at + 12:at + 16] == b"GNU\0":
                    found.update(self.property_list(desc, desc + descsz))
                at = desc + (descsz + 7) // 8 * 8
        return found

    def property_list(self, at, end):
        while at + 8 <= end:
            kind, size = struct.unpack_from("<II", self.data, at)
            if size == 4:
                yield kind, struct.unpack_from("<I", self.data, at + 8)[0]
            at += 8 + (size + 7) // 8 * 8


@pytest.fixture(scope="module")
def elf():
    if os.environ.get("V", "release") != "release" or not BINARY.exists():
        pytest.skip("only the release build is hardened")
    return Elf(BINARY.read_bytes())


def test_it_is_loaded_anywhere(elf):
    assert elf.type == ET_DYN and elf.segment(PT_INTERP)
    assert elf.dynamic()[DT_FLAGS_1][0] & DF_1_PIE


def test_its_tables_are_read_only_once_it_runs(elf):
    dynamic = elf.dynamic()
    assert elf.segment(PT_GNU_RELRO), "no relro segment"
    assert dynamic.get(DT_FLAGS, [0])[0] & DF_BIND_NOW or dynamic[DT_FLAGS_1][0] & DF_1_NOW
    assert DT_TEXTREL not in dynamic and not dynamic.get(DT_FLAGS, [0])[0] & DF_TEXTREL


def test_no_memory_is_both_written_and_run(elf):
    (_, stack, _, _, _), = elf.segment(PT_GNU_STACK)
    assert not stack & PF_X, "the stack may be run"
    loads = elf.segment(PT_LOAD)
    assert any(flags & PF_X for _, flags, *_ in loads)
    assert not [s for s in loads if s[1] & PF_X and s[1] & PF_W]


def test_overruns_are_noticed(elf):
    symbols = elf.symbols()
    assert "__stack_chk_fail" in symbols, "no stack protector"
    checked = {s for s in symbols if s.endswith("_chk") and s.startswith("__")}
    assert {"__memcpy_chk", "__snprintf_chk", "__vsnprintf_chk"} <= checked, checked


ENDBR64 = b"\xf3\x0f\x1e\xfa"


def test_jumps_go_where_they_may(elf):
    """Functions that may be jumped to begin with a mark. The note that lets kernel and processor insist on it is left out
    by the linker when one object lacks it, as the start files of some distributions do."""
    if platform.machine() == "x86_64":
        text = max((s for s in elf.sections if s[1] == 1 and s[2] & 4), key=lambda s: s[5])
        marks = elf.data.count(ENDBR64, text[4], text[4] + text[5])
        assert elf.properties().get(X86_FEATURE_1_AND, 0) & 3 == 3 or marks > 500, marks
    elif platform.machine() == "aarch64":
        pytest.skip("BTI needs the start files of the distribution")


def test_libraries_come_from_the_system(elf):
    dynamic = elf.dynamic()
    assert DT_RPATH not in dynamic and DT_RUNPATH not in dynamic
    strings = next(s[4] for s in elf.sections if s[1] == 3 and s[2] & 2)
    for offset in dynamic[DT_NEEDED]:
        start = strings + offset
        name = elf.data[start:elf.data.index(b"\0", start)].decode()
        assert "/" not in name and ".so" in name, name
