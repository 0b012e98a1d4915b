"""One record type for what a run found, and its renderings."""
