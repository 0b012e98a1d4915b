"""The small Linux that a program runs in, booted once: every run starts from its snapshot.

The snapshot is taken without the plugin, while init waits for a program; its RAM then counts as
coherent. That is right for a program that is loaded later, whose every byte is written under the
sanitizer, and says nothing about the boot, which `pocwatch run` watches.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pocwatch.demo import cache, cpio, recipe
from pocwatch.demo.cache import Progress
from pocwatch.sanitizer import arguments, qemu
from pocwatch.sanitizer.errors import MachineError
from pocwatch.user import qmp
from pocwatch.user.root import Root

# `norandmaps`: code has the same address in every run. The rest as in the demonstration.
COMMAND_LINE = (
    "console=ttyAMA0 nokaslr norandmaps quiet panic=-1 cryptomgr.notests cma=0 rdinit=/init"
)
_SOCKET = "qmp"
_KEPT = 6  # snapshots, each some hundred MiB
_BOOT_SECONDS = 300.0
_POLL_SECONDS = 0.05
_FLAGS = ("-std=c11", "-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Wno-unused-result")
# Not where programs that are linked statically have their code: a PC is to say whose it is.
_LINK = ("-Wl,-Ttext-segment=0x7f00000000",)


@dataclass(frozen=True)
class Shape:
    """What machine is asked for."""

    cpu: str = "cortex-a57"
    smp: int = 1
    memory_mib: int = 1024


@dataclass(frozen=True)
class Machine:
    """A machine that can run a program: `snapshot` holds its RAM and state, None: it must boot."""

    kernel: Path
    shape: Shape
    snapshot: Path | None
    initrd: Path | None = None

    def command(self, folder: Path) -> list[str]:
        """Return the QEMU command for a run with a folder of its own."""
        words = _command(self.kernel, self.shape, folder)
        if self.initrd is not None:
            words += ["-initrd", str(self.initrd)]
        if self.snapshot is not None:
            words += ["-incoming", "defer"]
        return words

    def fill(self, ram: Path) -> None:
        """Write the RAM that the snapshot has into a file of its size."""
        if self.snapshot is not None:
            copy_sparse(self.snapshot / "ram", ram)

    def resume(self, folder: Path) -> None:
        """Let a QEMU that is about to be started go on where the snapshot was taken."""
        if self.snapshot is not None:
            (folder / _SOCKET).unlink(missing_ok=True)  # of a run before
            qmp.start_incoming(folder / _SOCKET, self.snapshot / "state")


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")


def _command(kernel: Path, shape: Shape, folder: Path) -> list[str]:
    return [
        "qemu-system-aarch64",
        *("-M", "virt,gic-version=3", "-cpu", shape.cpu),
        *("-accel", f"tcg,thread={'single' if shape.smp == 1 else 'multi'}"),
        *("-smp", str(shape.smp), "-m", f"{shape.memory_mib}M"),
        *("-nodefaults", "-display", "none", "-no-reboot"),
        *("-qmp", f"unix:{_escaped(folder / _SOCKET)},server=on,wait=off"),
        *("-serial", f"file:{_escaped(folder / 'console')}"),
        *("-kernel", str(kernel), "-append", COMMAND_LINE),
        "-semihosting-config",
        f"enable=on,target=native,userspace=on,arg={_escaped(folder)}",
    ]


def copy_sparse(source: Path, target: Path) -> None:
    """Copy what a file with holes holds; the target has holes there."""
    with source.open("rb") as read, target.open("r+b") as write:
        size, at = os.fstat(read.fileno()).st_size, 0
        while at < size:
            try:
                start = os.lseek(read.fileno(), at, os.SEEK_DATA)
            except OSError:
                return  # only a hole is left
            at = os.lseek(read.fileno(), start, os.SEEK_HOLE)
            os.lseek(read.fileno(), start, os.SEEK_SET)
            os.lseek(write.fileno(), start, os.SEEK_SET)
            while start < at:
                start += os.sendfile(write.fileno(), read.fileno(), None, at - start)


def build_init(folder: Path) -> bytes:
    """Compile init. Raise MachineError."""
    if shutil.which(recipe.COMPILER) is None:
        raise MachineError(
            f"'{recipe.COMPILER}' was not found; install gcc-aarch64-linux-gnu and "
            "libc6-dev-arm64-cross"
        )
    output = folder / "init"
    with resources.as_file(resources.files("pocwatch.user") / "init") as sources:
        files = [str(path) for path in sorted(sources.glob("*.c"))]
        done = subprocess.run(
            [recipe.COMPILER, *_FLAGS, *_LINK, "-o", str(output), *files],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it gave no reason"]
        raise MachineError(f"{recipe.COMPILER} could not build init: {lines[-1]}")
    return output.read_bytes()


def _sources() -> bytes:
    """Return what decides how a machine of this code differs from another."""
    package = resources.files("pocwatch.user")
    parts = [*(package / "init").iterdir(), package / "machine.py", package / "root.py"]
    return b"".join(
        part.read_bytes()
        for part in sorted(parts, key=lambda part: part.name)
        if part.name.endswith((".c", ".h", ".py"))
    )


def taken_packages(cache_dir: Path, release: str, progress: Progress) -> Path:
    """Return the folder with the kernel and busybox, which the demonstration has in common."""
    return cache.entry(
        cache_dir / f"packages-{release}",
        lambda folder: recipe.take_from_packages(folder, cache_dir / "apt", release, progress),
    )


def prepare(taken: Path, root: Root, shape: Shape, cache_dir: Path, progress: Progress) -> Machine:
    """Return the machine with its snapshot: the one that exists, or a new one. Raise MachineError."""
    program = qemu.find("qemu-system-aarch64")
    digest = hashlib.sha256()
    for part in (_sources(), root.digest.encode(), (taken / "manifest.json").read_bytes()):
        digest.update(hashlib.sha256(part).digest())
    digest.update(f"{shape} {program.version} {COMMAND_LINE}".encode())
    kernel = taken / "Image"

    def fill(folder: Path) -> None:
        progress("booting the machine for user programs, once")
        _snapshot(program.path, kernel, root, shape, folder)

    kept = cache.entry(cache_dir / f"user-machine-{digest.hexdigest()[:16]}", fill)
    os.utime(kept)
    _remove_old(cache_dir)
    return Machine(kernel, shape, kept)


def _remove_old(cache_dir: Path) -> None:
    kept = sorted(cache_dir.glob("user-machine-*"), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in kept[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def write_initrd(root: Root, path: Path) -> Path:
    """Write the first root of the machine."""
    with tempfile.TemporaryDirectory() as work:
        path.write_bytes(cpio.archive(root.entries(build_init(Path(work)))))
    return path


def _snapshot(program: str, kernel: Path, root: Root, shape: Shape, folder: Path) -> None:
    """Boot the machine until init waits, and leave `ram` and `state` in a folder."""
    ram = folder / "ram"
    with tempfile.TemporaryDirectory(prefix="pocwatch-") as name:
        run = Path(name)
        size_bytes = shape.memory_mib << 20
        with ram.open("wb") as file:
            file.truncate(size_bytes)
        command = [
            program,
            *_command(kernel, shape, run)[1:],
            *("-initrd", str(write_initrd(root, run / "initrd"))),
            *arguments.shared_ram(ram, size_bytes),
        ]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            try:
                _wait_until_ready(process, run)
                qmp.save(run / _SOCKET, folder / "state")
            finally:
                process.kill()


def _wait_until_ready(process: subprocess.Popen[bytes], run: Path) -> None:
    end = time.monotonic() + _BOOT_SECONDS
    while not (run / "ready").exists():
        if process.poll() is not None or time.monotonic() > end:
            assert process.stderr is not None
            said = (
                "" if process.poll() is None else process.stderr.read().decode("utf-8", "replace")
            )
            console = run / "console"
            last = (
                said or (console.read_text(errors="replace") if console.exists() else "")
            ).split("\n")
            lines = [line.strip() for line in last if line.strip()]
            raise MachineError(
                "the machine for user programs did not come up: "
                f"{lines[-1] if lines else 'it said nothing'}; a root that is large needs more "
                "--memory"
            )
        time.sleep(_POLL_SECONDS)
