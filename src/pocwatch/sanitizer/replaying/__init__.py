"""Traces judged again: `pocwatch replay`."""
