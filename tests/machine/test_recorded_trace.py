"""A host's boot, recorded once and replayed with rules, against boots with these rules."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from judge_config import Config

from pocwatch import platforms
from pocwatch.demo.machine import Machine
from pocwatch.line import table
from pocwatch.sanitizer import launch, runfile
from pocwatch.sanitizer.launch import Options
from pocwatch.trace import raw, records

pytestmark = pytest.mark.machine

PLATFORM = "cortex-a57"
Site = tuple[int, int, int, int, int]  # kind of finding, op, attributes, PC, PC of the writer


def sites(run: Path) -> tuple[set[Site], records.RunHeader]:
    """Return where findings of a run file are."""
    with runfile.RunFile(run) as file:
        return {
            (f.kind, f.access.op, f.access.kind, f.access.pc, f.writer.pc) for f in file.findings()
        }, file.header()


class Recording:
    """A trace in memory, and the plugin as a library."""

    def __init__(self, plugin: ctypes.CDLL, trace: Path) -> None:
        data = trace.read_bytes()
        self.plugin = plugin
        self.header = raw.Header.from_buffer_copy(data)
        self.records = data[ctypes.sizeof(raw.Header) :]
        plugin.pw_replay_open.restype = ctypes.c_bool
        plugin.pw_replay.argtypes = (ctypes.c_char_p, ctypes.c_uint64)

    def replay(self, folder: Path, rules: bytes) -> Path:
        """Return the run file of a replay."""
        header = self.header
        runfile.create(folder / "run", header.ram_base, header.ram_size, header.n_pes)
        (folder / "table").write_bytes(table.binary(platforms.load(PLATFORM)))
        (folder / "rules").write_bytes(rules)
        config = Config(
            str(folder / "run").encode(),
            None,
            header.ram_base,
            header.ram_size,
            str(folder / "table").encode(),
            str(folder / "rules").encode(),
        )
        error = ctypes.create_string_buffer(256)
        assert self.plugin.pw_replay_open(ctypes.byref(config), error, 256), error.value
        self.plugin.pw_replay(self.records, len(self.records) // header.record_size)
        return folder / "run"


def test_one_recording_answers_for_every_boot(
    plugin: ctypes.CDLL, prepared: Machine, tmp_path: Path
) -> None:
    command = prepared.qemu_args(scenario="host")
    trace = tmp_path / "trace"
    options = Options(command=command, platform=PLATFORM, trace=trace)
    recorded = launch.run(launch.plan(options), lambda _: None)
    assert recorded.complete, recorded.failure
    recording = Recording(plugin, trace)
    assert recording.header.n_pes == 1
    last = raw.Traced.from_buffer_copy(recording.records[-recording.header.record_size :])
    assert last.op == raw.Mark.END
    n_records = len(recording.records) // recording.header.record_size
    assert n_records < (recorded.accesses + recorded.fetches) / 20
    for drop in ((), ("dc ivac@*",), ("ic ivau@*",)):
        live = tmp_path / f"live {drop}"
        options = Options(
            command=command,
            platform=PLATFORM,
            symbols=prepared.symbol_options(),
            drop=drop,
            keep=live,
        )
        report = launch.run(launch.plan(options), lambda _: None)
        assert report.complete, report.failure
        folder = tmp_path / f"replayed {drop}"
        folder.mkdir()
        expected, _ = sites(live / "run")
        replayed, header = sites(recording.replay(folder, (live / "rules").read_bytes()))
        assert replayed == expected
        assert len(expected) > (3 if drop else 0)
        assert sum(header.maintenance) == sum(recorded.maintenance.values())
        assert header.matched[0] > 0 or not drop
