#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes each allocation and each system call of a scenario fail, one in a run, and checks that weir keeps
its promises (scenario.py). See README.md.

    failtest.py BINARY SHIM [CASE...]     CASE: site:ID[:k], allocation:N, "system call:N"
"""
import multiprocessing
import os
import pathlib
import random
import re
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "http")]
os.environ["WEIR_BIN"] = str(pathlib.Path(sys.argv[1]).resolve())
import kit.tools  # noqa: E402
from page import GROUPS, MORE_ERRORS, Case, Page  # noqa: E402
from scenario import Scenario, Servers, TlsScenario  # noqa: E402

ALL = os.environ.get("FAIL_ALL", "0") not in ("", "0")
SECONDS = float(os.environ.get("FAIL_SECONDS", "120"))
TLS = os.environ.get("FAIL_TLS", "0") not in ("", "0")
JOBS = int(os.environ.get("FAIL_JOBS", "2"))
BINARY = os.environ["WEIR_BIN"]
SHIM = str(pathlib.Path(sys.argv[2]).resolve())
folder = servers = None


def begin(number, above):
    """In each process of the pool: its own ports, folder and origins."""
    global folder, servers
    with number.get_lock():
        kit.tools._worker = number.value
        number.value += 1
    folder = tempfile.tempdir = tempfile.mkdtemp(dir=above)
    servers = Servers()


def environment(page):
    return {"LD_PRELOAD": SHIM, "SHIM_PAGE": str(page.path),
            "ASAN_OPTIONS": "verify_asan_link_order=0:detect_stack_use_after_return=0:"
                            "allocator_may_return_null=1", "TMPDIR": folder}


def play(case):
    """Runs the scenario with this failure: (case, broken or None, what clients saw, where)."""
    page = Page(f"{folder}/page")
    page.arm(case)
    scenario = (TlsScenario if TLS else Scenario)(servers, environment(page))
    broken = scenario.run()
    fired = page.fired
    where = None
    if fired:
        thread = page.at.thread.decode()
        if not broken and "ended:memory" in scenario.seen:
            broken = may_not_end(page, fired, thread, scenario)
        where = (fired.call, fired.id, thread, page.stack(fired, BINARY) if broken else [])
    return case, broken, scenario.seen, where, scenario.last_text if broken else ""


INSTALLS = ("update_run", "log_thread_begin")  # the control plane's work on a worker thread


def may_not_end(page, fired, thread, scenario):
    """Who ended for want of memory must be the worker process, by its control plane."""
    if scenario.seen[0] == "ended:memory":
        return None  # at the start everybody may
    if page.at.pid == scenario.weir.pid:
        return "the supervisor ended for want of memory"
    stack = " ".join(page.stack(fired, BINARY, 12))
    if re.fullmatch(r"weir-\d+", thread) and not any(name in stack for name in INSTALLS):
        return "a worker thread ended the process for want of memory"
    return None


def record(_):
    """Everything that a run without a failure calls."""
    page = Page(f"{folder}/page")
    page.arm(None)
    scenario = (TlsScenario if TLS else Scenario)(servers, environment(page))
    broken = scenario.run()
    assert not broken, f"the scenario fails by itself: {broken}\n{scenario.last_text}"
    assert not page.at.is_full, "more sites than the page has room for"
    print("without a failure clients see: " + " ".join(scenario.seen), flush=True)
    sites = page.sites()
    return (tls_only(page, sites) if TLS else sites), list(page.at.seen)


TLS_FILE = re.compile(r"(tls|cert|hello|staple|ocsp|local_ca|handshakes|tickets|watch)[_a-z]*\.c")


def tls_only(page, sites):
    """Those that have to do with TLS: the others have their turn without it."""
    files = page.files(sites, BINARY)
    return [s for s, names in zip(sites, files) if any(TLS_FILE.fullmatch(n or "") for n in names)]


def plan(sites, seen):
    if ALL:
        return [Case(group, n) for group, count in zip(GROUPS, seen) for n in range(1, count + 1)]
    cases = []
    for s in sites:
        cases.append(Case(s.group, 1, s.id))
        cases += [Case(s.group, 1, s.id, error) for error in MORE_ERRORS.get(s.call, ())]
        if s.count > 2:  # the second time something stands already
            cases.append(Case(s.group, 2, s.id))
    random.Random(1).shuffle(cases)
    return cases


def named(words):
    for word in words:
        kind, n, *more = word.split(":")
        if kind == "site":
            yield Case(GROUPS[0], int(more[0] if more else 1), int(n, 16), *more[1:])
        else:
            yield Case(kind, int(n))


def case_name(case):
    if case.site is None:
        return f"{case.group}:{case.n}"
    return f"site:{case.site:x}:{case.n}" + (f":{case.error}" if case.error else "")


class Report:
    def __init__(self):
        self.runs = self.unreached = 0
        self.broken, self.outcomes, self.sites = [], {}, set()

    def add(self, result, verbose):
        case, broken, seen, where, text = result
        self.runs += 1
        if where is None:
            self.unreached += 1
        else:
            self.sites.add(where[1])
        if broken:
            self.broken.append(case)
            stack = "" if where is None else \
                f"\n    {where[0]} in {where[2]}: " + " < ".join(where[3])
            print(f"BROKEN {case_name(case)}: {broken}\n    clients saw: {' '.join(seen)}{stack}",
                  flush=True)
        if verbose:
            print(case_name(case), " ".join(seen), where, text, sep="\n")
        self.count(broken, seen)

    def count(self, broken, seen):
        word = "broken" if broken else next(
            (w for w in ("refused:start", "ended:memory") if w in seen),
            "a client saw an error answer" if any(w.isdigit() and w != "101" for w in seen) else
            "a client saw an aborted connection" if "aborted" in seen else
            "the reload was refused" if "refused" in seen else "nobody noticed")
        self.outcomes[word] = self.outcomes.get(word, 0) + 1

    def write(self, planned, sites, seen, seconds):
        names = {"refused:start": "refused to start, with a text",
                 "ended:memory": "control plane ended with \"out of memory\""}
        print(f"\n| `make failtest` | {self.runs} of {planned} runs in {seconds:.0f} s |\n|---|---|")
        print(f"| calls in the scenario | {seen[0]} allocations, {seen[1]} system calls, "
              f"at {len(sites)} places |")
        print(f"| places made to fail | {len(self.sites)} |")
        for word, count in sorted(self.outcomes.items(), key=lambda i: -i[1]):
            print(f"| {names.get(word, word)} | {count} |")
        if self.unreached:
            print(f"| (not reached in their run) | {self.unreached} |")


def main():
    began = time.monotonic()
    report = Report()
    number = multiprocessing.Value("i", 0)
    with tempfile.TemporaryDirectory(prefix="weir-fail-") as above, \
            multiprocessing.Pool(JOBS, begin, (number, above)) as pool:
        sites, seen = pool.apply(record, (None,))
        words = sys.argv[3:]
        cases = list(named(words)) if words else plan(sites, seen)
        for result in pool.imap_unordered(play, cases):
            report.add(result, bool(words))
            if not ALL and not words and time.monotonic() - began > SECONDS:
                pool.terminate()
                break
    report.write(len(cases), sites, seen, time.monotonic() - began)
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
