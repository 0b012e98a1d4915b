"""`pocwatch run`: the user's QEMU command with plugin and shared RAM added, run and read out."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from pocwatch.sanitizer import arguments, assemble, buses, probe, process, qemu, rules, runfile
from pocwatch.sanitizer import machine as machines
from pocwatch.sanitizer.errors import MachineError, UsageError
from pocwatch.sanitizer.explain import Describe, from_line_model
from pocwatch.sanitizer.findings import Report
from pocwatch.sanitizer.locate import Locator, Program, programs
from pocwatch.sanitizer.profile import Profile, named
from pocwatch.sanitizer.suppressions import Suppression, shipped
from pocwatch.sanitizer.suppressions import load as load_suppressions
from pocwatch.sanitizer.workspace import Workspace
from pocwatch.trace import profile as profile_file
from pocwatch.trace.records import Finding as RawFinding
from pocwatch.trace.records import RunHeader

_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asks of a run; `symbols`, `drop`, `weaken` as on the command line.

    `stacks` is how many frames of call stacks are taken, 0 for no stacks; `dma`: whether what devices
    do in RAM is watched; `profile` gets the profile of
    maintenance, if the machine ended in order.
    `stream` gets every access as a record (`cost.cachesim.record`), `events` what happens between
    hypervisor and guests (`cost.recording.record`), `trace` the raw trace (`trace.raw`): a new
    file, or a FIFO that has or will have a reader. With a trace nothing is judged while the machine runs;
    `known` are programs with symbols beside those of `symbols`; `asked` is the command line that asks for
    this run again, if that is not `pocwatch run`.
    `filter` is the file that says what the trace may leave out (`line.filter.binary`), empty: one for all
    shipped platforms and that of the run.
    """

    command: Sequence[str]
    platform: str = "auto"
    symbols: Sequence[str] = ()
    drop: Sequence[str] = ()
    weaken: Sequence[str] = ()
    suppressions: Path | None = None
    unsynced: bool = False
    redundant: bool = False
    keep: Path | None = None
    stream: Path | None = None
    events: Path | None = None
    trace: Path | None = None
    filter: bytes = field(repr=False, default=b"")
    known: Sequence[Program] = field(repr=False, default=())
    asked: Sequence[str] = ()
    stacks: int = arguments.STACKS
    dma: bool = True
    profile: Callable[[Profile], None] | None = field(repr=False, default=None)

    def words(self) -> list[str]:
        """Return the command line that asks for this run again."""
        if self.asked:
            return list(self.asked)
        said = ["pocwatch", "run"]
        if self.platform != "auto":
            said += ["--platform", self.platform]
        for option, values in (
            ("--symbols", self.symbols),
            ("--drop", self.drop),
            ("--weaken", self.weaken),
            ("--suppressions", [str(self.suppressions)] if self.suppressions else []),
            ("--events", [str(self.events)] if self.events else []),
        ):
            said += [word for value in values for word in (option, value)]
        if self.stacks != arguments.STACKS:
            said += ["--stacks", str(self.stacks)]
        said += [] if self.dma else ["--dma", "off"]
        said += ["--unsynced"] * self.unsynced + ["--redundant"] * self.redundant
        return [*said, "--", *self.command]


# Programs with symbols for code that ran, by the PCs that are to be named.
Loaded = Callable[[Sequence[int]], Sequence[Program]]


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that was checked and can start."""

    options: Options
    machine: machines.Machine
    qemu: qemu.Qemu
    plugin: Path
    platform: Any
    locator: Locator
    rules: Sequence[rules.Rule]
    suppressions: Sequence[Suppression]
    describe: Describe
    table: bytes = field(repr=False, default=b"")
    filter: bytes = field(repr=False, default=b"")
    masters: Sequence[buses.Bus] = ()
    warnings: Sequence[str] = ()


def plugin_path() -> Path:
    """Return the plugin: $POCWATCH_PLUGIN, or the installed one. Raise MachineError."""
    override = os.environ.get("POCWATCH_PLUGIN")
    name = "pocwatch_plugin.so"
    path = Path(override) if override else Path(str(resources.files("pocwatch") / "plugin" / name))
    if not path.is_file():
        said = "POCWATCH_PLUGIN=" if override else ""
        raise MachineError(
            f"{said}{path}: the QEMU plugin is not there; install pocwatch with pip (which builds "
            "it), or set POCWATCH_PLUGIN to it"
        )
    return path


def _named_platform(name: str) -> Any:
    from pocwatch import platforms

    try:
        return platforms.load(name)
    except platforms.PlatformError as error:
        raise UsageError(f"--platform: {error}, or auto") from None


def _auto_platform(machine: machines.Machine, program: str, plugin: Path) -> tuple[Any, list[str]]:
    """Return the platform that the machine's CPU says it has, and warnings."""
    from pocwatch import platforms
    from pocwatch.line import table

    any_table = table.binary(platforms.load("cortex-a57-up"))  # of the small ones: quickly made
    try:
        cpu = probe.cpu_facts(program, machine, plugin, any_table)
    except MachineError as error:
        warning = (
            f"--platform auto: the CPU {machine.cpu} could not be asked for its caches ({error}); "
            "it is taken to promise nothing (IDC=0, DIC=0)"
        )
        return platforms.auto(machine.cpu, machine.pes, idc=False, dic=False), [warning]
    return platforms.auto(machine.cpu, machine.pes, idc=cpu.idc, dic=cpu.dic), []


