"""pyarrow and NumPy, which only traces need: imported when used, with one line when missing."""

from __future__ import annotations

from typing import Any

from pocwatch.trace.errors import TraceError


def require() -> None:
    """Raise TraceError with what to install unless traces can be read and written here."""
    missing = []
    for name in ("numpy", "pyarrow"):
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise TraceError(
            f"traces need the Python package{'s' * (len(missing) > 1)} {' and '.join(missing)}, not "
            "installed here: pip install 'pocwatch[trace]'"
        )


def dictionary(indices: Any, values: Any) -> Any:
    """Return a dictionary-encoded array of strings; index -1 is null. Unused values are left out."""
    import numpy as np
    import pyarrow as pa

    n = len(values)
    used: Any = np.zeros(n + 1, bool)
    used[indices] = True  # -1 marks the last
    used[n] = False
    renumbered = np.cumsum(used, dtype=np.int32) - 1
    kept = [values[i] for i in np.flatnonzero(used)]
    absent = indices < 0
    return pa.DictionaryArray.from_arrays(
        pa.array(renumbered[indices], mask=absent if absent.any() else None),
        pa.array(kept, pa.string()),
    )


def nullable(values: Any, absent: Any) -> Any:
    """Return an Arrow array of NumPy values, null where `absent`."""
    import pyarrow as pa

    return pa.array(values, mask=absent if absent.any() else None)
