"""`pocwatch view` from the command line: what it refuses, in one line each."""

from __future__ import annotations

import json as stdlib_json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import reports
import synthetic_trace

import pocwatch
from pocwatch.report import json
from pocwatch.trace import raw

SOURCE = str(Path(pocwatch.__file__).parents[1])
CODE = "from pocwatch.cli.main import main; main()"


def view(*args: str, before: str = "", terminal: bool = True) -> tuple[int, str]:
    """Run the command on a terminal of its own; return its exit code and all that it wrote."""
    command = [sys.executable, "-c", before + CODE, "view", *args]
    environment = {**os.environ, "PYTHONPATH": SOURCE, "TERM": "xterm"}
    if not terminal:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment
        )
        assert done.stdout == ""
        return done.returncode, done.stderr
    master, slave = pty.openpty()
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as it:
        os.close(slave)
        said = b""
        while True:
            try:
                piece = os.read(master, 1 << 16)
            except OSError:  # nobody has the other end any more
                break
            if not piece:
                break
            said += piece
        os.close(master)
        return it.wait(), said.decode()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    json.write(reports.report(), tmp_path / "r.json")
    text = (tmp_path / "r.json").read_text().replace('"fake-l3"', '"xgene-l3"')
    (tmp_path / "r.json").write_text(text)
    return tmp_path / "r.json"


def one_line(said: tuple[int, str]) -> str:
    code, text = said
    assert code == 2, text
    (line,) = text.splitlines()
    assert line.startswith("pocwatch: error: ")
    return line


def test_without_a_terminal(report: Path) -> None:
    assert "is not a terminal" in one_line(view(str(report), terminal=False))


def test_without_textual(report: Path) -> None:
    hidden = "import sys; sys.modules['textual'] = None\n"
    line = one_line(view(str(report), before=hidden))
    assert line.endswith("pip install 'pocwatch[view]'")


def test_no_such_file() -> None:
    assert "absent.json: cannot be read (No such file" in one_line(view("absent.json"))


def test_a_folder(tmp_path: Path) -> None:
    assert "cannot be read (Is a directory)" in one_line(view(str(tmp_path)))


@pytest.mark.parametrize("content", [b"", b"{", b"hello", b"\xff\xfe", b"[1]", b"{}"])
def test_what_is_no_report(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    assert "x.json" in one_line(view(str(tmp_path / "x.json")))


def test_a_newer_schema(report: Path) -> None:
    values = stdlib_json.loads(report.read_text())
    report.write_text(stdlib_json.dumps(values | {"schema": "pocwatch-report/99"}))
    assert "pocwatch-report/99" in one_line(view(str(report)))


def test_a_platform_that_nobody_knows(report: Path) -> None:
    report.write_text(report.read_text().replace('"xgene-l3"', '"nothing"'))
    line = one_line(view(str(report)))
    assert "nothing" in line


def test_suppressions_that_run_would_refuse(report: Path, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[[suppress]]\n")
    assert "s.toml" in one_line(view(str(report), "--suppressions", str(tmp_path / "s.toml")))


def test_a_platform_for_a_report(report: Path) -> None:
    line = one_line(view(str(report), "--platform", "cortex-a57"))
    assert "--platform cortex-a57: is for traces" in line


def test_a_raw_trace(tmp_path: Path) -> None:
    (tmp_path / "t.raw").write_bytes(bytes(raw.header(1)))
    assert "is a raw trace" in one_line(view(str(tmp_path / "t.raw")))


def test_a_trace_cut_before_its_first_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(
        synthetic_trace.trace_bytes(synthetic_trace.records(500), 500)[:100]
    )
    assert "nothing can be read: it was cut" in one_line(view(str(tmp_path / "t.parquet")))


def test_a_trace_on_a_platform_that_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(
        synthetic_trace.trace_bytes(synthetic_trace.records(500), 500)
    )
    line = one_line(view(str(tmp_path / "t.parquet"), "--platform", "nothing"))
    assert "nothing" in line
