"""The claims of the thread as records, and the pages that docs/generate.py makes of them."""
