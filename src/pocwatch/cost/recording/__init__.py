"""Counts from real software: what a hypervisor, its guests and their maintenance did in one run.

`pocwatch run --events FILE` records a machine; `record` says what is in the file.
"""
