"""What a route does with its upstream today, as clauses of a policy: WebSockets, timeouts, the page when it is down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from auditor.checks.judging import all_cases, normal, redirects_to_https
from auditor.checks.timeout_out_of_range import DIRECTIVES, proxied, seconds
from auditor.drafting.origins import admitted
from auditor.drafting.places import Place
from auditor.drafting.writing import Noted, seen_at
from auditor.exchange import Outcome, Setting
from auditor.plan.facts import Case, Facts

BOUND = {"read": "min", "send": "min", "connect": "max"}
"""What a timeout was most likely set for: to wait longer for slow answers, or less long for a backend that is gone."""


def websocket(place: Place, facts: Facts, remarks: list[str]) -> Any:
    """Return which origins' handshakes pass, where any do and where these files decide it."""
    cases = [case for case in facts.of(place.id, "websocket") if normal(case) and not redirects_to_https(case)]
    passed = [case for case in cases if _passes(case)]
    if not passed:
        return None
    found = admitted(passed, cases)
    refusals = sorted({c.response.status for c in cases if c.response and c.response.status and not _passes(c)})
    open_ = next((case for case in passed if case.response is not None and case.response.status != 101), None)
    if found.anybody and open_ is not None:
        remarks.append(
            "a WebSocket passes whatever its Origin: describe the backend (type asgi), or state websocket here"
        )
        return None
    if found.anybody:
        remarks.append("a page of any origin can open the WebSocket: name the origins that may")
    values = {case.probe.origin.value for case in passed}
    clause: dict[str, Any] = {"allow_origins": found.items}
    clause |= {} if found.anybody or None not in values else {"missing_origin": "allow"}
    clause |= {} if found.anybody or "null" not in values else {"null_origin": "allow"}
    clause |= {"on_disallowed": {"status": refusals}} if refusals else {}
    buffering = [case.exchange.outcome.settings.get("proxy_buffering") for case in passed]
    if all(setting is not None and setting.args == ("off",) for setting in buffering):
        clause["buffering"] = "off"
    return clause


def _passes(case: Case) -> bool:
    """Whether a handshake is accepted, or handed on as one."""
    if case.response is not None and case.response.status == 101:
        return True
    sent = case.exchange.outcome.upstream_request
    return sent is not None and (sent.headers.get("Upgrade") or "").lower() == "websocket"


def timeouts(place: Place, facts: Facts) -> Any:
    """Return the timeouts that are set where requests of the route are passed on, the same for all of them."""
    cases = proxied(facts, place.id)
    return {name: clause for name, directive in DIRECTIVES.items() if (clause := _timeout(name, directive, cases))}


def _timeout(name: str, directive: str, cases: Sequence[Case]) -> Any:
    settings = [case.exchange.outcome.settings.get(directive) for case in cases]
    stated = [setting for setting in settings if isinstance(setting, Setting)]
    values = {" ".join(setting.args) for setting in stated}
    if len(values) != 1 or len(stated) != len(settings):
        return None
    return Noted({BOUND[name]: f"{seconds(values.pop()):g}s"}, seen_at(stated[0].location))


def error_pages(facts: Facts) -> Any:
    """Return the page that answers every request of some statuses when the upstream is down; None where there is none."""
    served: dict[int, set[str]] = {}
    for case in all_cases(facts, "plain"):
        outcome, response = case.exchange.outcome, case.response
        if response is None or response.status is None or response.status < 500 or outcome.selected is None:
            continue
        if "upstream-down" in outcome.when or "limited" in outcome.when:
            served.setdefault(response.status, set()).add(_page(outcome))
    pages = {page for found in served.values() for page in found if page}
    for page in sorted(pages):
        statuses = [status for status, found in sorted(served.items()) if found == {page}]
        if statuses:
            return {"statuses": statuses, "served_from": page}
    return None


def _page(outcome: Outcome) -> str:
    """Return the path of the page that answers, "" where nginx answers with its own."""
    kind, _, path = (outcome.location or "").partition(" ")
    if kind == "=" and path.startswith("/"):
        return path
    name = (outcome.action.file or "").rpartition("/")[2]
    return f"/{name}" if name and name.isascii() and name.isprintable() and " " not in name else ""


def mentioned(texts: Iterator[bytes]) -> bool:
    """Whether anything in the files is about WebSockets."""
    return any(b"websocket" in text or b"http_upgrade" in text for text in texts)
