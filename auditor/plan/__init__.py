"""Policy + matchers -> the finite list of probes, and the facts that checks decide on.

A layer looks at a request only through finitely many matchers (server names, locations, map keys, conditions).
The values of one part of a request that satisfy the same matchers form a cell; one representative stands for it.
A probe is one combination of representatives on one route.
"""
