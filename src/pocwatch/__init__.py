"""Where software on Arm64 can legally read stale memory, what is redundant, and what it costs."""
