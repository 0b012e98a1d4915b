"""What a trace says of itself: the JSON in the metadata of its footer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pocwatch.trace import schema
from pocwatch.trace.errors import TraceError


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that was recorded. Sizes in bytes, addresses are PAs."""

    pes: int
    ram_base: int
    ram_size: int
    midr: int = 0
    ctr: int = 0
    clidr: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """A row group: the part of a generation that is of one shard, None for what is of no line.

    `offset`, `size`: its bytes in the file, whose sum is `crc32`. `seq` and `line`: the smallest and
    largest in it.
    """

    generation: int
    shard: int | None
    rows: int
    offset: int
    size: int
    crc32: int
    seq: tuple[int, int]
    line: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Info:
    """Everything about a recording that is not in its rows.

    `platforms`: those it was recorded for, as whole definitions, each with its `name`. `ops`, `kinds`:
    what the numbers of raw records are called. `counters`: sums over the whole run. `extra`: whatever
    else the recorder wants back at replay.
    """

    command: Sequence[str] = ()
    qemu: str = ""
    platforms: Sequence[Mapping[str, Any]] = ()
    machine: Machine = field(default_factory=lambda: Machine(1, 0, 0))
    rules: Sequence[str] = ()
    ops: Mapping[int, str] = field(default_factory=dict)
    kinds: Sequence[str] = ()
    counters: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False
    failure: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def dump(info: Info, groups: Sequence[Group]) -> bytes:
    """Return the JSON of a footer."""
    data = {"version": list(schema.VERSION), **asdict(info)}
    data["groups"] = [list(_flat(group)) for group in groups]
    return json.dumps(data, separators=(",", ":")).encode()


def _flat(group: Group) -> tuple[Any, ...]:
    return (
        *(group.generation, group.shard, group.rows, group.offset, group.size, group.crc32),
        *(*group.seq, *group.line),
    )


def load(text: bytes, name: str) -> tuple[Info, list[Group]]:
    """Return what `dump` was given. `name` is the file's. Raise TraceError."""
    try:
        data = json.loads(text)
        major, minor = data.pop("version")
        if major != schema.VERSION[0]:
            raise TraceError(
                f"{name}: is a trace of version {major}.{minor}; this pocwatch reads version "
                f"{schema.VERSION[0]}: record it again, or use the pocwatch that made it"
            )
        groups = [
            Group(g[0], g[1], g[2], g[3], g[4], g[5], seq=(g[6], g[7]), line=(g[8], g[9]))
            for g in data.pop("groups")
        ]
        data["machine"] = Machine(**data["machine"])
        data["ops"] = {int(number): op for number, op in data["ops"].items()}
        known = {key: value for key, value in data.items() if key in Info.__dataclass_fields__}
        return Info(**known), groups
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise TraceError(f"{name}: its metadata {schema.KEY!r} cannot be understood ({error})") from None
