"""The bug corpus as tables, for docs/generate.py."""
