"""A program that behaves like qemu-system-aarch64 as far as the launcher can see.

What it does is read from a JSON file named by FAKE_QEMU: version, findings (a file of raw records),
header (fields to set), stdout, stderr, sleep, exit, signal, started, finished, record, trace (a file with
a raw trace, which goes where the plugin's would). A stopped
machine (-S), which only shows its CPU, reads `probe` instead: it is a Cortex-A57 that does not end
when asked to, if that does not say otherwise.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import sys
import time
from pathlib import Path

from pocwatch.trace.records import Finding, RunHeader

FILES = ("run", "ram", "table", "filter")
PROBE = {"header": {"ctr": 0x8444_C004, "clidr": 0x0A20_0023}, "sleep": 60, "deaf": True}


def plugin_options(args: list[str]) -> dict[str, str]:
    value = args[args.index("-plugin") + 1]
    return dict(item.split("=", 1) for item in value.split(",")[1:])


def main(args: list[str]) -> int:
    script = json.loads(Path(os.environ["FAKE_QEMU"]).read_text())
    if "--version" in args:
        print(f"QEMU emulator version {script.get('version', '10.0.2')} (Debian)")
        return 0
    if "--help" in args:
        print(script.get("help", "-plugin [file=]<file>"))
        return 0
    if args[:2] == ["-machine", "help"]:
        print(script.get("machines", "virt                 QEMU ARM Virtual Machine"))
        return 0
    if "-S" in args:
        script = PROBE | script.get("probe", {})
    options = plugin_options(args)
    if "record" in script:
        texts = {key: Path(options[key]).read_text() for key in ("rules",) if key in options}
        sizes = {key: os.path.getsize(options[key]) for key in FILES if key in options}
        given = {"args": args, "options": options, "texts": texts, "sizes": sizes}
        Path(script["record"]).write_text(json.dumps(given))
    sys.stdout.write(script.get("stdout", ""))
    sys.stdout.flush()
    sys.stderr.write(script.get("stderr", ""))
    if "pid" in script:
        Path(script["pid"]).write_text(str(os.getpid()))
    stopped: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: stopped.append(number))
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    with open(options["run"], "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        header = RunHeader.from_buffer(mapped)
        for name, value in script.get("header", {}).items():
            if isinstance(value, dict):
                for index, number in value.items():
                    getattr(header, name)[int(index)] = number
            elif isinstance(value, str):
                setattr(header, name, value.encode())
            else:
                setattr(header, name, value)
        header.started = script.get("started", 1)
        if "findings" in script:
            data = Path(script["findings"]).read_bytes()
            start = ctypes.sizeof(RunHeader)
            mapped[start : start + len(data)] = data
            header.n_findings = len(data) // ctypes.sizeof(Finding)
        if "trace" in script and "trace" in options:
            try:
                Path(options["trace"]).write_bytes(Path(script["trace"]).read_bytes())
            except BrokenPipeError:
                header.error = b"trace: Broken pipe"
        if "ready" in script:
            Path(script["ready"]).touch()
        end = time.monotonic() + script.get("sleep", 0)
        while time.monotonic() < end and (script.get("deaf") or not stopped):
            time.sleep(0.02)
        if "signal" in script:
            os.kill(os.getpid(), script["signal"])
        header.finished = script.get("finished", 1)
        del header
    return int(script.get("exit", 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
