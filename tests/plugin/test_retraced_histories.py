"""The states retraced from a finding's history end where the compiled judge was.

The judge records events and the final states; `report.retrace` follows the events over the automaton.
Histories of random words, as the judge keeps them.
"""

from __future__ import annotations

import ctypes
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from judge import Judge
from test_judge_against_model import MAX_PES, random_words

from pocwatch import platforms
from pocwatch.arch.ops import Op
from pocwatch.line.contents import contents_of
from pocwatch.line.explain import describe
from pocwatch.line.word import Step
from pocwatch.platforms import Platform
from pocwatch.report.retrace import Retraced, Trust, retrace
from pocwatch.sanitizer.analysis import Analyst
from pocwatch.sanitizer.findings import Finding
from pocwatch.sanitizer.locate import Locator
from pocwatch.trace import records

WORDS = 400


class Told(Judge):
    """A judge that knows the instructions of a word, so that histories can name them."""

    def __init__(
        self, library: ctypes.CDLL, folder: Path, platform: Platform, *, pes: int
    ) -> None:
        super().__init__(library, folder, platform, 1, pes=pes)
        library.place_intern.restype = ctypes.c_void_p
        library.place_intern.argtypes = [ctypes.c_uint64, ctypes.c_uint64] + [ctypes.c_uint32] * 2
        self.platform = platform
        self.off: set[int] = set()
        self.run = folder / "run"

    def tell(self, steps: Sequence[Step]) -> list[Finding]:
        """Return what was found."""
        for number, step in enumerate(steps):
            pc = 0x1000 + 4 * number
            place = self.library.place_intern(pc, records.NO_ADDRESS, 0, 1)
            self.sites[step.agent] = ctypes.c_void_p(place)
            if step.op in (Op.MMU_ON, Op.MMU_OFF):
                change = self.off.add if step.op is Op.MMU_OFF else self.off.discard
                change(step.agent)
            self._doing = step
            self._do(step, 0x4000_0000)
        header = self.header
        size = ctypes.sizeof(records.Finding)
        data = self.run.read_bytes()[header.header_size :]
        raw = [
            records.Finding.from_buffer_copy(data[n * size :])
            for n in range(min(header.n_findings, header.max_findings))
        ]
        analyst = Analyst(Locator([]), [], self.platform, describe)
        return [analyst.finding(each) for each in raw]

    def _page(self, pa: int, kind: object, **how: bool) -> object:
        page = super()._page(pa, kind, **how)  # type: ignore[arg-type]
        page._obj.mmu_on = self._doing.agent not in self.off  # type: ignore[attr-defined]
        return page


def retraced(finding: Finding, platform: Platform) -> Retraced:
    return retrace(finding, contents_of(platform))


@pytest.mark.parametrize("name", ["cortex-a57-up", "xgene-l3", "neoverse-dic", "l2x0-up"])
def test_the_way_ends_where_the_judge_was(
    plugin: ctypes.CDLL, tmp_path: Path, name: str
) -> None:
    platform = platforms.load(name)
    pes = min(platform.pes, MAX_PES)
    seen: Counter[Trust] = Counter()
    certain = 0
    for steps in random_words(random.Random(name), pes, WORDS):
        if any(step.op in (Op.OUTER_CLEAN, Op.OUTER_INV, Op.OUTER_FLUSH) for step in steps):
            continue  # not watched in a machine, hence in no history
        for finding in Told(plugin, tmp_path, platform, pes=pes).tell(steps):
            found = retraced(finding, platform)
            states = {place.state for place in found.end}
            recorded = finding.line.states[finding.line.stale_cell]
            word = "; ".join(map(str, steps))
            assert recorded in states, word
            if not finding.history_truncated:
                assert found.trust is Trust.WHOLE, f"{word}: {finding.history}"
            seen[found.trust] += 1
            certain += all(len({p.state for p in places}) == 1 for places in found.places)
    assert seen[Trust.WHOLE] > 100
    assert certain > seen[Trust.WHOLE] / 2
