"""What `pocwatch synth` found, as one record, and as text; synthesis_json has the JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pocwatch.arch.ops import Op
from pocwatch.cost.policies import Axes, PolicyCosts
from pocwatch.kvm.policy import AtEl2, Operation
from pocwatch.kvm.synth.explain import Explained, Without
from pocwatch.kvm.synth.judge import names_of_choices
from pocwatch.kvm.synth.space import Candidate, Part, Space, When


@dataclass(frozen=True, slots=True)
class Reference:
    """A shipped policy to compare with. `refuted`: scenarios that it is not safe in.

    `judged`: in all scenarios, to the end.
    """

    name: str
    candidate: Candidate
    costs: Axes
    refuted: Sequence[tuple[str, int]]
    judged: bool


@dataclass(frozen=True, slots=True)
class Synthesis:
    """What was searched and what was found.

    `complete`: the front is proved. `confirmed`: its policies are judged safe in full. `left_out`:
    scenarios that were not asked for, with the reason.
    """

    space: Space
    costs: PolicyCosts
    scenarios: Sequence[str]
    left_out: Sequence[tuple[str, str]]
    front: Sequence[Explained]
    complete: bool
    confirmed: bool
    judged: int
    runs: int
    refutations: int
    seconds: float
    reference: Reference | None


def operation(op: Operation | None) -> str:
    """Return an operation as `pocwatch line` spells it."""
    if op is None:
        return "nothing"
    return f"{op.op.spelling} at EL2" if isinstance(op, AtEl2) else op.spelling


def place(part: Part) -> str:
    """Return where and when a part is done."""
    when = "" if part.slot.when is When.ALWAYS else f" ({part.slot.when.value})"
    return part.slot.hook + when


def covered(found: Synthesis) -> str:
    """Return the sentence on what is proved and what is only found."""
    size = f"{found.space.size:.1e}"
    if found.complete and not found.front:
        return f"Proved: none of the {size} policies of the space is safe in all these scenarios."
    if not found.complete:
        return (
            f"Not complete: of the {size} policies of the space, some that were not looked at may be "
            "safe and cheaper; what is shown is the best found so far"
            + ("." if found.confirmed else ", and not judged to the end in the long scenarios.")
        )
    return (
        f"Proved: each of the {size} policies of the space is refuted by a scenario, or no better than "
        "one of these in any of the costs. This rests on more maintenance never making a policy unsafe, "
        "and it is the space that was searched, not every policy there could be."
    )


def compared(found: Synthesis) -> str:
    """Return the sentence on the shipped policy that stands for mainline."""
    if found.reference is None:
        return "No shipped mainline policy applies to this platform."
    name, costs = found.reference.name, found.reference.costs
    if found.reference.refuted:
        where = ", ".join(f"{scenario} ({n} steps)" for scenario, n in found.reference.refuted)
        return f"{name} is not safe in all of these scenarios: it fails in {where}."
    for number, policy in enumerate(found.front, 1):
        if policy.candidate == found.reference.candidate:
            return f"Policy {number} is {name}, part by part."
        if _no_worse(Axes(*policy.costs), costs):
            said = _savings(Axes(*policy.costs), costs)
            safe = "as safe as" if found.reference.judged else "no less safe, as far as judged, than"
            return f"Better than mainline: policy {number} is {safe} {name} and takes {said}."
    if found.complete:
        return f"{name} is on the front: no policy of the space is as good in every cost."
    return f"Nothing found so far is as good as {name} in every cost."


def _no_worse(one: Axes, other: Axes) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))


def _savings(one: Axes, other: Axes) -> str:
    names = ("time", "data lines", "exits")
    told = [
        f"{100 * (b - a) / b:.0f}% less {name}" if name == "time" else f"{b - a:,} fewer {name}"
        for name, a, b in zip(names, one, other, strict=True)
        if b > a
    ]
    return " and ".join(told) or "exactly as much"


def differences(found: Synthesis, policy: Explained) -> list[str]:
    """Return what a policy does otherwise than the reference, a line for each difference."""
    if found.reference is None:
        return []
    reference = found.reference.candidate
    mine, theirs = (set(names_of_choices(c.choices)) for c in (policy.candidate, reference))
    lines = [f"does not choose {name}" for name in sorted(theirs - mine)]
    lines += [f"chooses {name}" for name in sorted(mine - theirs)]
    space = found.space
    for slot, options, a, b in zip(
        space.slots, space.options, policy.candidate.chosen, reference.chosen, strict=True
    ):
        if a == b:
            continue
        here = place(Part(slot, options[a] or options[b] or Op.DSB))
        kind = f"{here}, {slot.role.name.lower().replace('_', ' ')}"
        lines.append(f"{kind}: {operation(options[a])} instead of {operation(options[b])}")
    return lines


def text(found: Synthesis) -> str:
    """Return the report."""
    return "\n".join(_blocks(found)) + "\n"


def _blocks(found: Synthesis) -> Iterator[str]:
    space, costs = found.space, found.costs
    yield (
        f"platform {space.platform.name}, costs {costs.model.name}: {space.size:.1e} policies, of "
        f"{len(space.slots)} places for operations and {len(space.choices)} combinations of choices"
    )
    yield f"safe in: {', '.join(found.scenarios)}"
    for name, reason in found.left_out:
        yield f"left out: {name}: {reason}"
    for number, policy in enumerate(found.front, 1):
        yield ""
        yield from _policy(found, number, policy)
    yield ""
    if not found.front:
        yield "no policy found"
    yield covered(found)
    yield compared(found)
    yield (
        f"{found.judged} policies judged, {found.runs} explorations, {found.refutations} refutations, "
        f"{found.seconds:.0f} s"
    )


def _policy(found: Synthesis, number: int, policy: Explained) -> Iterator[str]:
    costs = found.costs
    choices = policy.candidate.choices
    parts = [why.part for why in policy.parts]
    axes = Axes(*policy.costs)
    lost = sum(costs.lines_lost(part, choices) for part in parts)
    yield f"policy {number}: {costs.time(choices, parts)} over the VM's life"
    yield (
        f"  {axes.data_lines:,} data lines cleaned, {lost:,} lines lost to caches, {axes.exits:,} exits "
        "added"
    )
    for choice in policy.choices:
        yield f"  {choice.choice:50}  without: {_without(policy, choice.without)}"
    last = ""
    for why in policy.parts:
        here = place(why.part)
        shown = here if here != last else ""
        last = here
        first, *weaker = why.without
        yield (
            f"  {shown:38}{operation(why.part.operation):12}  without: {_without(policy, first)}"
        )
        for less in weaker:
            yield f"  {'':50}  {operation(less.instead)} instead: {_without(policy, less)}"
    changes = differences(found, policy)
    if changes and found.reference is not None:
        yield f"  compared with {found.reference.name}:"
        yield from (f"    {line}" for line in changes)


def _without(policy: Explained, less: Without) -> str:
    if less.scenario is not None:
        return f"{less.scenario} ({less.steps} steps)"
    assert less.dearer is not None
    before, after = Axes(*policy.costs), Axes(*less.dearer)
    return f"not refuted, but dearer: time {(after.time - before.time) / max(before.time, 1):+.0%}"
