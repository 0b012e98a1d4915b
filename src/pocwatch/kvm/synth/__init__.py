"""Synthesis: the cheapest policies of a space that are safe in chosen scenarios, found and proved so."""
