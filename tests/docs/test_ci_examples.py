"""The CI examples are what the servers read, and their commands do what the page says, on a fake QEMU."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import raw_records as raw
import yaml
from fake_machine import FakeQemu, fake_qemu
from pages import ROOT, blocks

import pocwatch
from pocwatch.cli.main import cli
from pocwatch.report import json, load

__all__ = ["fake_qemu"]
PAGE = ROOT / "docs" / "howto-ci.md"
FILES = {b.notes["file"]: yaml.safe_load(b.body) for b in blocks(PAGE) if b.language == "yaml"}
(GITHUB,) = FILES[".github/workflows/pocwatch.yml"]["jobs"].values()
GITLAB = FILES[".gitlab-ci.yml"]["stale-memory"]
SCRIPTS = {
    "github": [step["run"] for step in GITHUB["steps"] if "run" in step],
    "gitlab": [*GITLAB["before_script"], *GITLAB["script"]],
}


@dataclass(frozen=True)
class Folder:
    """A checked out repository with what the build step makes, `pocwatch` and a QEMU on the path."""

    path: Path
    environment: dict[str, str]

    def does(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def repository(tmp_path: Path, fake_qemu: FakeQemu) -> Folder:
    binaries = fake_qemu(raw=[raw.finding()]).parent
    program = binaries / "pocwatch"
    code = "from pocwatch.cli.main import main; main()"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{code}" "$@"\n')
    program.chmod(0o755)
    path = tmp_path / "repository"
    (path / "ci").mkdir(parents=True)
    (path / "code.c").write_text("int main(void) { return 0; }\n")
    compiler = ["aarch64-linux-gnu-gcc", "-g", "-nostdlib", "-static", "-Wl,-e,main"]
    subprocess.run([*compiler, "-o", "vmlinux", "code.c"], cwd=path, check=True)
    (path / "Image").write_bytes(b"")
    (path / "initrd.cpio").write_bytes(b"")
    (path / "ci" / "pocwatch.toml").write_text("")
    source = str(Path(pocwatch.__file__).parents[1])
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": source}
    return Folder(path, environment)


def of_pocwatch(scripts: list[str]) -> list[str]:
    return [script for script in scripts if "pocwatch run" in script or "pocwatch report" in script]


@pytest.mark.parametrize("server", SCRIPTS)
def test_every_command_line_of_pocwatch_is_accepted(server: str) -> None:
    found = of_pocwatch(SCRIPTS[server])
    assert len(found) == 2
    for script in found:
        words = shlex.split(script.replace("\\\n", " "))
        name, *rest = words[words.index("pocwatch") + 1 :]
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        command.make_context(name, rest)


@pytest.mark.parametrize("server", SCRIPTS)
def test_a_new_finding_fails_the_second_command_and_a_known_one_none(
    server: str, repository: Folder
) -> None:
    run, compare = of_pocwatch(SCRIPTS[server])
    done = repository.does(run)
    assert done.returncode == 0, done.stderr
    saved = repository.path / "pocwatch.json"
    report = load.load(saved)
    assert len(report.findings) == 1
    json.write(load.parse(json.render(report), ""), repository.path / "ci" / "pocwatch.json")
    done = repository.does(compare)
    assert done.returncode == 0, done.stderr
    assert "known from ci/pocwatch.json: 1 finding" in done.stdout
    (repository.path / "ci" / "pocwatch.json").write_text(
        json.render(report).replace("stale-fetch", "stale-read")
    )
    done = repository.does(compare)
    assert done.returncode == 1, "what the baseline has not is new"
    assert (repository.path / "pocwatch.xml").exists()


def uploaded() -> set[str]:
    """The files that the examples upload or keep."""
    files = {GITLAB["artifacts"]["reports"]["junit"], *GITLAB["artifacts"]["paths"]}
    for step in GITHUB["steps"]:
        given: dict[str, Any] = step.get("with", {})
        files |= {given.get("sarif_file", ""), *given.get("path", "").split()}
    return files - {""}


def test_what_is_uploaded_is_written() -> None:
    commands = " ".join(script for scripts in SCRIPTS.values() for script in scripts)
    written = set(re.findall(r"--(?:json|sarif|junit) (\S+)", commands))
    assert uploaded() == written


def test_findings_may_be_uploaded_also_when_the_commands_failed() -> None:
    assert GITHUB["steps"][-1]["if"] == "always()"
    assert GITLAB["artifacts"]["when"] == "always"
    permissions = FILES[".github/workflows/pocwatch.yml"]["permissions"]
    assert permissions["security-events"] == "write"
