"""Sources derived from a machine's own: both formats, options, aliases, third parties."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocwatch.demo import apt_sources
from pocwatch.demo.apt_sources import Source, derive, parse_deb822, parse_one_line, release_suites

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

DEB822 = f"""\
# a comment before
Types: deb deb-src
# a comment inside
URIs: http://mirror.test/debian
Suites: trixie trixie-updates
Components: main non-free-firmware
Signed-By: {KEYRING}

Types: deb
URIs: http://security.test/debian-security
Suites: trixie-security
Components: main
Signed-By: {KEYRING}
Check-Valid-Until: no
\t
Types: deb
URIs: http://vendor.test/apt
Suites: trixie
Components: main
Architectures: amd64
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://disabled.test/debian
Suites: trixie
Components: main

Types: deb-src
URIs: http://only-source.test/debian
Suites: trixie
Components: main
"""

ONE_LINE = f"""\
# deb http://commented.test/debian bookworm main
deb http://mirror.test/debian bookworm main contrib # trailing
deb [arch=amd64,arm64 signed-by={KEYRING}] http://mirror.test/debian bookworm-updates main
deb [ trusted=yes ] http://security.test/debian-security bookworm-security main
deb-src http://mirror.test/debian bookworm main
deb cdrom:[Debian 12]/ bookworm main
deb http://vendor.test/linux bookworm stable
deb http://vendor.test/llvm llvm-toolchain-bookworm main
"""


def test_deb822_entries_are_read_with_all_their_fields() -> None:
    first, second, third = parse_deb822(DEB822)
    assert first == Source(
        ("http://mirror.test/debian",),
        ("trixie", "trixie-updates"),
        ("main", "non-free-firmware"),
        {"Signed-By": KEYRING},
    )
    assert second.fields == {"Signed-By": KEYRING, "Check-Valid-Until": "no"}
    assert third.fields["Signed-By"].count("\n") == 4


def test_a_rendered_source_is_read_back_as_itself() -> None:
    sources = parse_deb822(DEB822) + parse_one_line(ONE_LINE)
    assert parse_deb822("\n".join(source.render() for source in sources)) == sources


def test_one_line_entries_are_read_with_their_options() -> None:
    plain, with_options, trusted, *others = parse_one_line(ONE_LINE)
    assert plain == Source(("http://mirror.test/debian",), ("bookworm",), ("main", "contrib"), {})
    assert with_options.fields == {"Architectures": "amd64 arm64", "Signed-By": KEYRING}
    assert trusted.fields == {"Trusted": "yes"}
    assert [source.suites for source in others] == [("bookworm",), ("llvm-toolchain-bookworm",)]


def test_another_release_for_another_architecture() -> None:
    assert derive(parse_deb822(DEB822), "trixie", release_suites("bookworm"), "arm64") == [
        Source(
            ("http://mirror.test/debian",),
            ("bookworm", "bookworm-updates"),
            ("main",),
            {"Signed-By": KEYRING, "Architectures": "arm64"},
        ),
        Source(
            ("http://security.test/debian-security",),
            ("bookworm-security",),
            ("main",),
            {"Signed-By": KEYRING, "Check-Valid-Until": "no", "Architectures": "arm64"},
        ),
    ]


def test_backports_come_from_the_entry_of_the_release_only() -> None:
    derived = derive(parse_one_line(ONE_LINE), "bookworm", {"": "bookworm-backports"})
    assert derived == [
        Source(("http://mirror.test/debian",), ("bookworm-backports",), ("main",), {})
    ]


@pytest.mark.parametrize("alias", ["stable", "oldstable", "testing", "sid"])
def test_entries_may_name_the_release_by_an_alias(alias: str) -> None:
    sources = parse_one_line(f"deb http://mirror.test/debian {alias} main")
    (source,) = derive(sources, "trixie", release_suites("bookworm"))
    assert source.suites == ("bookworm",)


def test_a_machine_with_one_repository_under_its_own_key_keeps_it() -> None:
    sources = parse_one_line("deb [signed-by=/etc/own.gpg] http://own.test/debian bookworm main")
    assert derive(sources, "bookworm", {"": "bookworm-backports"})


def test_files_are_read_as_apt_reads_them(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.test/debian bookworm main\n")
    (tmp_path / "sources.list.d/b.list").write_text("deb http://b.test/debian bookworm main\n")
    (tmp_path / "sources.list.d/c.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/d.sources.save").write_text(DEB822)
    uris = [source.uris[0] for source in apt_sources.read_sources(tmp_path)]
    assert uris == [
        "http://a.test/debian",
        "http://b.test/debian",
        "http://mirror.test/debian",
        "http://security.test/debian-security",
        "http://vendor.test/apt",
    ]


def test_a_machine_without_sources_has_none(tmp_path: Path) -> None:
    assert apt_sources.read_sources(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "bookworm"),
        ('VERSION_CODENAME="trixie"\n', "trixie"),
        ("ID=other\n", ""),
    ],
)
def test_release_name(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "os-release").write_text(text)
    assert apt_sources.release_name(tmp_path / "os-release") == name


def run_script(monkeypatch: pytest.MonkeyPatch, sources: list[Source]) -> int:
    monkeypatch.setattr(apt_sources, "release_name", lambda: "bookworm")
    monkeypatch.setattr(apt_sources, "read_sources", lambda: sources)
    return apt_sources.main(["-backports"])


def test_the_script_prints_a_stanza_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = parse_one_line("deb http://mirror.test/debian bookworm main")
    assert run_script(monkeypatch, sources) == 0
    printed = parse_deb822(capsys.readouterr().out)
    assert [source.suites for source in printed] == [("bookworm-backports",)]
    assert run_script(monkeypatch, sources + printed) == 0
    assert capsys.readouterr().out == ""


def test_the_script_fails_in_one_line_without_an_entry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_script(monkeypatch, []) == 1
    assert capsys.readouterr().err.count("\n") == 1
