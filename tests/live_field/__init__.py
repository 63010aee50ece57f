"""Servers that the live auditor is tried on: hostile ones, and a field of planted flaws with their safe twins."""
