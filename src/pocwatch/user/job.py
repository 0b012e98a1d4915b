"""What init gets from the host for one run: the program with its files, and where to put them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pocwatch.demo import cpio
from pocwatch.sanitizer.errors import UsageError
from pocwatch.user import pack

WORKDIR_LIMIT_BYTES = 64 << 20
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


@dataclass(frozen=True)
class Job:
    """A program to run. `placed` are files of this computer by their names in the machine."""

    arguments: tuple[str, ...]
    workdir: Path | None
    placed: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def archive(self) -> bytes:
        """Return the files. Raise UsageError when they cannot be packed."""
        entries: list[cpio.Entry] = []
        if self.workdir is not None:
            name = self.workdir.as_posix().lstrip("/")
            entries += [*pack.parents(name), cpio.directory(name)]
            entries += pack.tree(self.workdir, name, WORKDIR_LIMIT_BYTES)
        entries += pack.files(self.placed)
        return cpio.archive(entries)

    def text(self) -> bytes:
        """Return the job as init reads it: strings that end in a zero byte."""
        variables = [f"{k}={v}" for k, v in {**ENVIRONMENT, **self.environment}.items()]
        folder = "/" if self.workdir is None else self.workdir.as_posix()
        words = [folder, str(len(self.arguments)), *self.arguments]
        words += [str(len(variables)), *variables]
        return b"".join(word.encode(errors="surrogateescape") + b"\0" for word in words)

    def host_path(self, name: str) -> Path | None:
        """Return where a file of the machine is on this computer, if it came with the job."""
        if name in self.placed:
            return self.placed[name]
        path = Path(name)
        inside = self.workdir is not None and path.is_relative_to(self.workdir)
        return path if inside and path.is_file() else None


def make(
    arguments: Sequence[str],
    workdir: Path | None,
    files: Sequence[str],
    environment: Mapping[str, str],
) -> Job:
    """Return the job; the program itself is packed if it is named by a path of this computer."""
    if not arguments:
        raise UsageError("no program given; usage: pocwatch user [options] -- PROGRAM ARGUMENTS...")
    placed: dict[str, Path] = {}
    for text in files:
        path, _, name = text.partition(":")
        if not Path(path).is_file():
            raise UsageError(f"--file {text}: '{path}' is no file; give FILE or FILE:NAME")
        placed[name or Path(path).absolute().as_posix()] = Path(path)
    program = Path(arguments[0])
    if "/" in arguments[0] and program.is_file():
        _check_elf(program)
        placed[program.absolute().as_posix()] = program
        arguments = (program.absolute().as_posix(), *arguments[1:])
    return Job(tuple(arguments), workdir, placed, environment)


def _check_elf(program: Path) -> None:
    """Refuse a program for another architecture; ELF header, e_ident and e_machine."""
    with program.open("rb") as file:
        head = file.read(20)
    aarch64 = b"\xb7\x00"
    if head[:4] == b"\x7fELF" and head[18:20] != aarch64:
        raise UsageError(
            f"{program}: is not for arm64 (ELF machine {int.from_bytes(head[18:20], 'little')}); "
            "give a program for arm64, or the name of one that --packages brings"
        )