def _check_recording(options: Options) -> None:
    """Refuse what asks for judging now, or for another recording. Raises UsageError."""
    for asked, value in (
        ("--drop", options.drop),
        ("--weaken", options.weaken),
        ("--unsynced", options.unsynced),
        ("--redundant", options.redundant),
        ("--stream", options.stream),
        ("--events", options.events),
        ("--profile", options.profile),
    ):
        if value:
            raise UsageError(
                f"{asked} and a trace exclude each other: while recording, nothing is judged and the "
                "machine's maintenance is kept as it is; drop and weaken when replaying"
            )


def plan(options: Options) -> Plan:
    """Check everything that can be checked before the machine starts."""
    if options.trace is not None:
        _check_recording(options)
    machine = machines.parse(options.command)
    found = qemu.find(machine.program)
    if machine.kernel is not None and not os.access(machine.kernel, os.R_OK):
        raise UsageError(f"-kernel {machine.kernel}: no such file, or it cannot be read")
    platform = None if options.platform == "auto" else _named_platform(options.platform)
    locator = Locator([*programs(options.symbols, machine), *options.known])
    wanted = [
        rules.parse(option, text, locator.find, locator.similar)
        for option, texts in (("--drop", options.drop), ("--weaken", options.weaken))
        for text in texts
    ]
    rules.check_count(wanted)
    accepted = shipped() + (load_suppressions(options.suppressions) if options.suppressions else [])
    plugin, warnings = plugin_path(), list[str]()
    if platform is None:
        platform, warnings = _auto_platform(machine, found.path, plugin)
    masters = _buses(options, machine, warnings)
    from pocwatch.line import table

    keep = options.filter
    if options.trace is not None and not keep:
        keep = _filter_of_all(platform)
    return Plan(
        options=options,
        machine=machine,
        qemu=found,
        plugin=plugin,
        platform=platform,
        locator=locator,
        rules=wanted,
        suppressions=accepted,
        describe=from_line_model(),
        table=table.binary(platform),
        filter=keep,
        masters=masters,
        warnings=warnings,
    )


def _buses(
    options: Options, machine: machines.Machine, warnings: list[str]
) -> Sequence[buses.Bus]:
    if not options.dma:
        return ()
    if machine.iommu:
        warnings.append("the machine has an IOMMU: DMA is not watched, as addresses are not known")
        return ()
    return buses.of_machine(machine)


def _filter_of_all(platform: Any) -> bytes:
    """Return the filter for the shipped platforms and one more. Raises UsageError."""
    from pocwatch import platforms
    from pocwatch.line import filter as filters

    try:
        return filters.binary([*map(platforms.load, platforms.names()), platform])
    except filters.FilterError as error:
        raise UsageError(str(error)) from None


def added_arguments(plan: Plan, directory: Path, ram: Path) -> list[str]:
    """Return what the user's command gets in addition."""
    machine, options = plan.machine, plan.options
    wanted = {"rules": plan.rules, "unsynced": options.unsynced, "redundant": options.redundant}
    return [
        *(arguments.shared_ram(ram, machine.ram_size) if machine.backend is None else ()),
        *arguments.watched(
            plan.plugin,
            directory,
            ram,
            machine.ram_base,
            machine.ram_size,
            *(switch for switch, on in wanted.items() if on),
            stream=options.stream,
            events=options.events,
            trace=options.trace,
            stacks=options.stacks,
            profile=options.profile is not None,
            dma=bool(plan.masters),
        ),
    ]


