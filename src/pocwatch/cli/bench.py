"""`pocwatch bench`: what cache-cleaning policies cost a VM, over RAM, page sizes and vCPUs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocwatch.cli import complete
from pocwatch.cli.options import split

if TYPE_CHECKING:
    from pocwatch.cost.model import CostModel
    from pocwatch.cost.start.assumptions import Assumptions
    from pocwatch.cost.start.bench import Bench
    from pocwatch.cost.start.safety import Safety
    from pocwatch.cost.start.vm import Vm
    from pocwatch.kvm.policy import Policy
    from pocwatch.platforms import Platform

_PICTURES = (".svg", ".png", ".html")
_BAR_EVERY_SECONDS = 0.1


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--guest-ram", default="64M..1T", show_default=True, metavar="SIZE[,…]|FIRST..LAST",
    help="Guest RAM: sizes with K, M, G or T, or a range that is doubled through.",
)  # fmt: skip
@click.option(
    "--page", default="4K", show_default=True, metavar="4K|16K|64K|2M|1G[,…]",
    help="What stage 2 maps, and a fault covers.",
)  # fmt: skip
@click.option(
    "--touched", metavar="SIZE",
    help="What the guest touches until it is up. Default: 48M (the image, if that is more) and a 64th "
    "of its RAM.",
)  # fmt: skip
@click.option("--image", metavar="SIZE", help="What the VMM writes before. Default: 32M.")
@click.option(
    "--vcpus", default="4", show_default=True, metavar="N[,…]",
    help="vCPUs, all faulting on one page at once.",
)  # fmt: skip
@click.option(
    "--policy", "references", multiple=True, callback=split, metavar="NAME|FILE.py[,…]",
    shell_complete=complete.policies, help="Designs to price. Default: all shipped.",
)  # fmt: skip
@click.option(
    "--platform", "platform_name", default="xgene-l3", show_default=True, metavar="NAME|FILE.toml",
    shell_complete=complete.platforms,
    help="The caches: their sizes, and who is safe on them.",
)  # fmt: skip
@click.option(
    "--costs", "cost_set", default="default", show_default=True, metavar="NAME|FILE.toml",
    shell_complete=complete.cost_sets,
    help="What operations cost: a shipped cost set, or one of `pocwatch calibrate`.",
)  # fmt: skip
@click.option(
    "--assume", "settings", multiple=True, metavar="NAME=VALUE",
    help="Change an assumption (see --assumptions). Repeatable.",
)  # fmt: skip
@click.option("--assumptions", is_flag=True, help="Show everything that is assumed, with reasons.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="For the moments at which vCPUs fault.")  # fmt: skip
@click.option("--json", "json_file", metavar="FILE", help="Write all numbers; - is standard output.")
@click.option(
    "--plot", "plots", multiple=True, metavar="FILE.svg|png|html",
    help="Draw cost against RAM; timeline and fault latency go to files beside it. html: all in one "
    "file, with the tables. Repeatable.",
)  # fmt: skip
@click.option(
    "--scheduler", default="here", show_default=True, metavar="here|threads|processes|ADDRESS",
    help="Where to compute: in this process, Dask's threads or processes, or a Dask cluster.",
)  # fmt: skip
@click.option(
    "--resume", type=click.Path(path_type=Path, dir_okay=False),
    help="Keep results in this file, and take from it what is there.",
)  # fmt: skip
@click.option(
    "--recording", type=click.Path(path_type=Path, dir_okay=False),
    help="Count what a real machine did, and what each policy would have done there: a file of "
    "`pocwatch run --events` or `pocwatch demo --events`. Of the other options --platform, --costs and "
    "--json count.",
)  # fmt: skip
@click.option(
    "--stream", type=click.Path(path_type=Path),
    help="Simulate the platform's caches on what a real machine did: a file of `pocwatch run --stream`, "
    "gzipped or not.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    guest_ram: str,
    page: str,
    touched: str | None,
    image: str | None,
    vcpus: str,
    references: Sequence[str],
    platform_name: str,
    cost_set: str,
    settings: Sequence[str],
    assumptions: bool,
    seed: int,
    json_file: str | None,
    plots: Sequence[str],
    scheduler: str,
    resume: Path | None,
    recording: Path | None,
    stream: Path | None,
    quiet: bool,
) -> int:
    """Price cache-cleaning policies of a hypervisor: VM start, boot, faults, steady state.

    Counts what each policy's own operations are for a VM, and multiplies by what they cost. Every time is
    what is added to a hypervisor that does no maintenance. Unsafe policies are marked with !.

    \b
    Examples:
      pocwatch bench
      pocwatch bench --guest-ram 1G,4G --policy poc-on-fault,user-space --json -
      pocwatch bench --guest-ram 20G --page 1G --vcpus 40 --costs kunpeng920
      pocwatch bench --plot cost.svg --scheduler processes --resume sweep.jsonl
      pocwatch bench --recording boot.events
      pocwatch bench --stream boot.accesses --platform cortex-a57

    Exit codes: 0 done, 2 bad input, 3 the cluster failed.
    """
    from pocwatch.cli import points
    from pocwatch.cli.output import write_json
    from pocwatch.cli.platform_option import load_platform
    from pocwatch.cli.terminal import StatusLine, bar
    from pocwatch.cost import model
    from pocwatch.cost.start import assumptions as assumed_of
    from pocwatch.cost.start.bench import Bench
    from pocwatch.cost.sweep.kept import Kept
    from pocwatch.kvm.policies import POLICIES
    from pocwatch.report import bench_json, bench_text

    _refuse_unwritable([*plots, *([json_file] if json_file not in (None, "-") else [])])
    _refuse_undrawable(plots)
    platform, costs = load_platform(platform_name), model.load(cost_set)
    if stream is not None:
        return _of_stream(stream, platform, json_file)
    if recording is not None:
        return _of_recording(recording, platform, costs, json_file)
    assumed = assumed_of.changed(settings)
    vms = _vms(guest_ram, page, touched, image, vcpus, assumed)
    wanted = points.policies(references or list(POLICIES))
    safety = {policy.name: _judged(policy, platform) for _, _, policy in wanted}
    tasks = [
        points.Point(reference, policy.name, source, platform, costs, vm, assumed, seed)
        for vm in vms
        for reference, source, policy in wanted
        if safety[policy.name].why_not is None
    ]
    if not tasks:
        raise click.UsageError(
            "no policy applies: "
            + "; ".join(f"{name}: {said.why_not}" for name, said in safety.items())
        )
    live = StatusLine(enabled=not quiet, every_seconds=_BAR_EVERY_SECONDS)
    started = time.monotonic()

    def on_done(done: int) -> None:
        seconds = time.monotonic() - started
        live.say(f"{bar(done, len(tasks))} points, {seconds:.0f} s", last=done == len(tasks))

    with Kept(resume) as store:
        try:
            outcomes = points.price_all(tasks, scheduler, store, on_done)
        finally:
            live.clear()
    bench = Bench(platform, costs, assumed, seed, tuple(outcomes), safety)
    if not write_json(json_file, lambda: bench_json.json_value(bench)):
        click.echo(bench_text.text(bench, assumed=assumptions), nl=False)
    for plot in plots:
        _draw(bench, Path(plot))
    for warning in costs.warnings:
        click.echo(f"pocwatch: warning: {warning}", err=True)
    return 0


def _vms(
    guest_ram: str, page: str, touched: str | None, image: str | None, vcpus: str, assumed: Assumptions
) -> list[Vm]:
    """Return every VM asked for, RAM growing last. Raises BenchError."""
    from pocwatch.cost.start import sizes, vm

    pages = sizes.parse_many(page, "--page")
    touched_bytes = sizes.parse(touched, "--touched") if touched else None
    image_bytes = sizes.parse(image, "--image") if image else None
    return [
        vm.make(
            ram, size, touched_bytes=touched_bytes, image_bytes=image_bytes, vcpus=n, assumed=assumed
        )
        for size in pages
        for n in _numbers(vcpus)
        for ram in sizes.parse_many(guest_ram, "--guest-ram")
    ]


def _numbers(text: str) -> list[int]:
    """Return the numbers of vCPUs, each once; `Vm` knows how many there may be."""
    from pocwatch.cost.start.errors import BenchError

    try:
        return sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise BenchError(f"--vcpus is {text!r}: accepted are whole numbers, as in 1,4,40") from None


def _judged(policy: Policy, platform: Platform) -> Safety:
    from pocwatch.cost.start import safety
    from pocwatch.kvm.policy import PolicyError
    from pocwatch.sanitizer.errors import UsageError

    try:
        return safety.judge(policy, platform)
    except PolicyError as error:
        raise UsageError(str(error)) from None


def _of_recording(file: Path, platform: Platform, costs: CostModel, json_file: str | None) -> int:
    """Show what a real machine did. Raises UsageError for a file that is no recording."""
    from pocwatch.cli.output import write_json
    from pocwatch.cost.recording import RecordingError, read, summary

    try:
        found = read(str(file))
    except RecordingError as error:
        raise click.UsageError(f"--recording: {error}") from None
    if not write_json(json_file, lambda: summary.as_data(found, platform)):
        click.echo(summary.as_text(found, platform, costs), nl=False)
    return 0


def _of_stream(file: Path, platform: Platform, json_file: str | None) -> int:
    """Show what caches of the platform's sizes do with every access of a real machine."""
    from pocwatch.cli.output import write_json
    from pocwatch.cost.cachesim import CacheSimError, simulate, tables
    from pocwatch.cost.cachesim.counts import data
    from pocwatch.cost.recording.text import render

    if file.is_fifo():
        raise click.UsageError(f"--stream: {file} is a FIFO and is to be read twice; record to a file")
    try:
        counts = simulate(file, platform)
        without = simulate(file, platform, tables.MAINTENANCE)
    except (CacheSimError, OSError) as error:
        raise click.UsageError(f"--stream: {error}") from None
    both = {"as_it_was": counts, "without_maintenance": without}
    if not write_json(json_file, lambda: {name: data(c, platform) for name, c in both.items()}):
        click.echo(f"{counts.accesses:,} accesses in caches of {platform.name}\n")
        shown = (tables.caches(counts, platform), tables.maintenance(counts), tables.net(counts, without))
        click.echo("\n".join(map(render, shown)), nl=False)
    return 0


def _refuse_unwritable(files: Sequence[str]) -> None:
    """Raise before anything is computed."""
    from pocwatch.sanitizer.errors import UsageError

    for file in files:
        parent = Path(file).parent
        if not parent.is_dir():
            raise UsageError(f"{file}: there is no folder {parent}: make it first")


def _refuse_undrawable(plots: Sequence[str]) -> None:
    if not plots:
        return
    from pocwatch.report.plots import write
    from pocwatch.sanitizer.errors import UsageError

    for plot in plots:
        if Path(plot).suffix not in _PICTURES:
            raise UsageError(f"--plot: {plot}: accepted are names that end in {', '.join(_PICTURES)}")
    write.require()


def _draw(bench: Bench, path: Path) -> None:
    from pocwatch.report import bench_html
    from pocwatch.report.plots import write

    if path.suffix == ".html":
        path.write_text(bench_html.page(bench))
        written = [path]
    else:
        written = write.write(bench, path)
    click.echo(f"pocwatch: drawn: {', '.join(map(str, written))}", err=True)
