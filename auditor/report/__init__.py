"""Findings and exchanges, rendered: a renderer sees only a Run and returns text."""
