"""The C side of the concurrent-modification set against `pocwatch.arch.cmodx` (fact C14)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from random import Random

import pytest

from pocwatch.arch.cmodx import ENCODINGS, is_of_the_set, may_be_modified_concurrently

RANDOM_WORDS = 100_000
WORDS_PER_ENCODING = 2_000
PAIRS = 50_000


@pytest.fixture(scope="session")
def in_c(plugin: ctypes.CDLL) -> Callable[[int], bool]:
    plugin.pw_cmodx.argtypes = (ctypes.c_uint32,)
    plugin.pw_cmodx.restype = ctypes.c_bool
    return plugin.pw_cmodx


@pytest.fixture(scope="session")
def pair_in_c(plugin: ctypes.CDLL) -> Callable[[int, int], bool]:
    plugin.pw_cmodx_pair.argtypes = (ctypes.c_uint32, ctypes.c_uint32)
    plugin.pw_cmodx_pair.restype = ctypes.c_bool
    return plugin.pw_cmodx_pair


def words_near_the_set(rng: Random) -> list[int]:
    """Words of every encoding with other operands, and such words with one bit wrong."""
    words = []
    for encoding in ENCODINGS:
        for _ in range(WORDS_PER_ENCODING // 2):
            word = encoding.match | rng.getrandbits(32) & ~encoding.mask
            words += [word, word ^ 1 << rng.randrange(32)]
    return words


def test_c14_random_words(in_c: Callable[[int], bool]) -> None:
    rng = Random(1)
    for _ in range(RANDOM_WORDS):
        word = rng.getrandbits(32)
        assert in_c(word) == is_of_the_set(word), hex(word)


def test_c14_words_of_and_next_to_every_encoding(in_c: Callable[[int], bool]) -> None:
    for word in words_near_the_set(Random(2)):
        assert in_c(word) == is_of_the_set(word), hex(word)


def test_c14_pairs(pair_in_c: Callable[[int, int], bool]) -> None:
    rng = Random(3)
    words = words_near_the_set(rng)
    verdicts = set()
    for _ in range(PAIRS):
        old = rng.choice(words)
        new = rng.choice(words) if rng.random() < 0.5 else old ^ 1 << rng.randrange(32)
        expected = may_be_modified_concurrently(old, new)
        verdicts.add(expected)
        assert pair_in_c(old, new) == expected, (hex(old), hex(new))
    assert verdicts == {False, True}
