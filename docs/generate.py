"""Writes the parts of the documentation that are computed: `python docs/generate.py`.

A part lies between `<!-- generated: NAME -->` and `<!-- end generated -->` in README.md or a file of
this folder. The drawing and the pages in traces/ are computed as a whole. tests/docs fails when any of
it is stale.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from pocwatch import platforms
from pocwatch.arch.ops import DATA_MAINTENANCE, INSTRUCTION_MAINTENANCE
from pocwatch.cli.check_explain import explain
from pocwatch.cli.main import cli
from pocwatch.cost import model as costs
from pocwatch.cost import published
from pocwatch.kvm.policies import POLICIES
from pocwatch.kvm.policy import CHOICES, HOOKS
from pocwatch.kvm.scenarios import SCENARIOS
from pocwatch.line import emit
from pocwatch.line.table import automaton_of
from pocwatch.platforms import Platform
from pocwatch.report import kinds, schemas
from pocwatch.trace import schema as trace_schema
from pocwatch.tui import keys

DOCS = Path(__file__).parent
for folder in (DOCS.parent, DOCS):  # for corpus/; for the folders here
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
from benchmark import page as the_bench  # noqa: E402  # of this folder, which is no package
from bugs import page as the_bugs  # noqa: E402
from thread import page as the_thread  # noqa: E402

DRAWN = "cortex-a57"
DRAWING = DOCS / f"{DRAWN}.svg"
TRACES = DOCS / "traces"
_PART = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w -]+) -->\n)(?P<body>.*?)(?P<tail><!-- end generated -->)",
    re.DOTALL,
)


def pages() -> list[Path]:
    """Return README.md and every page of the documentation."""
    return [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]


def _table(head: list[str], rows: Iterator[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _all_platforms() -> Iterator[Platform]:
    return (platforms.load(name) for name in platforms.names())


def states() -> str:
    """Return how many states each platform's automaton has."""
    return _table(
        ["platform", "caches", "PEs", "states before minimisation", "states after"],
        (
            [
                f"`{p.name}`",
                ", ".join(level.name for level in p.levels),
                str(p.pes),
                str(automaton_of(p).subset_states),
                str(automaton_of(p).states),
            ]
            for p in _all_platforms()
        ),
    )


def shipped_platforms() -> str:
    """Return what each shipped platform is."""
    return _table(
        ["platform", "description", "IDC", "DIC"],
        (
            [f"`{p.name}`", p.description, str(int(p.idc)), str(int(p.dic))]
            for p in _all_platforms()
        ),
    )


def automaton() -> str:
    """Return the table of the platform that is drawn."""
    return emit.markdown(automaton_of(platforms.load(DRAWN))).split("\n", 2)[2]


def cost_sets() -> str:
    """Return what each shipped cost set is."""
    sets = map(costs.load, costs.names())
    return _table(["cost set", "description"], ([f"`{s.name}`", s.description] for s in sets))


def shipped_costs() -> str:
    """Return every cost of the default set, and those of other sets that are not the same."""
    default = costs.load()
    others = [costs.load(name) for name in costs.names() if name != default.name]
    rows = [
        [f"`{name}`", f"`{cost_set.name}`", str(cost.estimate), cost.source]
        for name in costs.COSTS
        for cost_set in (default, *others)
        if (cost := cost_set.costs[name]).estimate != default[name] or cost_set is default
    ]
    return _table(["cost", "set", "typical (low to high)", "source"], iter(rows))


def published_figures() -> str:
    """Return published figures against the cost sets."""
    head = ["fact", "figure", "role", "published", "model", "error", "remark"]
    return _table(head, iter(published.table()))


