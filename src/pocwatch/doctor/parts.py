"""Python packages, programs and compiled parts, each with what it is for."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass

from pocwatch.cost.cachesim import native
from pocwatch.cost.cachesim.errors import CacheSimError
from pocwatch.doctor import cures
from pocwatch.doctor.record import Check, State


@dataclass(frozen=True, slots=True)
class Package:
    """A Python package; `module` is what is imported."""

    requirement: str
    module: str
    why: str
    needed: bool = False  # `pocwatch run` cannot do without

    @property
    def name(self) -> str:
        """Its name in the package index."""
        return self.requirement.split(">")[0]


@dataclass(frozen=True, slots=True)
class Program:
    """A program and the Debian packages that have it."""

    name: str
    packages: tuple[str, ...]
    why: str


# A test holds them against pyproject.toml.
PACKAGES = (
    Package("click>=8.1", "click", "every command: the command line", needed=True),
    Package("pyelftools>=0.31", "elftools", "`pocwatch run`: names from ELF files", needed=True),
    Package("rich>=13.7", "rich", "`pocwatch demo`: the runs side by side"),
    Package("fdt>=0.3.3", "fdt", "`pocwatch demo`: the guest's device tree"),
    Package("pyarrow>=17", "pyarrow", "recorded traces of `run`: Parquet files"),
    Package("numpy>=1.26", "numpy", "recorded traces of `run`: Parquet files"),
    Package("textual>=8", "textual", "`pocwatch view`"),
    Package("matplotlib>=3.8", "matplotlib", "`pocwatch bench --plot`"),
    Package("dask>=2024.8", "dask", "`pocwatch bench --scheduler`"),
    Package("distributed>=2024.8", "distributed", "`pocwatch bench --scheduler ADDRESS`"),
)
_DEMO = "`pocwatch demo`: takes its kernel from Debian's packages"
PROGRAMS = (
    Program(
        "aarch64-linux-gnu-gcc",
        ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"),
        "`pocwatch demo`: builds the VMM that boots its guest",
    ),
    Program("apt-get", ("apt",), _DEMO),
    Program("apt-cache", ("apt",), _DEMO),
    Program("dpkg-deb", ("dpkg",), _DEMO),
    Program("dot", ("graphviz",), "`automaton --format svg`, `check explain --svg`: draws graphs"),
    Program("zstd", ("zstd",), "`run --symbols`: kernel images that are compressed with zstd"),
)
_CC = Program("cc", ("gcc", "libc6-dev"), "`pocwatch calibrate`: builds what it measures with")
_WHY_SIMULATOR = "`pocwatch bench --stream`: simulates caches of a size"


def checks() -> list[Check]:
    """Look at packages, programs and the compiled simulator."""
    programs = [*PROGRAMS, *([_CC] if platform.machine() == "aarch64" else [])]
    return [*map(_package, PACKAGES), _simulator(), *map(_program, programs)]


def _package(package: Package) -> Check:
    if importlib.util.find_spec(package.module) is None:
        state = State.MISSING if package.needed else State.OPTIONAL
        cure = cures.pip(package.requirement)
        return Check(package.name, state, "not installed", package.why, cure)
    try:
        version = importlib.metadata.version(package.name)
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    return Check(package.name, State.WORKS, version, package.why)


def _program(program: Program) -> Check:
    path = shutil.which(program.name)
    if path is None:
        cure = cures.apt(*program.packages)
        return Check(program.name, State.OPTIONAL, "no such program", program.why, cure)
    return Check(program.name, State.WORKS, path, program.why)


def _simulator() -> Check:
    variable = "POCWATCH_CACHESIM"
    try:
        path = native.library_path()
        ctypes.CDLL(str(path))
    except (CacheSimError, OSError) as error:
        cure = f"unset {variable}" if os.environ.get(variable) else cures.reinstall()
        return Check("simulator", State.OPTIONAL, str(error), _WHY_SIMULATOR, cure)
    return Check("simulator", State.WORKS, str(path), _WHY_SIMULATOR)
