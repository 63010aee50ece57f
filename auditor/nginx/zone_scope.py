"""Keeps the shared memory zones that an http block declares and uses, and says which do not fit.

Sources: ngx_shared_memory_add (src/core/ngx_cycle.c), ngx_http_limit_req_module.c, ngx_http_file_cache.c.
"""

from __future__ import annotations

from dataclasses import field

from auditor.dataclass import dataclass
from auditor.nginx.arguments import size
from auditor.nginx.tokens import Directive
from auditor.nginx.variable_scope import Report


@dataclass(slots=True)
class ZoneScope:
    """The zones of one http block; `open`: others may be declared in files that are not here."""

    problem: Report
    open: bool
    declared: dict[str, tuple[str, str]] = field(default_factory=dict)
    uses: list[tuple[str, str, Directive, int]] = field(default_factory=list)

    def zone(self, directive: Directive) -> None:
        """Keep the shared memory zone that a directive declares."""
        parameter = {"limit_req_zone": "zone=", "limit_conn_zone": "zone="}.get(directive.name, "keys_zone=")
        for index, arg in reversed(list(enumerate(directive.args))):
            if arg.startswith(parameter):
                name, _colon, amount = arg[len(parameter) :].rpartition(":")
                self._declare(directive, index, name, directive.name, amount, once=True)
                break

    def upstream_zone(self, directive: Directive) -> None:
        """Keep the shared memory zone of an upstream."""
        if len(directive.args) == 2:
            self._declare(directive, 0, directive.args[0], "zone", directive.args[1], once=False)
        else:
            self.uses.append((directive.args[0], "zone", directive, 0))

    def session_cache(self, directive: Directive) -> None:
        """Keep the shared memory zone of a session cache."""
        for index, arg in enumerate(directive.args):
            if arg.startswith("shared:"):
                name, _colon, amount = arg[7:].rpartition(":")
                self._declare(directive, index, name, "ssl_session_cache", amount, once=False)

    def _declare(self, directive: Directive, index: int, name: str, kind: str, amount: str, *, once: bool) -> None:
        before = self.declared.get(name)
        if before is None:
            self.declared[name] = (kind, amount)
        elif before[0] != kind:
            self.problem(directive, index, f'the zone "{name}" is declared by {before[0]} too', "use another name")
        elif once:
            self.problem(directive, index, f'the zone "{name}" is declared twice', "keep one of them, or rename it")
        elif size(before[1]) != size(amount):
            self.problem(directive, index, f'the zone "{name}" is declared with another size too', "use one size")

    def limit(self, directive: Directive, here: set[tuple[str, str]]) -> None:
        """Keep the use of a zone, once in a block; `here`: the uses in this block so far."""
        index = 0
        name = directive.args[0]
        if directive.name == "limit_req":
            index = next((i for i, arg in enumerate(directive.args) if arg.startswith("zone=")), -1)
            if index < 0:
                return
            name = directive.args[index][5:]
        key = (directive.name, name)
        if key in here:
            self.problem(
                directive, index, f'the zone "{name}" is used twice by {directive.name} here', "keep one of them"
            )
        here.add(key)
        self.uses.append((name, f"{directive.name}_zone", directive, index))

    def cache(self, directive: Directive) -> None:
        """Keep the use of a cache."""
        name = directive.args[0]
        if name != "off" and "$" not in name:
            self.uses.append((name, f"{directive.name}_path", directive, 0))

    def finish(self) -> None:
        """Report the zones that are used and not declared, or declared as something else."""
        for name, kind, directive, index in self.uses:
            declared = self.declared.get(name)
            if declared is None:
                if not self.open:
                    self.problem(
                        directive,
                        index,
                        f'the zone "{name}" is not declared',
                        f"declare it with {kind} and a size in http",
                    )
            elif declared[0] != kind:
                self.problem(
                    directive,
                    index,
                    f'the zone "{name}" is declared by {declared[0]}, not by {kind}',
                    f"declare one with {kind}",
                )
