"""`limit_req` and `limit_conn`: which limits a request passes through, and what a refusal looks like."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from auditor.dataclass import dataclass
from auditor.exchange import Limit
from auditor.nginx.model import Node
from auditor.nginx.state import LAYER, Run
from auditor.nginx.template import Value

if TYPE_CHECKING:
    from auditor.nginx.compile import Http
    from auditor.nginx.variables import Variables


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit as a request meets it: the key that names its bucket (`shown`: readable), and the limit itself."""

    key: Value
    shown: Value
    limit: Limit


def rate_of(text: str) -> float:
    """Return a rate in requests per second, rounded as nginx does (to 1/1000)."""
    match = re.fullmatch(r"(\d+)(?:r/([sm]))?", text)
    if match is None:
        return 0.0
    return int(match[1]) * 1000 // (60 if match[2] == "m" else 1) / 1000


def rules_of(node: Node, http: Http, variables: Variables, kind: str) -> tuple[Rule, ...]:
    """Return the limits of a kind ("limit_req" or "limit_conn") that apply at a node."""
    status_line = node.last(f"{kind}_status")
    status = int(status_line.args[0]) if status_line is not None and status_line.args[0].isdigit() else 503
    dry = node.last(f"{kind}_dry_run")
    dry_run = dry is not None and dry.args[:1] == ("on",)
    result = []
    for directive in node.find(kind):
        options = dict(arg.partition("=")[::2] for arg in directive.args)
        name = options.get("zone", "") if kind == "limit_req" else (directive.args or ("",))[0]
        zone = http.zones.get(f"{kind}_zone:{name}")
        key = zone.args[0] if zone is not None and zone.args else ""
        rate = next((arg[5:] for arg in zone.args if arg.startswith("rate=")), "") if zone is not None else ""
        burst = options.get("burst", "0")
        if kind == "limit_conn":
            burst = directive.args[1] if len(directive.args) > 1 else "0"
        delay = options.get("delay", "0")
        limit = Limit(
            zone=name,
            rate=rate_of(rate) if kind == "limit_req" else 0.0,
            burst=int(burst) if burst.isdigit() else 0,
            status=status,
            key=key,
            delay=None if "nodelay" in options else int(delay) if delay.isdigit() else 0,
            dry_run=dry_run,
            kind="requests" if kind == "limit_req" else "connections",
            layer=LAYER,
            location=directive.location,
        )
        readable = re.sub(r"\$(?:binary_remote_addr\b|\{binary_remote_addr\})", "${remote_addr}", key)
        result.append(Rule(variables.value(key), variables.value(readable), limit))
    return tuple(result)


def apply(run: Run, rules: tuple[Rule, ...], kind: str) -> int | None:
    """Pass a request through limits; return the status of a refusal where there may be one."""
    counted = [rule for rule in rules if rule.key(run)]
    for rule in rules:
        if run.why is not None and rule not in counted:
            run.note(
                f"{kind} {rule.limit.zone}", rule.limit.location, f"does not count: its key {rule.limit.key} is empty"
            )
    run.limits += tuple(replace(rule.limit, value=rule.shown(run) if rule in counted else "") for rule in rules)
    if not counted:
        return None
    if kind == "limit_req":
        run.limit_req_done = True
    else:
        run.limit_conn_done = True
    refusing = [rule for rule in counted if not rule.limit.dry_run]
    if run.why is not None:
        for rule in counted:
            text = "counts, but never refuses (dry run)" if rule.limit.dry_run else f"counts by {rule.limit.key}"
            run.note(f"{kind} {rule.limit.zone}", rule.limit.location, text)
    return refusing[0].limit.status if refusing else None
