"""What can go wrong with a trace; the message is one line for the user."""

from __future__ import annotations


class TraceError(Exception):
    """A trace that cannot be used or written: names the file, what is wrong, what to do."""

    exit_code = 2


class RecordingError(Exception):
    """A trace could not be written to its end, or the raw stream was not understood."""

    exit_code = 3
