"""What can go wrong while the demonstration machine is prepared."""

from __future__ import annotations


class DemoError(Exception):
    """A one-line message for the user: the thing, the value, what is accepted, what to do."""

    exit_code = 3
