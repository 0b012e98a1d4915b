"""Computed parts of docs/bench.md; read by docs/generate.py."""
