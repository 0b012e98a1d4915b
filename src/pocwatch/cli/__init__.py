"""The command line: one file per command; imports of heavy modules happen inside commands."""
