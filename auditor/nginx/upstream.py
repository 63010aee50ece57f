"""The proxied answer: asking the upstream, or listing what it may say, and sending its answer on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from auditor.exchange import UNKNOWN_VALUE, Action, Field, Headers, Outcome, Request, Response, Unknown
from auditor.nginx.aim import Aim, aim_of, is_literal
from auditor.nginx.explaining import overridden
from auditor.nginx.proxy import (
    HANDLED,
    Passing,
    build_uri,
    passing_of,
    request_for,
    rewrite_cookie,
    rewrite_location,
    source_of,
)
from auditor.nginx.rewrite import text_of
from auditor.nginx.state import WAITS_FOR_NOTHING, Run, Undecided
from auditor.nginx.template import ScriptError
from auditor.nginx.tokens import Directive
from auditor.nginx.uri import decode, normalise
from auditor.nginx.variables import parse_literal

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine, Phase

_CHARSET = r"(?i);\s*charset=(.*)\Z"
SURVIVORS = frozenset(
    {"content-type", "set-cookie", "content-disposition", "cache-control", "expires", "accept-ranges"}
)
"""What is left of an upstream's headers after X-Accel-Redirect."""
SINGLE = frozenset(
    {
        "content-type", "date", "last-modified", "etag", "server", "location", "refresh", "expires",
         "content-length",
    }
)  # fmt: skip
"""Of these an upstream may send one line only; later ones are dropped (`ngx_http_upstream_process_header_line`)."""
_JUDGEMENTS = (("allowed", 200), ("refused-401", 401), ("refused-403", 403), ("authorization-failed", 500))
"""What whoever is asked by `auth_request` may say."""
_NO_UNDERFLOW = (1, 29, 4)
"""The first version that knows a URI that is shorter than the location's name (try_files makes it so; CHANGES)."""
_OPEN = ("upstream-success", "upstream-error", "upstream-down")


def passing(engine: Engine, run: Run) -> Passing | None:
    """Return what the node in force passes on; None where another block chose the handler and this one has none."""
    if run.handler is None or run.handler.handler is None:
        raise ValueError(run.node)
    key = (id(run.node), run.handler.handler.name)
    if key not in engine.passings:
        source = source_of(run.node, run.handler.handler.name)
        engine.passings[key] = None if source is None else passing_of(engine, run.node, source)
    return engine.passings[key]


def proxy(engine: Engine, run: Run) -> Phase | None:
    """Pass the request on (proxy_pass, fastcgi_pass, …) and answer with what comes back."""
    what = passing(engine, run)
    if what is None:
        run.upstream.address = ""
        run.note("", run.node.place, "this block has no upstream of its own, though a block before it chose one: 500")
        return engine.finish(run, 500)
    try:
        aim = aim_of(run, what)
    except ScriptError:
        aim = None
    return engine.finish(run, 500) if aim is None else _pass(engine, run, what, aim)


def _pass(engine: Engine, run: Run, what: Passing, aim: Aim) -> Phase | None:
    run.upstream.address = _proxy_host(aim.scheme, aim.address) if what.family == "proxy" else ""
    most = engine.settings(run.node).max_body
    if run.main and run.chunked and most and run.request.body_length > most and not run.discarded:
        run.note("client_max_body_size", None, "the body is too large: 413")
        run.discarded = True
        run.received = UNKNOWN_VALUE  # the chunks before the one that was too much
        return engine.finish(run, 413)
    peers, backups = engine.peers(aim.address)
    if not peers:
        peers, backups = backups, ()
    somewhere = bool(peers)
    peers = peers or (aim.address,)
    if aim.uri and aim.evaluated is None and run.valid_location and engine.version < _NO_UNDERFLOW:
        _underflow(run, what)
    target = build_uri(run, what, aim.evaluated, aim.uri)
    run.body_read = run.received or str(run.request.body_length)
    run.sent_on = True
    try:
        asked = request_for(run, what, aim.scheme, peers[0], target, aim.address)
        engine.read_hash(run, aim.address)
    except ScriptError:
        return engine.finish(run, 500)
    status = 0 if somewhere else _nowhere(engine, run, what, aim)
    if status:
        return engine.finish(run, status)
    run.statuses += " : " if run.statuses else ""
    run.addresses += " : " if run.addresses else ""
    if run.cut_short:
        if peers[0].startswith("unix:"):  # whether somebody listens there is known at once, and then it is 502
            raise Undecided(Unknown("a filter has ended the answer with 412", what.directive.location))
        run.note(text_of(what.directive), what.directive.location, WAITS_FOR_NOTHING)
        return engine.close(run, 444)
    if run.why is not None:
        run.note(text_of(what.directive), what.directive.location, f"asks {aim.scheme}://{peers[0]}{target}")
        overridden(run, run.node, f"{what.family}_set_header")
    return _exchange(engine, run, what, asked, (peers, backups), aim.scheme)


