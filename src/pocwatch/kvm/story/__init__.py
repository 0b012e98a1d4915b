"""Cells of the matrix told: one legal run that ends in the stale read, why, and what to do about it."""
