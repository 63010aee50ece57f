"""Sets of byte strings as automata: PCRE, globs, prefixes; decided, not sampled."""
