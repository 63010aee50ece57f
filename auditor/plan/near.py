"""Origins near those of a policy: what a server that compares them carelessly would let in, one for each carelessness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.dataclass import dataclass
from auditor.language import browser_sendable, policy_origin, registrable
from auditor.language.origins import split_origin
from auditor.plan.cells import origin_kind, origin_policy
from auditor.plan.facts import OriginCell
from auditor.policy.model import Origin

ATTACKER = "evil.example"
"""A site that no policy names (RFC 2606)."""

STRANGER = OriginCell(f"https://{ATTACKER}", allowed=False, kind="https foreign", residual=True)
"""The origin that nothing names: what answers it answers everybody."""

OPAQUE = OriginCell("null", allowed=False, kind="null")

HOSTED = "https://evil.github.io"
"""A page that anybody can put on a well-known host."""

DEVELOPMENT = "http://localhost:3000"


@dataclass(frozen=True, slots=True)
class Near:
    """The origins around one policy that a browser can send and the policy does not allow, by what they reveal.

    `scout` is accepted by most careless comparisons; `main` are the others; `last_dot` are of little use to an attacker
    (no public name ends so), and `common` are of no policy in particular. `stranger` is the origin that nothing names,
    none where the policy lets everybody in.
    """

    scout: tuple[OriginCell, ...]
    main: tuple[OriginCell, ...]
    last_dot: tuple[OriginCell, ...]
    common: tuple[OriginCell, ...]
    stranger: tuple[OriginCell, ...]


def named(items: Sequence[Origin]) -> list[str]:
    """Return one origin for each entry of a policy's list; a stranger's for `*`."""
    result = []
    for item in items:
        if item.exact is not None:
            result.append(STRANGER.value or "" if item.exact == "*" else item.exact)
        elif item.pattern is not None:
            scheme, host, port = split_origin(item.pattern)
            result.append(f"{scheme}://{host.replace('*', 'a')}" + (f":{port.replace('*', '3000')}" if port else ""))
        else:
            found = policy_origin({"regex": item.regex or ""}).least.witness()
            result += [found.decode("latin-1")] if found else []
    return list(dict.fromkeys(origin for origin in result if origin != "null"))


def near(allowed: Sequence[Origin], null_origin: str, known: Sequence[Origin] = ()) -> Near:
    """Return the origins around a policy's list; `known` are those that other rules of the policy name."""
    inside = origin_policy(allowed).most
    sendable = browser_sendable()
    trusted = named(allowed)
    seen: set[str] = set()

    def cells(values: Iterator[str]) -> tuple[OriginCell, ...]:
        fresh = []
        for value in values:
            if value not in seen and sendable.contains(value) and not inside.contains(value):
                seen.add(value)
                fresh.append(OriginCell(value, allowed=False, kind=origin_kind(value, trusted)))
        return tuple(fresh)

    scout = cells(port for origin in trusted[:1] for port in _port(origin))
    main = cells(value for origin in trusted for value in (*_around(origin), *_port(origin)))
    last_dot = cells(value for origin in trusted for value in _dots(origin)[-1:])
    others = cells(iter([DEVELOPMENT, HOSTED, *[o for o in named(known)[:1] if not trusted]]))
    opaque = (OPAQUE,) if null_origin == "deny" else ()
    return Near(scout, main, last_dot, (*opaque, *others), () if inside.contains(STRANGER.value or "") else (STRANGER,))


def _port(origin: str) -> list[str]:
    scheme, host, port = split_origin(origin)
    return [f"{scheme}://{host}:{'1337' if port == '8443' else '8443'}"]


def _around(origin: str) -> Iterator[str]:
    """Yield the origins that a prefix, suffix, substring, subdomain, scheme or half-escaped comparison would accept."""
    scheme, host, port = split_origin(origin)
    tail = f":{port}" if port else ""
    yield f"{scheme}://{host}.{ATTACKER}"
    if port and len(port) < 5:
        yield f"{origin}0"
    if "." in host and not host.replace(".", "").isdigit() and "[" not in host:
        yield f"{scheme}://{ATTACKER.partition('.')[0]}.{host}{tail}"
        yield f"{scheme}://{_shortened(host)}{tail}"
        if _depth(host) > 1:
            yield f"{scheme}://{ATTACKER.partition('.')[0]}.{registrable(host)}{tail}"
        yield from _dots(origin)[:-1]
        yield f"{scheme}://{host}`.{ATTACKER}"
    if scheme == "https":
        yield f"http://{host}{tail}"


def _shortened(host: str) -> str:
    """Return the host without its first letter (a sibling, or a substring), or with one more where it has only one."""
    return host[1:] if host.find(".") > 1 else f"evil{host}"


def _depth(host: str) -> int:
    """Count the labels before the registrable domain."""
    return host.count(".") - registrable(host).count(".")


def _dots(origin: str) -> list[str]:
    """Return the origin with each dot of its host in turn replaced: what an unescaped dot of an expression accepts."""
    scheme, host, port = split_origin(origin)
    tail = f":{port}" if port else ""
    places = [index for index, letter in enumerate(host) if letter == "."]
    if host.replace(".", "").isdigit() or "[" in host:
        return []
    return [f"{scheme}://{host[:i]}x{host[i + 1 :]}{tail}" for i in places]
