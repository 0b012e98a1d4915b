"""What can go wrong with a sweep."""

from __future__ import annotations


class SweepError(Exception):
    """A file of kept results that cannot be used; the message is for the user."""

    exit_code = 2
