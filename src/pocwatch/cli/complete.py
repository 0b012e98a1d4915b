"""What the shell offers for a value: names that ship with pocwatch, and files.

Callbacks for click's `shell_complete`. Names are looked up when the Tab key is pressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _names(known: Callable[[], Iterable[str]]) -> Completer:
    """Return what completes the last name of a list with commas; else the shell completes files."""

    def complete(
        _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        given = before.split(",")
        fitting = [n for n in known() if n.startswith(last) and n not in given]
        found = [CompletionItem(before + comma + name) for name in fitting]
        return found or [CompletionItem(incomplete, type="file")]

    return complete


def _platforms() -> Iterable[str]:
    from pocwatch import platforms

    return platforms.names()


def _scenarios() -> Iterable[str]:
    from pocwatch.kvm.scenarios import SCENARIOS

    return SCENARIOS


def _policies() -> Iterable[str]:
    from pocwatch.kvm.policies import POLICIES

    return POLICIES


def _cost_sets() -> Iterable[str]:
    from pocwatch.cost import model

    return model.names()


platforms = _names(_platforms)
platforms_of_run = _names(lambda: ["auto", *_platforms()])
scenarios = _names(_scenarios)
policies = _names(_policies)
cost_sets = _names(_cost_sets)


def files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell."""
    return [CompletionItem(incomplete, type="file")]
