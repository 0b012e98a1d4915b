"""Measures the costs of the machine it runs on: a C program, its samples, and a cost set from them."""
