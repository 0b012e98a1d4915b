"""The option for how deep call stacks are taken, of the commands that start a machine."""

from __future__ import annotations

import click

from pocwatch.sanitizer.arguments import MAX_STACKS, STACKS

stacks_option = click.option(
    "--stacks",
    default=STACKS,
    show_default=True,
    metavar="N",
    type=click.IntRange(0, MAX_STACKS),
    help=f"Take call stacks of at most N frames (up to {MAX_STACKS}) by frame pointers; 0: none.",
)
