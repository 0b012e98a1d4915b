"""Concrete models for general model checkers: the caches written out, as Promela and as Murphi.

concrete (what threads do to lines, as data; threads are graphs, which graph makes small) -> meaning,
cases (what that does to a cell, tabulated from the line model) -> promela, murphi (text). Beside them:
cell, a cell of the matrix as such a program; semantics and stepwise, programs for pocwatch's own checker.
"""
