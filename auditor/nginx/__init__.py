"""The nginx evaluator: given a configuration and one concrete request, what does nginx answer, and why."""
