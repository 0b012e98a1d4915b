"""Who may import whom.

arch <- line <- sanitizer <- report <- cli, tui. In full: arch, trace, check and platforms (data
with a small loader) import nothing of pocwatch; line imports arch and platforms; kvm imports arch,
line, check and platforms; cost imports kvm and below; sanitizer imports arch, line, platforms and
trace; demo imports arch at most; user imports sanitizer, demo and below; doctor imports what it
asks about: sanitizer, demo, cost and below; report imports sanitizer, kvm and cost and what those
may; cli, tui and pytest_plugin import anything, and of these three only cli is imported by another.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pocwatch

ROOT = Path(pocwatch.__file__).parent
_SANITIZER = frozenset({"arch", "line", "platforms", "trace"})
_KVM = frozenset({"arch", "line", "check", "platforms"})
ALLOWED: dict[str, frozenset[str]] = {
    "arch": frozenset(),
    "trace": frozenset(),
    "check": frozenset(),
    "platforms": frozenset(),
    "line": frozenset({"arch", "platforms"}),
    "kvm": _KVM,
    "cost": _KVM | {"kvm"},
    "sanitizer": _SANITIZER,
    "demo": frozenset({"arch"}),
    "user": _SANITIZER | {"sanitizer", "demo"},
    "doctor": _SANITIZER | {"sanitizer", "demo", "cost"} | _KVM | {"kvm"},
    "report": _SANITIZER | {"sanitizer"} | _KVM | {"kvm", "cost"},
    "plugin": frozenset(),
}
FREE = frozenset({"cli", "tui", "pytest_plugin"})


def imported(source: str, package: str) -> Iterator[str]:
    """Yield the subpackages of pocwatch that a module's text imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                upper = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*upper, *([base] if base else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "pocwatch" and len(parts) > 1 and (ROOT / parts[1]).is_dir():
                yield parts[1]


MODULES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_layers(path: Path) -> None:
    relative = path.relative_to(ROOT)
    if len(relative.parts) == 1:
        layer, allowed = "", frozenset()
    else:
        layer = relative.parts[0]
        if layer in FREE:
            return
        assert layer in ALLOWED, f"a new folder {layer}: say here what it may import"
        allowed = ALLOWED[layer]
    package = ".".join(["pocwatch", *relative.parts[:-1]])
    wrong = set(imported(path.read_text(), package)) - allowed - {layer}
    assert not wrong, f"{relative} imports {', '.join(sorted(wrong))}"


def test_the_walk_sees_every_form_of_import() -> None:
    text = (
        "import pocwatch.cli.main\ndef f():\n from pocwatch import line\n from ..arch import ops\n"
    )
    assert set(imported(text, "pocwatch.sanitizer")) == {"cli", "line", "arch"}
