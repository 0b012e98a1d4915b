"""The line automaton: a literal model of what caches may do to one line, determinised and minimised."""
