"""Debian packages for another architecture, fetched by apt without touching the system's apt.

apt gets a root of its own under the cache folder: its lists, its archives, an empty dpkg status,
and sources derived from the machine's. Signatures are checked as always. Works for any user.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pocwatch.demo import apt_sources
from pocwatch.demo.errors import DemoError

ARCHITECTURE = "arm64"


# Hooks of the system's apt would act on the system's files; indexes nobody reads cost time; the
# user `_apt`, as which root's apt downloads, cannot enter most home folders.
_CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
#clear APT::Default-Release;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Dir::State "{root}/state";
Dir::State::lists "{root}/state/lists";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
Dir::Etc::sourcelist "{root}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""


@dataclass(frozen=True)
class Package:
    """A downloaded binary package."""

    name: str
    version: str
    path: Path

    def extract(self, folder: Path) -> None:
        """Unpack the package's files under a folder."""
        _run(["dpkg-deb", "-x", str(self.path), str(folder)], f"cannot unpack {self.path.name}")


class AptRoot:
    """apt with its own folders, for packages of one release and architecture."""

    def __init__(self, root: Path, release: str, architecture: str = ARCHITECTURE) -> None:
        for tool in ("apt-get", "apt-cache", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise DemoError(
                    f"the demonstration takes its kernel from Debian's packages with '{tool}', "
                    "which is not on this machine; `pocwatch run` works without it"
                )
        machine = apt_sources.release_name()
        sources = apt_sources.derive(
            apt_sources.read_sources(),
            machine,
            apt_sources.release_suites(release),
            architecture,
        )
        if not sources:
            raise DemoError(
                f"no entry for suite '{machine}' in this machine's apt sources (/etc/apt), from "
                f"which to derive one for Debian's '{release}'"
            )
        self._release = release
        self._update_failure = ""
        self._config = root / "apt.conf"
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "state/status").touch()
        (root / "debian.sources").write_text("\n".join(source.render() for source in sources))
        self._config.write_text(_CONFIGURATION.format(root=root, architecture=architecture))

    def update(self) -> None:
        """Fetch the lists of packages.

        One source of several may fail without harm (a mirror for one suite only), so a failure
        is told when a package cannot be found.
        """
        try:
            self._apt("apt-get", "-o", "APT::Update::Error-Mode=any", "update")
        except DemoError as error:
            self._update_failure = f"; {error}"

    def dependency(self, package: str, prefix: str) -> str:
        """Return the name of the package that `package` depends on and that begins so."""
        for line in self._show(package).splitlines():
            if line.startswith("Depends:"):
                for alternative in line.removeprefix("Depends:").replace("|", ",").split(","):
                    name = alternative.split("(")[0].strip()
                    if name.startswith(prefix):
                        return name
        raise DemoError(f"package '{package}' depends on no package named '{prefix}…'")

    def version(self, package: str) -> str:
        """Return the version that would be downloaded."""
        for line in self._show(package).splitlines():
            if line.startswith("Version:"):
                return line.removeprefix("Version:").strip()
        raise DemoError(f"package '{package}' has no version")

    def download(self, packages: Sequence[str], folder: Path) -> list[Package]:
        """Download packages into a folder; apt checks them against the signed lists."""
        result = []
        for name in packages:
            version = self.version(name)
            own = folder / name
            own.mkdir(parents=True)
            self._apt("apt-get", "download", f"{name}={version}", cwd=own)
            (path,) = own.glob("*.deb")
            result.append(Package(name, version, path))
        return result

    def download_whole(self, packages: Sequence[str], folder: Path) -> list[Package]:
        """Download packages with all that they depend on, what they recommend left out."""
        for name in packages:
            self.version(name)
        (folder / "partial").mkdir(parents=True)
        self._apt(
            "apt-get",
            *("-o", f"Dir::Cache::archives={folder}", "--download-only", "--yes"),
            *("--no-install-recommends", "install", *packages),
        )
        return [Package(*_name_and_version(path), path) for path in sorted(folder.glob("*.deb"))]

    def _show(self, package: str) -> str:
        try:
            return self._apt("apt-cache", "show", "--no-all-versions", package)
        except DemoError:
            raise DemoError(
                f"package '{package}' was not found in Debian's '{self._release}' for "
                f"{ARCHITECTURE}{self._update_failure}"
            ) from None

    def _apt(self, tool: str, *arguments: str, cwd: Path | None = None) -> str:
        command = [tool, "-c", str(self._config), "-qq", *arguments]
        return _run(command, f"{tool} failed", cwd)


def _name_and_version(path: Path) -> tuple[str, str]:
    """Return what apt says in the name of a file that it downloaded: `NAME_VERSION_ARCH.deb`."""
    name, version, _ = path.name.split("_", 2)
    return name, version.replace("%3a", ":")


def _run(command: Sequence[str], failure: str, cwd: Path | None = None) -> str:
    """Run a command and return its output. Raises DemoError with the first error it names."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        first = next((line for line in lines if line.startswith("E: ")), "".join(lines[-1:]))
        raise DemoError(f"{failure} (status {done.returncode}): {first or 'it gave no reason'}")
    return done.stdout
