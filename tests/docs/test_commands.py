"""Every command that the documentation shows is run, or is in the table of exceptions.

`sh` blocks hold commands, one a line, that exit with 0. `console` blocks hold commands behind `$ ` and
what they print, with their exit code behind the language (`exit=1`). In output, a line `...` stands
for any lines and `...` within a line for any text; a block without output says nothing about it.
Blocks with a name (`file=x.toml`) are files that the page's commands find, beside `docs/` itself.
Commands of a page stand alone, but those of a tutorial: they are one session in one folder.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from pages import ROOT, Block, all_pages, blocks, page_id

import pocwatch
from pocwatch.cli.main import cli
from pocwatch.demo import machine

# Command -> why no test runs it.
EXCEPTIONS = {
    "make demo": "sets up the system; .ci and tests/demo cover its parts",
    "make test": "is what runs this test",
    "make systems": "sets up the system; tests/systems runs all but Xen, which takes minutes",
    "make corpus": "sets up the system; tests/corpus runs every case",
    "pip install .": "is what tools/setup does before any test",
    "pocwatch run --symbols fw=bl31.elf --symbols host=vmlinux -- qemu-system-aarch64 ...": (
        "the user's own firmware and kernel"
    ),
    "pocwatch run --weaken 'dc civac=dc cvau@dcache_clean_inval_poc' -- qemu-system-aarch64 ...": (
        "the user's own machine; `pocwatch demo` runs the same rule"
    ),
    "pocwatch run --symbols bl31=bl31.elf --symbols uboot=u-boot -- "
    "qemu-system-aarch64 -M virt,secure=on,virtualization=on ...": "the user's own firmware",
    "pocwatch run --suppressions accepted.toml -- qemu-system-aarch64 ...": (
        "the user's own machine; the file is loaded by a test here"
    ),
    "pocwatch run --gen-suppressions found.toml -- qemu-system-aarch64 ...": (
        "the user's own machine; tests/cli/test_report_command.py does it with a saved report"
    ),
    "pocwatch run --json today.json --baseline yesterday.json -- qemu-system-aarch64 ...": (
        "as above"
    ),
    "pocwatch user --packages nodejs -- node script.js": (
        "the user's own script; tests/machine/test_user_programs.py runs each of these JITs"
    ),
    "pocwatch user --packages nodejs --drop 'ic ivau@user' -- node --perf-basic-prof script.js": (
        "as above"
    ),
    "pocwatch user --packages php8.2-cli,php8.2-opcache -- php8.2 -d zend_extension=opcache.so "
    "-d opcache.enable_cli=1 -d opcache.jit=tracing -d opcache.jit_buffer_size=16M page.php": (
        "as above"
    ),
    "pocwatch user --packages pcre2-utils -- pcre2test patterns.txt": "as above",
    "(cd root && find . | cpio -o -H newc) > initrd.cpio": "the user's own module and busybox",
    "qemu-system-aarch64 -M virt,dumpdtb=virt.dtb -cpu cortex-a57 -m 512M -display none": (
        "tests/machine/driver_machine.py makes such a tree"
    ),
    "dtc -I dtb -O dts virt.dtb | grep -v dma-coherent | dtc -I dts -O dtb -o noncoherent.dtb": (
        "as above"
    ),
    "pocwatch run -- qemu-system-aarch64 -M virt -cpu cortex-a57 -m 512M -dtb noncoherent.dtb "
    "-device nvme,drive=disk,serial=1 ...": "the user's own disk; tests/machine runs such machines",
    "pocwatch calibrate --out mine.toml": "needs an Arm64 machine; with --runner it is run",
    "taskset -c 4-7 pocwatch calibrate --out big.toml": "as above",
    "pocwatch view report.json": "needs a terminal; tests/tui runs it in tmux",
    "pocwatch view bug.json": "as above",
    "pocwatch view --source linux report.json": "as above",
    "pocwatch view boot.parquet": "as above",
    "pocwatch view --suppressions accepted.toml report.json": "as above",
    "pip install 'pocwatch[view,trace]'": "tools/setup installs them, with the extra `test`",
    "jq -r '.findings[] | [.kind, .count, .access.symbol, .writer.symbol] | @tsv' report.json": (
        "jq is no requirement; test_reference.py knows the keys"
    ),
    "jq -r '.sites[] | select(.count == .redundant) | [.op, .count, .stack[0].symbol] | @tsv' "
    "profile.json": "as above; tests/report/test_profile_report.py knows the keys",
    "flamegraph.pl --countname ns maintenance.folded > maintenance.svg": (
        "is no requirement; tests/report/test_profile_report.py knows the format"
    ),
}
_MACHINE = re.compile(r"(.* && )?pocwatch (run|demo|record|replay|mutate)\b|pytest |python \w+\.py")
_TRACE = re.compile(r"pocwatch (replay|mutate)|python \w+\.py")


@dataclass(frozen=True)
class Shown:
    """A command of a page, and what is said of it."""

    page: Path
    command: str
    exit_code: int
    output: str

    def __str__(self) -> str:
        return f"{page_id(self.page)}: {self.command[:60]}"


def commands_of(page: Path, block: Block) -> list[Shown]:
    code = int(block.notes.get("exit", "0"))
    if block.language == "sh":
        return [Shown(page, line, code, "") for line in block.body.splitlines() if line]
    if block.language != "console":
        return []
    first, *parts = re.split(r"^\$ ", block.body, flags=re.MULTILINE)
    assert not first.strip(), f"{page_id(page)}: output before a command"
    shown = []
    for part in parts:
        command, _, output = part.partition("\n")
        shown.append(Shown(page, command, code, output))
    return shown


SHOWN = [s for page in all_pages() for block in blocks(page) for s in commands_of(page, block)]
RUN = [s for s in SHOWN if s.command not in EXCEPTIONS]
SESSIONS = [ROOT / "docs" / "tutorial.md"]


def with_marks(shown: Shown) -> object:
    marks = [pytest.mark.machine] if _MACHINE.match(shown.command) else []
    return pytest.param(shown, marks=marks, id=str(shown))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `pocwatch` on the path: the one under test."""
    program = tmp_path / "bin" / "pocwatch"
    program.parent.mkdir()
    code = "from pocwatch.cli.main import main; main()"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{code}" "$@"\n')
    program.chmod(0o755)
    return tmp_path


