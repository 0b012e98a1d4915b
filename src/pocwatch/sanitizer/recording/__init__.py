"""Traces while a machine runs: `pocwatch record`."""