def _nowhere(engine: Engine, run: Run, what: Passing, aim: Aim) -> int:
    """Return the status where no server has the name that was asked for; 0 where the name itself is one."""
    block = engine.http.upstreams.get(aim.address.lower())
    status, why = 0, ""
    if block is not None and any(line.name == "server" for line in block.block or ()):
        status, why = 502, f"every server of {aim.address} is marked down: 502"
        run.upstream.status = 502
        run.statuses += " : 502" if run.statuses else "502"
        run.addresses += f" : {aim.address}" if run.addresses else aim.address
    elif aim.portless:
        status, why = 500, f"{aim.address} has no port: 500"
    elif aim.evaluated is not None and not is_literal(aim.address) and not run.node.find("resolver"):
        status, why = 502, f"{aim.address} cannot be resolved: no resolver"
    if status:
        run.note(text_of(what.directive), what.directive.location, why)
    return status


def _underflow(run: Run, what: Passing) -> None:
    """Refuse to say what an nginx sends that takes more off a URI than it has: it reads memory of others, or dies."""
    if len(run.uri) < len(what.location_name):
        why = f"this nginx reads outside its memory: it takes {what.location_name} off the shorter URI {run.uri}"
        raise Undecided(Unknown(why, what.directive.location))


def _proxy_host(scheme: str, address: str) -> str:
    name, _, port = address.partition(":") if not address.startswith("[") else (address, "", "")
    return f"{address} {port or ('443' if scheme.endswith('s') else '80')}" if name else address


@lru_cache(maxsize=1024)
def _numeric(address: str) -> bool:
    """Whether an address with its port is what nginx connects to, with no name to be looked up."""
    host = address.rsplit(":", 1)[0]
    return address.startswith("unix:") or parse_literal(host.strip("[]")) is not None


def _exchange(  # noqa: PLR0917 - follows nginx's own
    engine: Engine, run: Run, what: Passing, asked: Request, every: tuple[tuple[str, ...], tuple[str, ...]], scheme: str
) -> Phase | None:
    """Ask one peer after the other, or list what any backend may answer."""
    peers, backups = every
    orders = tuple(dict.fromkeys(peers[first:] + peers[:first] for first in range(len(peers))))
    first = run.choose(("peer", asked.target, *peers), len(orders)) if len(orders) > 1 else 0
    order = orders[first] + backups
    again = what.next_upstream
    for number, peer in enumerate(order):
        default = ":443" if scheme.endswith("s") else ":80"
        listen = peer if ":" in peer.rsplit("]", 1)[-1] else peer + (default if scheme in {"http", "https"} else "")
        request = Request(
            asked.method, asked.target, asked.headers, asked.scheme, asked.version, listen, "", None, asked.body_length
        )
        run.upstream_request = request
        run.addresses += (", " if number else "") + (listen if _numeric(listen) else UNKNOWN_VALUE)
        run.action = Action("proxy", f"{scheme}://{peer}{asked.target if scheme in {'http', 'https'} else ''}")
        if run.ask is None:
            return _any(engine, run, what)
        outcomes = next((known for earlier, known in run.asked if earlier == request), None)
        if outcomes is None:
            outcomes = tuple(run.ask(request))
            run.asked.append((request, outcomes))
        if len(outcomes) == 1:
            outcome = outcomes[0]
        elif number + 1 < len(order):
            outcome = outcomes[run.choose(("answer", str(len(run.taken)), peer), len(outcomes))]
        else:
            run.statuses += ", " if number else ""
            return run.fork(len(outcomes), partial(_picked, engine, what, outcomes))
        run.statuses += ", " if number else ""
        if number + 1 < len(order) and fails(run, outcome, again):
            run.statuses += _status_text(outcome)
            if outcome.response is not None:
                _override_charset(run, what, outcome.response)
            continue
        return _picked(engine, what, (outcome,), run, 0)
    return None


