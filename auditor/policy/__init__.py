"""The policy file: its model, its loader, the built-in profiles."""
