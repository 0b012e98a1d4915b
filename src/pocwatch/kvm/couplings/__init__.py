"""Where one line does not stand for all: small models of what couples lines, right and wrong.

set_way (loops over places, not lines), ranges (loops whose ends are not aligned), neighbours (one line,
two owners), line_sizes (PEs that mean different lines). docs/model-checkers.md says why these four.
"""
