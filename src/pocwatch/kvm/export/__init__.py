"""Concrete models for general model checkers: the caches written out, as Promela and as Murphi.

concrete (what threads do to lines, as data) -> cases (what that does to a cell, tabulated from the line
model) -> promela, murphi (text). Beside them: semantics, the same programs for pocwatch's own checker.
"""
