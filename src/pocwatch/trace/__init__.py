"""Records that cross the seam between C and Python, defined once. Imports nothing of pocwatch."""
