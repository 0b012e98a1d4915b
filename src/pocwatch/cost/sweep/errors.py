"""What can go wrong with a sweep."""

from __future__ import annotations


class SweepError(Exception):
    """A scheduler or a file of kept results that cannot be used; the message is for the user."""

    exit_code = 2


class ClusterError(Exception):
    """The cluster failed while it worked; what it had done is kept."""

    exit_code = 3
