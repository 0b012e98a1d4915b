"""What can go wrong while the demonstration machine is prepared."""

from __future__ import annotations


class DemoError(Exception):
    """A one-line message for the user: the thing, the value, what is accepted, what to do."""

    exit_code = 3


class UnknownNameError(DemoError):
    """The user named a CPU or a scenario that the demonstration does not have."""

    exit_code = 2
