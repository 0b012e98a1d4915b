"""Debian package sources of this machine, and others derived from them.

A mirror is never named by pocwatch: a wanted suite is reached by taking the machine's own entries
and replacing the suite. Both formats of sources.list(5) are read, deb822 is written.

Left out: entries for source packages, cdrom entries and files of other formats.

Uses the standard library only, for `tools/setup` runs this file as a script, before there is a
virtual environment: `apt_sources.py SUFFIX` prints the entries of the machine's own release with
SUFFIX (such as `-backports`), and nothing when it has them already.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

POCKETS = ("", "-updates", "-security")
"""What is appended to a release's name to form the suites that make up the release."""

_ALIASES = ("oldstable", "stable", "testing", "unstable", "sid")

# sources.list(5), "The deb and deb-src types: options": names in one-line and in deb822 format.
_ONE_LINE_OPTIONS = {
    "arch": "Architectures",
    "lang": "Languages",
    "target": "Targets",
    "pdiffs": "PDiffs",
    "signed-by": "Signed-By",
}


@dataclass(frozen=True)
class Source:
    """A stanza of a `.sources` file for binary packages.

    `fields` holds everything but types, URIs, suites and components, as in the file (values of
    several lines keep their line breaks: a key may be given in full).
    """

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    fields: Mapping[str, str] = field(default_factory=dict)

    def render(self) -> str:
        """Return the stanza in deb822 format."""
        lines = [
            "Types: deb",
            f"URIs: {' '.join(self.uris)}",
            f"Suites: {' '.join(self.suites)}",
            f"Components: {' '.join(self.components)}",
            *(f"{name}:{'' if value[:1] == chr(10) else ' '}{value}"
              for name, value in self.fields.items()),
        ]  # fmt: skip
        return "\n".join(lines) + "\n"


def parse_deb822(text: str) -> list[Source]:
    """Return the enabled binary entries of a `.sources` file."""
    sources = []
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1] in " \t" and name:
                fields[name] += "\n" + line.rstrip()
            elif ":" in line:
                name, value = line.split(":", 1)
                name = _canonical(name.strip())
                fields[name] = value.strip()
        types = fields.pop("Types", "").split()
        enabled = fields.pop("Enabled", "yes").lower() not in ("no", "false", "without", "off")
        source = Source(
            tuple(fields.pop("Uris", "").split()),
            tuple(fields.pop("Suites", "").split()),
            tuple(fields.pop("Components", "").split()),
            fields,
        )
        if enabled and "deb" in types and source.uris and source.suites:
            sources.append(source)
    return sources


def parse_one_line(text: str) -> list[Source]:
    """Return the binary entries of a `sources.list` file."""
    sources = []
    for line in text.splitlines():
        match = re.fullmatch(
            r"deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<rest>.*)",
            line.split("#", 1)[0].strip(),
        )
        if match is None or match["uri"].startswith("cdrom:"):
            continue
        fields = {}
        for option in (match["options"] or "").split():
            name, _, value = option.partition("=")
            fields[_ONE_LINE_OPTIONS.get(name.lower(), name.title())] = value.replace(",", " ")
        sources.append(
            Source((match["uri"],), (match["suite"],), tuple(match["rest"].split()), fields)
        )
    return sources


def _canonical(name: str) -> str:
    """Return a field's name in one capitalisation; apt does not tell them apart."""
    return {"pdiffs": "PDiffs"}.get(name.lower(), name.title())


def read_sources(folder: Path = Path("/etc/apt")) -> list[Source]:
    """Return all entries that apt would use on this machine."""
    sources: list[Source] = []
    for path in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))):
        if not path.is_file() or path.suffix not in (".list", ".sources"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        sources += parse_deb822(text) if path.suffix == ".sources" else parse_one_line(text)
    return sources


def release_name(os_release: Path = Path("/etc/os-release")) -> str:
    """Return the name of this machine's release, such as `bookworm`, or an empty string."""
    if not os_release.is_file():
        return ""
    match = re.search(r'^VERSION_CODENAME="?([\w-]+)', os_release.read_text(), re.MULTILINE)
    return match[1] if match else ""


def derive(
    sources: Iterable[Source], release: str, suffixes: Mapping[str, str], architecture: str = ""
) -> list[Source]:
    """Return the entries of the distribution itself, with other suites.

    `suffixes` maps a suffix of a suite of `release` to the suite to put in its place. Only the
    component `main` is kept, and no entry of a third party: those have a key of their own.
    """
    derived = []
    for source in sources:
        suites = tuple(
            dict.fromkeys(
                wanted
                for base in (release, *_ALIASES)
                for suite in source.suites
                for suffix, wanted in suffixes.items()
                if base and suite == base + suffix
            )
        )
        fields = dict(source.fields)
        fields.pop("Architectures", None)
        if architecture:
            fields["Architectures"] = architecture
        if suites and "main" in source.components:
            new = replace(source, suites=suites, components=("main",), fields=fields)
            if new not in derived:
                derived.append(new)
    own = [source for source in derived if "debian-archive" in source.fields.get("Signed-By", "")]
    keyless = [source for source in derived if "Signed-By" not in source.fields]
    return own + keyless or derived


def release_suites(release: str) -> dict[str, str]:
    """Return the suffixes and suites that make up a release, for `derive`."""
    return {pocket: release + pocket for pocket in POCKETS}


def main(arguments: Sequence[str]) -> int:
    """Print the entries of this machine's release with a suffix that it does not have yet."""
    (suffix,) = arguments
    release = release_name()
    sources = read_sources()
    wanted = release + suffix
    if any(wanted in source.suites for source in sources):
        return 0
    derived = derive(sources, release, {"": wanted})
    if not derived:
        print(f"no entry for suite '{release}' in this machine's apt sources", file=sys.stderr)
        return 1
    print("\n".join(source.render() for source in derived), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
