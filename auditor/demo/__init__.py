"""The reference stack of the seed on loopback, in two states, and its launcher."""
