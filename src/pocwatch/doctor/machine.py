"""QEMU, the plugin, and both together: a machine is run that must have one finding."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

from pocwatch.doctor import cures, proof
from pocwatch.doctor.record import Check, State
from pocwatch.platforms import load as load_platform
from pocwatch.sanitizer import launch, probe, process, qemu
from pocwatch.sanitizer import machine as machines
from pocwatch.sanitizer.errors import RunError

_WHY_QEMU = "`pocwatch run` and `demo`: it emulates the machine (9.1 or newer, with TCG plugins)"
_WHY_PLUGIN = "`pocwatch run` and `demo`: it watches the machine from inside QEMU"
_WHY_MACHINE = (
    "`pocwatch run` and `demo`: plugin and QEMU fit, registers can be read, findings come out"
)
_PLUGIN_VARIABLE = "POCWATCH_PLUGIN"


def checks(program: str) -> list[Check]:
    """Look at QEMU, at the plugin and, if both are there, at a machine."""
    found = [_qemu(program), _plugin()]
    return [*found, _machine(program, found)]


def _qemu(program: str) -> Check:
    try:
        there = qemu.find(program)
    except RunError as error:
        return Check("QEMU", State.MISSING, str(error), _WHY_QEMU, cures.qemu())
    return Check("QEMU", State.WORKS, f"{there.path}, version {there.version}", _WHY_QEMU)


def _cure_of_plugin() -> str:
    return f"unset {_PLUGIN_VARIABLE}" if os.environ.get(_PLUGIN_VARIABLE) else cures.reinstall()


def _plugin() -> Check:
    try:
        path = launch.plugin_path()
    except RunError as error:
        return Check("plugin", State.MISSING, str(error), _WHY_PLUGIN, _cure_of_plugin())
    return Check("plugin", State.WORKS, str(path), _WHY_PLUGIN)


def _machine(program: str, needed: list[Check]) -> Check:
    absent = [check.name for check in needed if check.state is not State.WORKS]
    if absent:
        found = f"not tried without {' and '.join(absent)}"
        return Check("machine", State.MISSING, found, _WHY_MACHINE)
    try:
        found = _prove(program)
    except RunError as error:
        return Check("machine", State.MISSING, str(error), _WHY_MACHINE, _cure_of_plugin())
    return Check("machine", State.WORKS, found, _WHY_MACHINE)


def _prove(program: str) -> str:
    """Return what the machine showed. Raise RunError."""
    from pocwatch.line import table

    with tempfile.TemporaryDirectory(prefix="pocwatch-") as folder:
        file = Path(folder) / "proof"
        try:
            file.write_bytes(proof.image())
        except OSError as error:
            raise RunError(f"{file}: cannot be written ({error.strerror})") from None
        command = proof.command(program, file)
        # Asked first because it hears what QEMU says when the plugin does not fit.
        any_table = table.binary(load_platform("cortex-a57-up"))
        path, plugin = qemu.find(program).path, launch.plugin_path()
        cpu = probe.cpu_facts(path, machines.parse(command), plugin, any_table)
        plan = launch.plan(launch.Options(command=command))
        report = launch.run(plan, lambda _: None, limit=process.Limit(proof.SECONDS))
    if not report.complete:
        raise RunError(f"{report.failure}; the command was: {shlex.join(command)}")
    kinds = [finding.kind for finding in report.findings]
    if kinds != [proof.KIND]:
        raise RunError(
            f"a machine that runs code it has just written gave {kinds or 'no findings'}, not one "
            f"{proof.KIND}: plugin and QEMU do not fit"
        )
    caches = f"IDC={int(cpu.idc)}, DIC={int(cpu.dic)}, lines of {cpu.line_size} bytes"
    return f"registers read ({caches}); the planted {proof.KIND} was found"
