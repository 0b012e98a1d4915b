"""A generic explicit-state checker. Imports nothing of pocwatch, does no I/O, knows nothing of Arm.

model (what to write) and claims (what to say about it) -> search (breadth first, to the fixpoint)
-> cycles (what holds in the long run) -> trace (counterexamples as runs of the model) -> result.
Beside them: symmetry (fewer states), audit (is a model what it promises?) and pool (many at once).
"""
