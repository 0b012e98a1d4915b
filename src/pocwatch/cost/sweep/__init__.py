"""Many points, on one machine or many: what is kept of a sweep that was interrupted."""
