"""Many points on one machine or many: schedulers, and what is kept of a sweep that was interrupted."""
