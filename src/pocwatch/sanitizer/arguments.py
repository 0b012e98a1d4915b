"""What pocwatch adds to a QEMU command line: guest RAM in a file, and the plugin."""

from __future__ import annotations

from pathlib import Path

STACKS = 16  # frames of call stacks, if not asked for otherwise
MAX_STACKS = 64  # plugin/stacks.h

_RAM_ID = "pocwatch-ram"


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")


def shared_ram(ram: Path, size_bytes: int) -> list[str]:
    """Return the arguments that put guest RAM into a file that others can map."""
    return [
        "-object",
        f"memory-backend-file,id={_RAM_ID},size={size_bytes},mem-path={_escaped(ram)},share=on",
        "-machine",
        f"memory-backend={_RAM_ID}",
    ]


def watched(
    plugin: Path,
    directory: Path,
    ram: Path,
    ram_base: int,
    ram_size: int,
    *switches: str,
    stream: Path | None = None,
    events: Path | None = None,
    trace: Path | None = None,
    stacks: int = 0,
    profile: bool = False,
    dma: bool = False,
) -> list[str]:
    """Return the arguments that load the plugin; its files are `run`, `table` in `directory`.

    `rules` among the switches is a file there, too; all others are turned on. `stream` is where every
    access goes, `events` the event recording, `trace` the raw trace: files or FIFOs. A trace's
    `filter` is in `directory`, too. `stacks` is how many frames of call stacks are taken. `profile`
    asks for the file of that name in `directory`; `dma` is one there, too.
    """
    options = {
        "run": _escaped(directory / "run"),
        "ram": _escaped(ram),
        "rambase": hex(ram_base),
        "ramsize": hex(ram_size),
        "table": _escaped(directory / "table"),
    }
    if stream is not None:
        options["stream"] = _escaped(stream.absolute())
    if events is not None:
        options["events"] = _escaped(events.absolute())
    if trace is not None:
        options["trace"] = _escaped(trace.absolute())
        options["filter"] = _escaped(directory / "filter")
    if profile:
        options["profile"] = _escaped(directory / "profile")
    if dma:
        options["dma"] = _escaped(directory / "dma")
    if stacks:
        options["stacks"] = str(stacks)
    for switch in switches:
        options[switch] = _escaped(directory / "rules") if switch == "rules" else "on"
    words = ",".join(f"{key}={value}" for key, value in options.items())
    return ["-plugin", f"{_escaped(plugin)},{words}"]