def _command(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def commands() -> str:
    """Return the commands, each with its help in one line."""
    return _table(
        ["command", "what it does"],
        (
            [f"`pocwatch {name}`", _command(name).get_short_help_str(120)]
            for name in cli.list_commands(click.Context(cli))
        ),
    )


def options(name: str) -> str:
    """Return a command's options with the help they have."""
    found = [p for p in _command(name).params if isinstance(p, click.Option)]
    return _table(["option", "meaning"], ([_spelling(o), _meaning(o)] for o in found))


def options_of_explain() -> str:
    """Return the options of `check explain`."""
    found = [p for p in explain.params if isinstance(p, click.Option)]
    return _table(["option", "meaning"], ([_spelling(o), _meaning(o)] for o in found))


_VALUES = ((click.IntRange, "N"), (click.Path, "FILE"))


def _spelling(option: click.Option) -> str:
    value = option.metavar or (
        "|".join(option.type.choices)
        if isinstance(option.type, click.Choice)
        else next((word for kind, word in _VALUES if isinstance(option.type, kind)), "NAME")
    )
    if isinstance(option.type, click.Path) and not option.type.file_okay:
        value = "DIR"
    return _escaped(f"`{option.opts[-1]}`" if option.is_flag else f"`{option.opts[-1]} {value}`")


def _meaning(option: click.Option) -> str:
    notes = ["Required."] * option.required
    if isinstance(option.show_default, str):
        notes.append(f"Default: {option.show_default}.")
    elif option.show_default and option.default is not None:
        notes.append(f"Default: `{option.default}`.")
    return " ".join([_escaped(option.help or ""), *notes]).strip()


def operations() -> str:
    """Return the operations that `--drop` and `--weaken` know."""
    known = [*DATA_MAINTENANCE, *sorted(INSTRUCTION_MAINTENANCE)]
    return ", ".join(f"`{op.spelling}`" for op in known) + ".\n"


def scenarios() -> str:
    """Return the shipped scenarios of `check`."""
    return _table(
        ["scenario", "what happens", "facts"],
        ([f"`{s.name}`", _escaped(s.description), _escaped(s.facts)] for s in SCENARIOS.values()),
    )


def policies() -> str:
    """Return the shipped policies of `check`."""
    return _table(
        ["policy", "what it does", "origin"],
        (
            [
                f"`{p.name}`",
                _escaped(" ".join((type(p.author).__doc__ or "").split("\n\n")[0].split())),
                _escaped(p.origin),
            ]
            for p in POLICIES.values()
        ),
    )


def hooks() -> str:
    """Return when a policy may do maintenance."""
    return _table(["hook", "when"], ([f"`{name}`", text] for name, text in HOOKS.items()))


def choices() -> str:
    """Return what a policy may choose."""
    return _table(["choice", "meaning"], ([f"`{name}`", text] for name, text in CHOICES.items()))


def finding_kinds() -> str:
    """Return the kinds of findings that a run reports."""
    return _table(
        ["kind", "what may happen", "level in SARIF"],
        (
            [f"`{kind.name}`", _escaped(kind.meaning), kind.level]
            for kind in kinds.KINDS
            if kind.reported
        ),
    )


def report_keys(part: str) -> str:
    """Return the keys of the JSON report (`report`) or of one of the objects in it."""
    schema = schemas.load("report")
    found = schema if part == "report" else schema["$defs"][part]
    return _table(
        ["key", "meaning"],
        ([f"`{key}`", _escaped(v["description"])] for key, v in found["properties"].items()),
    )


def keys_of_view() -> str:
    """Return the keys of `view`, and what the mouse does."""
    return _table(
        ["key", "what it does"],
        (
            [" ".join(f"`{keys.shown(k)}`" for k in each.keys), _escaped(each.text)]
            for each in keys.KEYS
        ),
    ) + "".join(f"| {given} | {text} |\n" for given, text in keys.MOUSE)


def screen_of_view(pressed: str) -> str:
    """Return the screen of `view` with the example report, after keys."""
    from pocwatch.tui import opening
    from pocwatch.tui.app import Viewer
    from pocwatch.tui.still import still

    file = DOCS / "examples" / "dropped.json"
    with ExitStack() as opened:
        rows = opening.open_rows(file, [], None, opened)
        lines = still(Viewer(rows, file.name), pressed.split())
    return "\n".join(["```text", *lines, "```", ""])


PARTS: dict[str, Callable[[], str]] = {
    "columns of a trace": trace_schema.as_markdown,
    "keys of view": keys_of_view,
    "view findings": lambda: screen_of_view("j"),
    "view state": lambda: screen_of_view("j l j l"),
    "view rule": lambda: screen_of_view("j l j l l"),
    "states": states,
    "platforms": shipped_platforms,
    "automaton": automaton,
    "commands": commands,
    "operations": operations,
    "kinds": finding_kinds,
    "options of check explain": options_of_explain,
    "scenarios": scenarios,
    "policies": policies,
    "hooks": hooks,
    "choices": choices,
    "cost sets": cost_sets,
    "costs": shipped_costs,
    "published figures": published_figures,
    "bench words": the_bench.words,
    "bench total": the_bench.total,
    "bench contended": the_bench.contended,
    "bench assumptions": the_bench.assumptions,
    "corpus summary": the_bugs.summary,
    "corpus forms": the_bugs.forms,
    "corpus classes": the_bugs.classes,
    "corpus table": the_bugs.table,
    "corpus stories": the_bugs.stories,
    "thread summary": the_thread.summary,
    "thread claims": the_thread.table,
    "thread decided": the_thread.decided,
    "thread undecided": the_thread.undecided,
    "thread assumptions": the_thread.assumptions,
    **{
        f"keys of {part}": lambda part=part: report_keys(part)  # type: ignore[misc]
        for part in ("report", *schemas.load("report")["$defs"])
        if part != "platform"  # its keys are those of a platform file
    },
    **{
        f"options of {name}": lambda name=name: options(name)  # type: ignore[misc]
        for name in cli.list_commands(click.Context(cli))
        if any(isinstance(p, click.Option) for p in _command(name).params)
    },
}


def rendered(text: str) -> str:
    """Return a page with every generated part made anew."""
    return _PART.sub(lambda m: f"{m['head']}\n{PARTS[m['name']]()}\n{m['tail']}", text)


def dot() -> str:
    """Return the drawing's source."""
    return emit.dot(automaton_of(platforms.load(DRAWN)))


def labels(svg: str) -> list[str]:
    """Return what is written on a picture, in order: where it lies depends on the drawing program."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def _text_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def main() -> None:
    """Rewrite what is stale."""
    for page in pages():
        text = page.read_text()
        if rendered(text) != text:
            page.write_text(rendered(text))
            print(f"{page.name}: written anew")
    traces = the_thread.traces()
    for file in TRACES.iterdir():
        if file.name not in traces:
            file.unlink()
    for name, text in traces.items():
        (TRACES / name).write_text(text)
    for name, text in the_bench.pictures().items():
        if labels(text) != labels(_text_of(DOCS / name)):
            (DOCS / name).write_text(text)
    drawn = subprocess.run(
        ["dot", "-Tsvg"], input=dot(), capture_output=True, text=True, check=True
    )
    DRAWING.write_text(drawn.stdout)


if __name__ == "__main__":
    main()
