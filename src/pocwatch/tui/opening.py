"""From a file's name to the viewer: what it holds, and what is missing to show it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from pocwatch import platforms
from pocwatch.platforms import Platform
from pocwatch.platforms.errors import PlatformError
from pocwatch.sanitizer import suppressions as suppression_files
from pocwatch.sanitizer.errors import UsageError
from pocwatch.sanitizer.suppressions import Suppression
from pocwatch.trace import raw
from pocwatch.trace.info import Info
from pocwatch.tui.accept import DEFAULT_FILE
from pocwatch.tui.source import Rows


def require() -> None:
    """Raise UsageError unless there is a Textual and a terminal."""
    try:
        import textual  # noqa: F401
    except ImportError:
        raise UsageError(
            "view: the package textual is not installed: pip install 'pocwatch[view]'"
        ) from None
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError(
            "view: standard input, output or error is not a terminal; `pocwatch report` prints "
            "what `pocwatch run --json` wrote"
        )


def view(
    file: Path, suppressions: Path | None, sources: Sequence[Path], platform: str | None
) -> int:
    """Show a file until the user quits; return the exit code. Raise UsageError or TraceError."""
    accepted = _accepted(suppressions)
    require()
    with ExitStack() as opened:
        rows = open_rows(file, accepted, platform, opened)
        from pocwatch.tui.app import Viewer

        viewer = Viewer(
            rows,
            file.name,
            suppression_file=suppressions or DEFAULT_FILE,
            accepted=accepted,
            source_roots=sources or (Path(),),
        )
        viewer.run()
        return viewer.return_code or 0


def _accepted(given: Path | None) -> list[Suppression]:
    """Return what is accepted so far; a file that is named need not be there yet."""
    file = given or DEFAULT_FILE
    return suppression_files.load(file) if file.exists() else []


def open_rows(
    file: Path, accepted: list[Suppression], platform: str | None, opened: ExitStack
) -> Rows:
    """Return a file's first list. Raise UsageError or TraceError when it has none."""
    if not _is_trace(file):
        return _report_rows(file, accepted, platform)
    from pocwatch.trace import arrow

    arrow.require()
    from pocwatch.trace.reader import Trace
    from pocwatch.tui.trace_source import Views

    trace = opened.enter_context(Trace(file))
    return Views(trace, _platform_of_trace(trace.info, file, platform)).first


def _is_trace(file: Path) -> bool:
    try:
        with file.open("rb") as start:
            magic = start.read(8)
    except OSError as error:
        raise UsageError(
            f"{file}: cannot be read ({error.strerror}); give a report of --json or a trace"
        ) from None
    if magic.startswith(raw.MAGIC):
        raise UsageError(f"{file}: is a raw trace; give the one that `pocwatch record` made of it")
    return magic.startswith(b"PAR1")


def _report_rows(file: Path, accepted: list[Suppression], platform: str | None) -> Rows:
    from pocwatch.report import load
    from pocwatch.tui.report_source import Findings

    report = load.load(file)
    if platform is not None:
        raise UsageError(
            f"--platform {platform}: is for traces; {file} was judged on {report.platform}"
        )
    judged_on = report.definition or _platform(report.platform, f"{file}: platform")
    return Findings(report, judged_on, accepted)


def _platform_of_trace(info: Info, file: Path, wanted: str | None) -> Platform:
    if wanted is not None:
        return _platform(wanted, "--platform")
    if not info.platforms:
        raise UsageError(
            f"{file}: names no platform that it was recorded for; give --platform NAME"
        )
    first = dict(info.platforms[0])
    name = str(first.pop("name", ""))
    if not first:
        return _platform(name, f"{file}: platform")
    try:
        return platforms.of_table(first, name)
    except PlatformError as error:
        raise UsageError(f"{file}: platform {name!r}: {error}; give --platform NAME") from None


def _platform(name: str, where: str) -> Platform:
    try:
        return platforms.load(name)
    except PlatformError as error:
        raise UsageError(f"{where} {error}") from None
