"""Policies and scenarios by name, or from a user's Python file."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from pocwatch.kvm import policy as policies
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policy import CHOICES, HOOKS, Policy, PolicyError
from pocwatch.kvm.scenario import Scenario
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.sanitizer.errors import UsageError

_T = TypeVar("_T", Policy, Scenario)
_MARKS = (*HOOKS, *CHOICES, "origin")


def policies_of(reference: str) -> list[Policy]:
    """Return the policies that a `--policy` value names. Raises UsageError, with file and line."""
    if not reference.endswith(".py"):
        return [POLICIES[_known("policy", reference, POLICIES)]]
    module = _loaded(reference)
    classes = [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing)
        and thing.__module__ == module.__name__
        and any(hasattr(thing, mark) for mark in _MARKS)
    ]
    if not classes:
        raise UsageError(
            f"--policy {reference}: it defines no policy: a policy is a class with a name, an origin "
            f"and hooks such as at_map (all of them: {', '.join(HOOKS)})"
        )
    found = []
    for author in classes:
        try:
            made = policies.of(author)
        except PolicyError as error:
            raise UsageError(f"--policy {reference}: {error}") from None
        except Exception as error:
            raise UsageError(f"--policy {reference}: {author.__name__}() raised {error!r}") from None
        if not any(hasattr(author, mark) for mark in (*HOOKS, *CHOICES)):
            raise UsageError(
                f"--policy {reference}: policy {made.name!r} ({source_of(made)}) never does anything: "
                f"it has no hook and makes no choice; hooks are {', '.join(HOOKS)}"
            )
        found.append(made)
    return found


def scenarios_of(reference: str) -> list[Scenario]:
    """Return the scenarios that a `--scenario` value names. Raises UsageError, with file and line."""
    if not reference.endswith(".py"):
        return [SCENARIOS[_known("scenario", reference, SCENARIOS)]]
    module = _loaded(reference)
    found = [thing for thing in vars(module).values() if isinstance(thing, Scenario)]
    own = [s for s in found if s is not SCENARIOS.get(s.name)]
    if not own:
        raise UsageError(
            f"--scenario {reference}: it defines no scenario: it takes a module-level "
            "pocwatch.kvm.scenario.Scenario"
        )
    return own


def policy(reference: str) -> Policy:
    """Return the one policy of a name or file. Raises UsageError."""
    return _only(policies_of(reference), reference)


def scenario(reference: str) -> Scenario:
    """Return the one scenario of a name or file. Raises UsageError."""
    return _only(scenarios_of(reference), reference)


def source_of(made: Policy) -> str:
    """Return where a policy is written: file and line."""
    kind = type(made.author)
    try:
        return f"{inspect.getsourcefile(kind)}:{inspect.getsourcelines(kind)[1]}"
    except (OSError, TypeError):
        return "no source"


def _only(found: list[_T], reference: str) -> _T:
    if len(found) != 1:
        names = ", ".join(each.name for each in found)
        raise UsageError(f"{reference} defines {len(found)} ({names}): this command takes one")
    return found[0]


def _known(what: str, name: str, known: Iterable[str]) -> str:
    known = list(known)
    if name in known:
        return name
    close = difflib.get_close_matches(name, known, 4, 0.4)
    hint = f"near matches: {', '.join(close)}; all" if close else "all"
    raise UsageError(
        f"--{what}: there is no {what} {name!r}; {hint}: {', '.join(known)}; or the path of a .py file"
    )


@functools.cache
def _loaded(reference: str) -> ModuleType:
    path = Path(reference)
    if not path.is_file():
        raise UsageError(f"{reference}: there is no such file")
    name = f"pocwatch_authored_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except SyntaxError as error:
        raise UsageError(f"{reference}:{error.lineno}: not Python: {error.msg}") from None
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename) == path.absolute()]
        place = f"{reference}:{lines[-1]}" if lines else reference
        raise UsageError(f"{place}: {type(error).__name__}: {error}") from None
    return module
