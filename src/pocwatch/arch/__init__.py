"""The Arm ARM as data and small functions. Imports nothing of pocwatch; does no I/O."""
