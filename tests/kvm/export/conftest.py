"""The drivers of SPIN and rumur are the benchmark's: bench/model_checkers."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "bench" / "model_checkers"))