def run(
    plan: Plan,
    say: Callable[[str], None],
    progress: Callable[[runfile.Progress], None] | None = None,
    prepared: Callable[[Path], None] = lambda _: None,
    limit: process.Limit | None = None,
    loaded: Loaded = lambda _: (),
) -> Report:
    """Run the machine and return what was seen, also when it failed on the way.

    `say` gets lines for the user before the machine starts, `prepared` the file that holds guest RAM.
    `loaded` is asked, after the machine ended, what was loaded while it ran.
    """
    machine = plan.machine
    own_ram = machine.backend is None
    need = runfile.file_size(runfile.MAX_FINDINGS) + (machine.ram_size if own_ram else 0)
    with Workspace(need) as workspace:
        directory = workspace.path
        ram = directory / "ram" if machine.backend is None else Path(machine.backend.path)
        try:
            runfile.create(directory / "run", machine.ram_base, machine.ram_size, machine.pes)
            (directory / "table").write_bytes(plan.table)
            if plan.options.trace is not None:
                (directory / "filter").write_bytes(plan.filter)
            rules.write(directory / "rules", plan.rules)
            buses.write(directory / "dma", plan.masters)
            if own_ram:
                with ram.open("wb") as file:
                    file.truncate(machine.ram_size)
        except OSError as error:
            raise MachineError(f"{directory}: cannot prepare the run ({error.strerror})") from None
        given = machine.args
        if machine.single_thread and machine.pes > 1:
            given = machines.with_multi_thread(given)
            say(
                f"changed thread=single to thread=multi: with {machine.pes} CPUs in one thread "
                "QEMU tells plugins the wrong CPU"
            )
        added = added_arguments(plan, directory, ram)
        say(f"added to the QEMU command: {shlex.join(added)}")
        prepared(ram)
        with runfile.RunFile(directory / "run") as record:

            def tick() -> None:
                if progress is not None:
                    progress(record.progress())

            ended = process.run([plan.qemu.path, *given, *added], tick, limit)
            report = _read(plan, record, ended, directory, ram, loaded)
        if plan.options.keep is not None:
            _keep(directory, plan.options.keep)
        return report


def _keep(directory: Path, target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name in ("run", "table", "rules"):
            shutil.copyfile(directory / name, target / name)
    except OSError as error:
        raise MachineError(f"--keep {target}: cannot be written ({error.strerror})") from None


def _failure(header: RunHeader, ended: process.Ended) -> str | None:
    error = header.error.decode("utf-8", "replace").strip()
    if error:
        return f"the plugin gave up: {error}"
    if not header.started:
        how = ended.failure or "QEMU ended"
        return f"{how} before the machine was watched; its own message is above"
    if ended.failure is not None:
        return ended.failure
    if not header.finished and not ended.interrupted:
        return "QEMU ended without telling the plugin"
    return None


def _code_pages(raw: Sequence[RawFinding], header: RunHeader, ram: Path) -> dict[int, bytes]:
    """Read the pages of guest RAM in which the instructions of findings lie."""
    pages: dict[int, bytes] = {}
    try:
        with ram.open("rb") as file:
            for finding in raw:
                for record in (
                    finding.access,
                    finding.writer,
                    *finding.history[: finding.n_history],
                ):
                    page = record.pc_pa & -_PAGE
                    if page not in pages and 0 <= page - header.ram_base < header.ram_size:
                        file.seek(page - header.ram_base)
                        pages[page] = file.read(_PAGE)
    except OSError:
        return {}  # names are then found by VA only
    return {page: code for page, code in pages.items() if len(code) == _PAGE}


def _read(
    plan: Plan,
    record: runfile.RunFile,
    ended: process.Ended,
    directory: Path,
    ram: Path,
    loaded: Loaded,
) -> Report:
    header, raw, frames = record.header(), record.findings(), record.frames()
    events = [e for f in raw for e in (f.access, f.writer, *f.history[: f.n_history])]
    pcs = sorted({event.pc for event in (*events, *frames)})
    known = [*plan.locator.programs, *(loaded(pcs) if pcs else ())]
    locator = Locator(known, _code_pages(raw, header, ram))
    report = assemble.report(
        assemble.Watched(
            platform=plan.platform,
            qemu=plan.qemu.version,
            command=tuple(plan.options.words()),
            pes=plan.machine.pes,
            rules=plan.rules,
            suppressions=plan.suppressions,
            describe=plan.describe,
            redundant=plan.options.redundant,
            warnings=plan.warnings,
        ),
        header,
        raw,
        locator,
        frames=frames,
        failure=_failure(header, ended),
        interrupted=ended.interrupted,
    )
    counts = profile_file.read(directory / "profile")
    if plan.options.profile is not None and counts is not None:
        plan.options.profile(named(counts, locator, plan.platform.name))
    return report