def pattern(output: str) -> re.Pattern[str]:
    """What a command's output must look like."""
    text = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n"
        for line in output.rstrip().splitlines()
    )
    # blank lines between a report and the prompt of the next command are layout
    return re.compile(text + r"\n*")


def give_files(page: Path, folder: Path) -> None:
    for block in blocks(page):
        if "file" in block.notes:
            (folder / block.notes["file"]).write_text(block.body)
    (folder / "docs").symlink_to(ROOT / "docs")


def give_machine(folder: Path) -> None:
    """`Image` and `initrd.cpio`: Linux that boots and powers off."""
    prepared = machine.prepare(machine.default_cache_dir())
    (folder / "Image").symlink_to(prepared.kernel)
    (folder / "initrd.cpio").symlink_to(prepared.initrds["host"])


@pytest.fixture(scope="session")
def boot_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine of the pages' commands, recorded."""
    from pocwatch.sanitizer.recording import record

    out = tmp_path_factory.mktemp("trace") / "boot.parquet"
    words = machine.prepare(machine.default_cache_dir()).qemu_args(scenario="host")
    plan = record.plan(record.Options(command=words, out=out))
    recorded = record.run(plan, lambda _: None, lambda _progress, _size: None)
    assert recorded.report.complete
    return out


@pytest.mark.parametrize("shown", [with_marks(s) for s in RUN if s.page not in SESSIONS])
def test_the_command_does_what_the_page_says(
    shown: Shown, folder: Path, request: pytest.FixtureRequest
) -> None:
    give_files(shown.page, folder)
    if _TRACE.match(shown.command):
        (folder / "boot.parquet").symlink_to(request.getfixturevalue("boot_trace"))
    if _MACHINE.match(shown.command):
        give_machine(folder)
    do(shown, folder)


@pytest.mark.machine
@pytest.mark.parametrize("page", SESSIONS, ids=page_id)
def test_the_session_goes_as_the_page_says(page: Path, folder: Path) -> None:
    give_files(page, folder)
    for shown in RUN:
        if shown.page == page:
            do(shown, folder)


def do(shown: Shown, folder: Path) -> None:
    """Run a command and compare what it prints and its exit code with what the page shows."""
    package = str(Path(pocwatch.__file__).parents[1])  # the one under test, installed or not
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail\n{shown.command}"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={
            **os.environ,
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": package,
            # pytest's plugin of the package under test, installed or not
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "-p pocwatch.pytest_plugin -p no:cacheprovider",
        },
        check=False,
    )
    assert done.returncode == shown.exit_code, done.stdout
    if shown.output.strip():
        assert pattern(shown.output).fullmatch(done.stdout.replace("\r", "")), done.stdout


def test_every_exception_is_needed() -> None:
    assert set(EXCEPTIONS) <= {s.command for s in SHOWN}


@pytest.mark.parametrize("shown", SHOWN, ids=str)
def test_options_of_pocwatch_exist(shown: Shown) -> None:
    """Also of commands that are not run."""
    words = shlex.split(shown.command)
    if words[0] != "pocwatch":
        return
    command = cli.get_command(click.Context(cli), words[1])
    assert command is not None, f"no command {words[1]}"
    command.make_context(words[1], words[2:])


def test_shown_suppressions_are_accepted(tmp_path: Path) -> None:
    from pocwatch.sanitizer import suppressions

    page = ROOT / "docs" / "howto-run.md"
    give_files(page, tmp_path)
    assert suppressions.load(tmp_path / "accepted.toml")


def normalised(line: str) -> str:
    """A line without what differs between builds: addresses, encodings, counts, line breaks."""
    return re.sub(r"0x[0-9a-f]+|\b(once|[\d,]+ times)\b", "#", line)


@pytest.mark.machine
def test_the_report_of_the_readme_is_what_the_dropped_run_says(folder: Path) -> None:
    from pocwatch.cli.demo import CASES
    from pocwatch.report import text
    from pocwatch.sanitizer import launch

    (block,) = (b for b in blocks(ROOT / "README.md") if b.notes.get("report") == "dropped")
    (case,) = (c for c in CASES if c.name == "dropped")
    prepared = machine.prepare(machine.default_cache_dir())
    plan = launch.plan(
        launch.Options(
            command=prepared.qemu_args(), symbols=prepared.symbol_options(), drop=case.drop
        )
    )
    report = text.render(launch.run(plan, lambda _: None))
    said = normalised(re.sub(r"^pocwatch: \d+: ", "", report, flags=re.MULTILINE))
    assert normalised(block.body) in said, report
