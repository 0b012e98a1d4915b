"""A pytest plugin for projects whose tests boot firmware: the fixture `pocwatch`.

Installed with pocwatch (entry point `pytest11`), so it is loaded by every pytest there: nothing else of
pocwatch is imported before a test asks for the fixture. Nothing in pocwatch imports this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pocwatch.pytest_plugin.machine import Pocwatch

_MARKER = (
    "pocwatch(platform, timeout, suppressions): runs a machine under pocwatch, with these defaults for "
    "pocwatch.run(); every test with the fixture has the marker."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for artefacts, and the defaults of a project."""
    parser.getgroup("pocwatch").addoption(
        "--pocwatch-artifacts",
        metavar="DIR",
        help="Write the report of every machine to DIR, as text and in each form of `pocwatch run`.",
    )
    parser.addini("pocwatch_platform", "The caches, as --platform of `pocwatch run`.", default="auto")
    parser.addini("pocwatch_suppressions", "A file of accepted findings, beside this one.", default="")
    parser.addini("pocwatch_timeout", "Seconds that a machine may run.", default="60")
    parser.addini(
        "pocwatch_required",
        "Whether tests fail where QEMU or the plugin is missing; if not, they are skipped.",
        type="bool",
        default=True,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the fixture, so that `-m 'not pocwatch'` leaves it out."""
    for item in items:
        if "pocwatch" in getattr(item, "fixturenames", ()):
            item.add_marker("pocwatch")


@pytest.fixture
def pocwatch(request: pytest.FixtureRequest) -> Pocwatch:
    """Run machines under pocwatch: `report = pocwatch.run(["qemu-system-aarch64", ...])`."""
    from pocwatch.pytest_plugin.machine import Pocwatch

    return Pocwatch(request)
