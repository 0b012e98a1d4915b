"""The root of the machine: an arm64 folder of the user's, or made from distribution packages.

Packages are unpacked and not installed: their scripts do not run, so alternatives and configuration
that these make are absent (a program has the name that its package gives it).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocwatch.demo import cache, cpio
from pocwatch.demo.cache import Progress
from pocwatch.demo.packages import AptRoot
from pocwatch.sanitizer.errors import UsageError
from pocwatch.user import pack

_MERGED = ("bin", "sbin", "lib")  # in /usr since Debian 13: base-files has the links


@dataclass(frozen=True)
class Root:
    """What the machine's first root is made of; `folder` is None for busybox alone."""

    folder: Path | None
    busybox: bytes
    digest: str

    def entries(self, init: bytes) -> Iterator[cpio.Entry]:
        """Yield the whole archive."""
        base = [
            cpio.directory(name) for name in ("bin", "dev", "proc", "sys", "tmp", "root", "etc")
        ]
        if self.folder is not None:
            merged = [d for d in _MERGED if not (self.folder / d).exists()]
            base = [each for each in base if each.name not in merged]
            base += [cpio.directory("usr"), *(cpio.directory(f"usr/{name}") for name in merged)]
            base += [cpio.Entry(name, 0o120777, f"usr/{name}".encode()) for name in merged]
        yield from base
        yield cpio.character_device("dev/console", 5, 1)
        yield cpio.program("bin/busybox", self.busybox)
        yield cpio.Entry("bin/sh", 0o120777, b"busybox")
        yield cpio.regular("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        yield cpio.regular("etc/group", b"root:x:0:\n")
        if self.folder is not None:  # what it has replaces what is above
            yield from pack.tree(self.folder)
        yield cpio.program("init", init)

    def find(self, name: str) -> Path | None:
        """Return where a file of the machine is on this computer, links followed inside the root."""
        if self.folder is None:
            return None
        parts, at = list(Path(name.lstrip("/")).parts), self.folder
        for _ in range(256):
            if not parts:
                return at if at.is_file() else None
            step = at / parts.pop(0)
            if step.is_symlink():
                target = step.readlink()
                at = self.folder if target.is_absolute() else at
                parts = [part for part in target.parts if part != "/"] + parts
            else:
                at = at.parent if step.name == ".." else step
        return None


def of_folder(folder: Path, busybox: bytes) -> Root:
    """Return the user's own root. Raise UsageError."""
    if not folder.is_dir():
        raise UsageError(f"--rootfs {folder}: is no folder; give one with an arm64 root")
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        said = f"{path.relative_to(folder)} {status.st_mode} {status.st_size} {status.st_mtime_ns}"
        digest.update(said.encode(errors="surrogateescape") + b"\n")
    return Root(folder, busybox, digest.hexdigest()[:16])


def of_packages(
    names: Sequence[str], busybox: bytes, cache_dir: Path, release: str, progress: Progress
) -> Root:
    """Return a root with packages and all that they depend on, downloaded once."""
    wanted = sorted(set(names))
    digest = hashlib.sha256("\n".join([release, *wanted]).encode()).hexdigest()[:16]

    def fill(folder: Path) -> None:
        apt = AptRoot(cache_dir / "apt", release)
        progress(f"reading the list of {release} packages for arm64")
        apt.update()
        progress(f"downloading {', '.join(wanted)} and what they depend on")
        with tempfile.TemporaryDirectory(dir=folder) as work:
            packages = apt.download_whole(wanted, Path(work) / "debs")
            for package in packages:
                package.extract(folder / "root")
        manifest = {package.name: package.version for package in packages}
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")

    kept = cache.entry(cache_dir / f"user-root-{digest}", fill)
    versions = (kept / "manifest.json").read_bytes()
    return Root(kept / "root", busybox, hashlib.sha256(versions).hexdigest()[:16])


def plain(busybox: bytes) -> Root:
    """Return a root with busybox alone, for programs that are linked statically."""
    return Root(None, busybox, "plain")