def _picked(engine: Engine, what: Passing, outcomes: tuple[Outcome, ...], run: Run, pick: int) -> Phase | None:
    run.statuses += _status_text(outcomes[pick])
    return _given(engine, run, what, outcomes[pick])


def _status_text(outcome: Outcome) -> str:
    if outcome.response is None:
        return "502"
    return UNKNOWN_VALUE if outcome.response.status is None else f"{outcome.response.status:03d}"


def fails(run: Run, outcome: Outcome, again: frozenset[str]) -> bool:
    """Whether this answer makes nginx ask the next server (`proxy_next_upstream`)."""
    if outcome.response is None:
        return "error" in again
    idempotent = run.method not in {"POST", "LOCK", "PATCH"} or "non_idempotent" in again
    return idempotent and f"http_{outcome.response.status}" in again


def _any(engine: Engine, run: Run, what: Passing) -> Phase | None:
    """Follow what a backend that nobody described may do."""
    if run.authorising:
        pick = run.choose(("backend", str(len(run.taken))), len(_JUDGEMENTS))
        run.when += (_JUDGEMENTS[pick][0],)
        run.statuses += str(_JUDGEMENTS[pick][1])
        return receive(engine, run, what, Response(_JUDGEMENTS[pick][1], Headers(), None, further_headers=True))
    return run.fork(len(_OPEN), partial(_opened, engine, what))


def _opened(engine: Engine, what: Passing, run: Run, pick: int) -> Phase | None:
    run.when += (_OPEN[pick],)
    run.statuses += ("200", "500", "502")[pick]
    if pick == 2:
        return down(engine, run)
    return receive(engine, run, what, Response((200, 500)[pick], Headers(), None, further_headers=True))


def _given(engine: Engine, run: Run, what: Passing, outcome: Outcome) -> Phase | None:
    run.inner += (outcome,)
    if outcome.when != "always":
        run.when += (outcome.when,)
    if outcome.response is None:
        run.when += ("upstream-down",)
        return down(engine, run)
    return receive(engine, run, what, outcome.response)


def down(engine: Engine, run: Run) -> Phase | None:
    """Answer for an upstream that did not."""
    run.upstream.status = 502
    run.note("", None, "the upstream does not answer: 502")
    return engine.finish(run, 502)


def receive(engine: Engine, run: Run, what: Passing, response: Response) -> Phase | None:  # noqa: C901 - follows nginx's own
    """Send an upstream's answer on, as far as nothing replaces it."""
    run.upstream.status = response.status
    run.upstream.headers = response.headers.fields
    run.upstream.further = response.further_headers
    status = response.status
    _override_charset(run, what, response)
    if status is not None and status >= 300 and what.intercept:
        for candidate in engine.settings(run.node).error_pages:
            if candidate.status == status:
                if status == 401:
                    run.sent.extend(line for line in response.headers if line.name.lower() == "www-authenticate")
                run.note("proxy_intercept_errors on", None, f"replaces the upstream's {status}")
                return engine.finish(run, status)
    accel = response.headers.get("X-Accel-Redirect")
    if accel is not None and "x-accel-redirect" not in what.ignored:
        return accel_redirect(engine, run, what, response, accel)
    if status is None:
        raise Undecided(Unknown("the upstream's status is not decided", what.directive.location))
    run.status = status
    run.proxied = not run.err_status
    run.unconditional = True
    run.further = response.further_headers
    run.absent |= response.absent | (what.hidden if response.further_headers else frozenset())
    run.body = response.body
    for line in accepted(engine, response):
        copy(run, what, line, response)
    if response.further_headers:
        if run.content_length is None:
            run.content_length = UNKNOWN_VALUE
        if run.content_type is None:
            run.content_type = UNKNOWN_VALUE
    return engine.send(run)


