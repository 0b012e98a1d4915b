"""What goes wrong with event recordings."""

from __future__ import annotations


class RecordingError(Exception):
    """A recording that cannot be used. The message is one line for the user."""
