"""Cache maintenance bugs of real projects as cases to run: see docs/corpus.md."""
