"""The one error of this package."""

from __future__ import annotations


class CacheSimError(RuntimeError):
    """The simulation cannot be done; the message is one line, for the user."""
