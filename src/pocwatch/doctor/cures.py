"""The commands that install things: Debian's packages, and Python's."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pocwatch
from pocwatch.demo import apt_sources

_OS_RELEASE = Path("/etc/os-release")
_BACKPORTS_FILE = "/etc/apt/sources.list.d/pocwatch-backports.sources"  # as tools/setup names it
_BACKPORTS = {"12": "bookworm-backports"}  # releases whose own QEMU is older than 9.1


def debian_version() -> str | None:
    """Return the number of the Debian release, None on other systems."""
    try:
        lines = _OS_RELEASE.read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    values = {key: value.strip("\"'") for key, value in fields.items()}
    return values.get("VERSION_ID") if values.get("ID") == "debian" else None


def _root(command: str) -> str:
    return command if os.geteuid() == 0 else f"sudo {command}"


def apt(*packages: str, suite: str | None = None) -> str:
    """Return what installs packages of the distribution."""
    where = ["-t", suite] if suite else []
    return _root(shlex.join(["apt-get", "install", *where, *packages]))


def qemu() -> str:
    """Return what installs a QEMU that is new enough; on Debian 12 it is in the backports suite."""
    suite = _BACKPORTS.get(debian_version() or "")
    if suite is None:
        return apt("qemu-system-arm")
    install = apt("qemu-system-arm", suite=suite)
    if any(suite in source.suites for source in apt_sources.read_sources()):
        return install
    # The suite of the machine's own mirror: derived from its apt sources.
    derive = shlex.join([sys.executable, apt_sources.__file__, "-backports"])
    add = f"{derive} | {_root(f'tee {_BACKPORTS_FILE}')}"
    return f"{add} && {_root('apt-get update')} && {install}"


def pip(*requirements: str) -> str:
    """Return what installs Python packages where pocwatch is."""
    return shlex.join([sys.executable, "-m", "pip", "install", *requirements])


def reinstall() -> str:
    """Return what builds the compiled parts again; from the checkout, if this is one."""
    root = Path(pocwatch.__file__).parents[2]
    source = str(root) if (root / "pyproject.toml").is_file() else "pocwatch"
    return f"{apt('gcc', 'libc6-dev')} && {pip('--force-reinstall', '--no-deps', source)}"
