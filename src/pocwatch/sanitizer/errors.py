"""What ends a run early, with the exit code it carries (the idea is memray's)."""

from __future__ import annotations

EXIT_CLEAN = 0
EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_MACHINE = 3


class RunError(Exception):
    """A one-line reason for the user: names the thing, its value, what is accepted, what to do."""

    exit_code = EXIT_MACHINE


class UsageError(RunError):
    """The user asked for something that cannot be."""

    exit_code = EXIT_USAGE


class MachineError(RunError):
    """The emulated machine, or what it needs from this computer, failed."""

    exit_code = EXIT_MACHINE
