"""`pocwatch user` on a program that generates code, and on JITs of the distribution.

Each JIT is clean as it is, and caught when the machine forgets its `IC IVAU`; every run is one machine
that starts from a snapshot that all JITs have in common.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.machine

SOURCE = Path(__file__).parents[2] / "src"
PACKAGES = ("--packages", "luajit,pcre2-utils,nodejs,php8.2-cli,php8.2-opcache")
OPCACHE = (
    *("-d", "zend_extension=opcache.so", "-d", "opcache.enable_cli=1"),
    *("-d", "opcache.jit=tracing", "-d", "opcache.jit_buffer_size=16M"),
)

LUA = """\
local function f(n) local t = 0 for i = 1, n do t = t + (i % 7) end return t end
local s = 0
for i = 1, 200 do s = s + f(i) end
print(s, jit.status())
"""
JAVASCRIPT = """\
function f(n) { let t = 0; for (let i = 0; i < n; i++) t += (i * 3) & 255; return t; }
let s = 0; for (let i = 0; i < 3000; i++) s += f(i % 100);
console.log(s);
"""
# Traces are compiled one after the other into a page that mprotect has made executable before: what
# the kernel does for the first of them does not cover the others.
PHP = """\
<?php
function f($n) { $t = 0; for ($i = 0; $i < $n; $i++) $t += $i & 255; return $t; }
function g($n) { $t = 1; for ($i = 0; $i < $n; $i++) $t = ($t * 3 + $i) & 65535; return $t; }
function h($n) { $s = ""; for ($i = 0; $i < $n; $i++) $s .= chr(65 + $i % 26); return strlen($s); }
$s = 0;
for ($i = 0; $i < 100; $i++) $s += f($i);
for ($i = 0; $i < 100; $i++) $s += g($i);
for ($i = 0; $i < 100; $i++) $s += h($i);
echo opcache_get_status()["jit"]["on"] ? "jit " : "", $s, "\\n";
"""
PATTERNS = """\
/(a+b)+c[x-z]*/jit=7,jitverify
  aabababcxyz
