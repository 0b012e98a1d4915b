"""Entries of the cache are complete or absent, whatever happened before."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from pocwatch.demo import cache


def silent(_: str) -> None:
    pass


def test_the_folder_follows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache.default_dir() == Path("/elsewhere/pocwatch")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative is ignored")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache.default_dir() == Path("/home/someone/.cache/pocwatch")


def test_an_interrupted_fill_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.entry(tmp_path / "done", fill)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "incomplete-abc").mkdir()
    with cache.locked(tmp_path, silent):
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_complete_entry_is_not_filled_again(tmp_path: Path) -> None:
    calls: list[Path] = []
    for _ in range(2):
        assert cache.entry(tmp_path / "done", calls.append) == tmp_path / "done"
    assert len(calls) == 1


def test_only_the_others_of_a_pattern_are_removed(tmp_path: Path) -> None:
    for name in ("machine-1", "machine-2", "packages"):
        (tmp_path / name).mkdir()
    cache.remove_others(tmp_path / "machine-2", "machine-*")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["machine-2", "packages"]


def test_a_second_process_waits_and_says_so(tmp_path: Path) -> None:
    said = threading.Event()

    def work() -> None:
        with cache.locked(tmp_path, lambda _: said.set()):
            pass

    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=work)
        thread.start()
        assert said.wait(10)
    thread.join(10)
    assert not thread.is_alive()
