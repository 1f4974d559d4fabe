# SPDX-License-Identifier: Apache-2.0
"""The page that shim.c shares with us: what is to fail, what was counted. The layout is that of shim.c."""
import collections
import ctypes
import errno
import mmap
import pathlib
import subprocess

FRAMES, SITES, MODULES, CALLS_MAX = 12, 4096, 64, 64
COUNT, NTH, SITE = range(3)       # modes
GROUPS = ("allocation", "system call")


class _Site(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("call", ctypes.c_uint32),
                ("frame_count", ctypes.c_uint32), ("count", ctypes.c_uint64),
                ("first", ctypes.c_uint64), ("frames", ctypes.c_uint64 * FRAMES)]


class _Page(ctypes.Structure):
    _fields_ = [("lock", ctypes.c_uint32), ("mode", ctypes.c_uint32), ("group", ctypes.c_uint32),
                ("error", ctypes.c_uint32), ("n", ctypes.c_uint64), ("site", ctypes.c_uint64),
                ("seen", ctypes.c_uint64 * len(GROUPS)), ("fired", ctypes.c_uint32),
                ("fired_site", ctypes.c_uint32), ("is_full", ctypes.c_uint32),
                ("module_count", ctypes.c_uint32), ("call_count", ctypes.c_uint32),
                ("pid", ctypes.c_uint32), ("thread", ctypes.c_char * 16),
                ("call_names", ctypes.c_char * 16 * CALLS_MAX),
                ("modules", ctypes.c_char * 128 * MODULES), ("sites", _Site * SITES)]


# Errors worth a run of their own beside the shim's choice.
MORE_ERRORS = {"accept4": ("ECONNABORTED", "ENOBUFS"), "connect": ("ECONNREFUSED", "ENETUNREACH"),
               "sendmsg": ("ECONNRESET", "ETIMEDOUT"), "recv": ("ETIMEDOUT",), "open": ("ENOENT",),
               "write": ("EINTR",), "socket": ("ENOBUFS",), "epoll_ctl": ("ENOSPC",)}

Site = collections.namedtuple("Site", "id call group count first frames")
# What one run makes fail. site None: the n-th call of the group.
Case = collections.namedtuple("Case", "group n site error", defaults=(None, ""))


class Page:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        with open(path, "wb") as f:
            f.truncate(ctypes.sizeof(_Page))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), ctypes.sizeof(_Page))
        self.at = _Page.from_buffer(self.map)

    def arm(self, case):
        """case None: only counts."""
        if case is None:
            self.at.mode = COUNT
            return
        self.at.mode = NTH if case.site is None else SITE
        self.at.group = GROUPS.index(case.group)
        self.at.n = case.n
        self.at.site = case.site or 0
        self.at.error = getattr(errno, case.error) if case.error else 0

    def site(self, s):
        call = self.at.call_names[s.call].value.decode()
        frames = tuple(s.frames[:s.frame_count])
        return Site(s.id, call, GROUPS[call not in ALLOCATIONS], s.count, s.first, frames)

    def sites(self):
        """In the order of their first call."""
        return sorted((self.site(s) for s in self.at.sites if s.id), key=lambda s: s.first)

    @property
    def fired(self):
        """The site that failed, or None."""
        if not self.at.fired or self.at.fired_site == SITES:
            return None
        return self.site(self.at.sites[self.at.fired_site])

    def stack(self, site, binary, depth=7):
        """'function file:line' of the callers, innermost first."""
        return [self.frame(f, binary) for f in site.frames[:depth]]

    def files(self, sites, binary):
        """Of each site, the source files of the frames that are weir's own."""
        own = [i for i in range(self.at.module_count) if not self.at.modules[i].value][:1]
        offsets = [[f & ((1 << 48) - 1) for f in s.frames if f >> 48 in own] for s in sites]
        asked = sorted({o for some in offsets for o in some})
        out = subprocess.run(["addr2line", "-s", "-e", str(binary)], capture_output=True, text=True,
                             input="".join(f"{o:#x}\n" for o in asked)).stdout.splitlines()
        file_of = {o: line.split(":")[0] for o, line in zip(asked, out)}
        return [{file_of.get(o) for o in some} for some in offsets]

    def frame(self, frame, binary):
        module, offset = frame >> 48, frame & ((1 << 48) - 1)
        if module >= self.at.module_count:
            return "?"
        path = self.at.modules[module].value.decode() or str(binary)
        out = subprocess.run(["addr2line", "-f", "-s", "-e", path, hex(offset)],
                             capture_output=True, text=True).stdout.split("\n")
        name, line = (out + ["?", "?"])[:2]
        return f"{pathlib.Path(path).name}" if name == "??" else f"{name} {line.split(' ')[0]}"


ALLOCATIONS = ("malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc")