def _override_charset(run: Run, what: Passing, response: Response) -> None:
    """Take the charset that an upstream orders, whatever becomes of its answer (`ngx_http_upstream_process_charset`)."""
    override = response.headers.get("X-Accel-Charset")
    if override and "x-accel-charset" not in what.ignored:
        run.override_charset = override


def accepted(engine: Engine, response: Response) -> Iterator[Field]:
    """Return an upstream's header lines without the repeated ones that nginx drops."""
    seen: set[str] = set()
    for line in response.headers.fields:
        name = line.name.lower()
        if name in seen and engine.version >= (1, 23, 0):
            continue
        if name in SINGLE:
            seen.add(name)
        yield line


def copy(run: Run, what: Passing, line: Field, response: Response, *, hiding: bool = True) -> None:  # noqa: C901 - follows nginx's own
    """Copy one upstream header line (`ngx_http_upstream_process_headers`)."""
    name = line.name.lower()
    if hiding and name in what.hidden and name not in {"content-length", "transfer-encoding"}:
        return
    if name in HANDLED:
        if name == "content-type":
            run.content_type, run.content_type_by = line.value, line.made_by
            run.charset = ""
            given = re.search(_CHARSET, line.value)
            run.given_charset = given[1].strip('"') if given else ""
        elif name == "content-length" and not response.headers.get("Transfer-Encoding"):
            run.content_length = line.value
        elif name == "connection" and run.status == 101:
            return
        return
    if name in {"server", "date"}:
        run.replaced.add(name)
    if name == "content-encoding":
        run.encoded = True
    if name == "location":
        changed = rewrite_location(run, what, line.value)
        if changed is not None:
            line = Field(line.name, changed, line.made_by, line.layer)
        if changed is not None or not (what.redirections or line.value.startswith("/")):
            run.redirect = line
    elif name == "refresh":
        at = line.value.lower().find("url=") + 4
        changed = rewrite_location(run, what, line.value[at:]) if at > 3 else None
        if changed is not None:
            line = Field(line.name, line.value[:at] + changed, line.made_by, line.layer)
    if name == "set-cookie":
        value = rewrite_cookie(run, what, line.value)
        run.sent.append(line if value == line.value else Field(line.name, value, line.made_by, line.layer))
        return
    run.sent.append(line)


def accel_redirect(engine: Engine, run: Run, what: Passing, response: Response, value: str) -> Phase | None:
    """Follow an upstream's X-Accel-Redirect."""
    for line in accepted(engine, response):
        if line.name.lower() in SURVIVORS:
            copy(run, what, line, response, hiding=False)
    run.note("X-Accel-Redirect", None, f"the upstream sends nginx to {value}")
    if value.startswith("@"):
        return engine.named(run, value)
    path, _, args = value.partition("?")
    decoded = decode(path)
    if decoded is None or not decoded.startswith("/") or normalise(decoded) is None or "/../" in decoded + "/":
        return engine.finish(run, 404)
    if not run.head:
        run.method = "GET"
    return engine.redirect(run, decoded, args)


def peers_of(directive: Directive) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the addresses of an upstream block: the servers in use, and the backups."""
    first: list[str] = []
    backup: list[str] = []
    for line in directive.block or ():
        if line.name != "server" or not line.args or "down" in line.args[1:]:
            continue
        address = line.args[0]
        if not address.startswith("unix:") and ":" not in address.rsplit("]", 1)[-1]:
            address += ":80"
        (backup if "backup" in line.args[1:] else first).append(address)
    return tuple(first), tuple(backup)
