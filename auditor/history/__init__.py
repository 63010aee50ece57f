"""Runs kept and compared: what was found when, what changed since, and whom to tell."""