"""

# Name -> its command, its script, what it prints.
JITS = {
    "luajit": (["luajit", "script"], LUA, "60094\ttrue"),
    "node": (["node", "--perf-basic-prof", "script"], JAVASCRIPT, "13854120"),
    "php": (["php8.2", *OPCACHE, "script"], PHP, "jit "),
    "pcre2": (["pcre2test", "script"], PATTERNS, "0: aabababcxyz (JIT)"),
}

Run = Callable[..., tuple[subprocess.CompletedProcess[bytes], dict[str, Any]]]


@pytest.fixture
def user(plugin_path: Path, tmp_path: Path) -> Run:
    """`pocwatch user` in a folder of its own: `user(options, program, stdin)`."""
    folder = tmp_path / "work"
    folder.mkdir()

    def run(
        options: Sequence[str], program: Sequence[str], stdin: bytes = b""
    ) -> tuple[subprocess.CompletedProcess[bytes], dict[str, Any]]:
        report = tmp_path / "report.json"
        done = subprocess.run(
            [
                *(sys.executable, "-c", "from pocwatch.cli.main import main; main()"),
                *("user", "--json", str(report), *options, "--", *program),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "POCWATCH_PLUGIN": str(plugin_path)},
            input=stdin,
            capture_output=True,
            timeout=600,
            check=False,
        )
        assert report.exists(), done.stderr.decode()
        return done, json.loads(report.read_text())

    return run


@pytest.fixture(scope="session")
def jit_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    program = tmp_path_factory.mktemp("jit") / "jit_program"
    source = Path(__file__).with_name("jit_program.c")
    flags = ("-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wno-unused-result")
    subprocess.run(["aarch64-linux-gnu-gcc", *flags, "-o", str(program), str(source)], check=True)
    return str(program)


def callers(report: dict[str, Any], kind: str) -> set[str]:
    """The functions on the stacks of the findings of a kind."""
    assert {finding["kind"] for finding in report["findings"]} <= {kind}
    return {
        frame["symbol"].split("+")[0]
        for finding in report["findings"]
        for frame in finding["access"]["stack"]
        if frame["symbol"]
    }


def test_streams_files_and_status_are_the_program_s(user: Run, tmp_path: Path) -> None:
    (tmp_path / "work" / "file").write_text("of the folder\n")
    script = "cat file; cat; echo error >&2; echo $HERE; exit 7"
    data = bytes(range(256)) * 300
    done, report = user(["--env", "HERE=there"], ["/bin/busybox", "sh", "-c", script], data)
    assert done.stdout == b"of the folder\n" + data + b"there\n"
    assert b"error" in done.stderr.splitlines()  # behind notes, when the machine is made anew
    assert done.returncode == 7
    assert report["complete"]
    assert report["findings"] == []


def test_a_signal_and_a_program_that_is_not_there(user: Run) -> None:
    done, _ = user([], ["/bin/busybox", "sh", "-c", "kill -SEGV $$"])
    assert done.returncode == 128 + 11
    done, _ = user([], ["no-such-program"])
    assert done.returncode == 127
    assert b"no-such-program: No such file or directory" in done.stderr


WAYS = ("one-mapping", "two-mappings", "mprotect", "fork")


def test_each_way_to_generate_code_is_clean(user: Run, jit_program: str) -> None:
    done, report = user([], [jit_program, *WAYS])
    assert (done.stdout, done.returncode) == (b"right\n", 0), done.stderr
    assert report["maintenance"]["ic ivau"] > 0


def test_each_way_is_caught_without_its_flush(user: Run, jit_program: str) -> None:
    done, report = user([], [jit_program, "no-flush", *WAYS])
    assert done.returncode == 1
    assert {"one_mapping", "two_mappings", "protected", "forked"} <= callers(report, "stale-fetch")
    assert all(f["writer"]["symbol"].startswith("generate") for f in report["findings"])


def test_a_function_s_flush_is_dropped_by_name(user: Run, jit_program: str) -> None:
    done, report = user(["--drop", "ic ivau@__aarch64_sync_cache_range"], [jit_program, "fork"])
    assert done.returncode == 1
    assert report["dropped"] == {"ic ivau@__aarch64_sync_cache_range": 2}
    assert "forked" in callers(report, "stale-fetch")


def test_membarrier_synchronises_other_threads(user: Run, jit_program: str) -> None:
    done, report = user(["--smp", "2", "--unsynced"], [jit_program, "threads"])
    assert (done.stdout, report["findings"]) == (b"right\n", []), done.stderr.decode()


def test_a_flush_for_other_threads_is_missed_by_them(user: Run, jit_program: str) -> None:
    """Without the membarrier there may be no finding: any timer interrupt synchronises as well."""
    done, report = user(["--smp", "2"], [jit_program, "no-flush", "threads"])
    assert done.returncode == 1
    assert "other_thread" in callers(report, "stale-fetch")


def test_a_lacking_isb_is_reported_on_request(user: Run, jit_program: str) -> None:
    done, report = user(["--unsynced"], [jit_program, "no-isb", "one-mapping"])
    assert done.returncode == 1
    assert "one_mapping" in callers(report, "unsynced-fetch")


@pytest.mark.parametrize("name", list(JITS))
def test_a_jit_is_clean(user: Run, tmp_path: Path, name: str) -> None:
    command, script, printed = JITS[name]
    (tmp_path / "work" / "script").write_text(script)
    done, report = user(PACKAGES, command)
    assert printed in done.stdout.decode(), done.stderr.decode()
    assert report["complete"]
    assert report["findings"] == [], done.stderr.decode()
    assert done.returncode == 0


@pytest.mark.parametrize("name", list(JITS))
def test_a_jit_without_its_flush_is_caught(user: Run, tmp_path: Path, name: str) -> None:
    command, script, _ = JITS[name]
    (tmp_path / "work" / "script").write_text(script)
    done, report = user([*PACKAGES, "--drop", "ic ivau@user"], command)
    assert done.returncode == 1
    found = [f for f in report["findings"] if f["kind"] == "stale-fetch"]
    assert found == report["findings"]
    assert all(f["access"]["el"] == 0 and f["writer"]["el"] == 0 for f in found)
    assert report["dropped"]["ic ivau@user"] > 0
    if name == "node":  # named by the perf map that it writes
        assert any((f["access"]["symbol"] or "").startswith("Function:") for f in found)
