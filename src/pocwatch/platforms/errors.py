"""The one error of this package."""

from __future__ import annotations


class PlatformError(ValueError):
    """A platform that does not exist or does not make sense; the message is for the user."""
