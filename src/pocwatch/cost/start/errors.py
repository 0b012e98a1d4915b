"""What is wrong with a question about a VM's start."""

from __future__ import annotations


class BenchError(ValueError):
    """A combination that cannot be; the message names it and is for the user."""

    exit_code = 2
