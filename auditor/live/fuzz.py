"""Requests that no plan thought of: drawn near the policy and near the configuration's patterns, guided by what is granted.

Hypothesis draws, guides (`target`), shrinks and remembers: what was let in is kept in a database, so that the next run
asks it first. The same seed, database and answers give the same requests.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, Phase, Verbosity, assume, find, settings, target
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.errors import HypothesisException, NoSuchExample

from auditor.dataclass import dataclass
from auditor.exchange import Exchange, Field, Response
from auditor.language import Language, browser_sendable, registrable
from auditor.language.origins import split_origin
from auditor.live.client import Client
from auditor.live.wire import Wire
from auditor.plan.cells import origin_kind, origin_policy
from auditor.plan.facts import OriginCell, Pattern, Probe
from auditor.plan.inquiry import SUFFIX, passes
from auditor.plan.near import ATTACKER, DEVELOPMENT, HOSTED, named
from auditor.plan.places import HTTP2, Place
from auditor.plan.refusals import CHILD
from auditor.policy.model import Cors

MOST = 12
"""Different violations after which there is no looking for more."""

TAILS = ("", SUFFIX, CHILD, "/", "?x=1", ";x=1", "/.", "//")
SPECIAL = "_`{}!~-$&'()*+,;=\"."
HOSTS = (
    "localhost",
    "127.0.0.1",
    "[::1]",
    "evil.github.io",
    "evil.vercel.app",
    "codepen.io",
    "jsfiddle.net",
    "evil.s3.amazonaws.com",
)
LABELS = ("evil", "evil.", "x", "x-", "a.b.", "xn--bcher-kva.", "xn--bcher-kva", "-", "0")


@dataclass(frozen=True, slots=True)
class Ground:
    """One URL to draw requests for: its place, the promises of its route, its paths, whether HTTP/2 is spoken there."""

    place: Place
    cors: Cors
    within: Language
    http2: bool


@dataclass(frozen=True, slots=True)
class Hunt:
    """How long to look, beginning where, remembering where: `requests` on the wire, a seed, a folder."""

    requests: int
    seed: int
    database: Path


@dataclass(frozen=True, slots=True)
class _Draw:
    ground: int
    origin: str
    method: str
    preflight: bool
    headers: tuple[str, ...]
    tail: str
    http2: bool
    cookie: bool


Key = tuple[str, str, str]
"""What makes two violations the same: the route, the purpose of the request, the kind of origin."""


def fuzz(
    client: Client, grounds: Sequence[Ground], patterns: Iterable[Pattern], known: Iterable[Key], hunt: Hunt
) -> list[tuple[Probe, Exchange]]:
    """Return what was let in although the policy refuses it, each shrunk to its smallest request.

    `patterns` are those of the configuration that origins are compared with; violations that are `known` are not looked
    for. Costs at most `hunt.requests` requests.
    """
    if not grounds:
        return []
    found: list[tuple[Probe, Exchange]] = []

    async def job(wire: Wire) -> None:
        hunting = _Hunting(client, wire, asyncio.get_running_loop(), grounds, set(known), hunt)
        try:
            await asyncio.to_thread(hunting.run, tuple(patterns))
        finally:
            hunting.over = True
            found.extend(hunting.found)

    client.run(job)
    return found


@dataclass(slots=True)
class _Hunting:
    """One hunt: what was asked, what was found, what is left to spend. Runs in a thread beside the event loop."""

    client: Client
    wire: Wire
    loop: asyncio.AbstractEventLoop
    grounds: Sequence[Ground]
    known: set[Key]
    hunt: Hunt
    over: bool = False
    spent: int = 0
    found: list[tuple[Probe, Exchange]] = field(default_factory=list)
    answers: dict[object, Exchange | None] = field(default_factory=dict)
    policies: dict[int, Language] = field(default_factory=dict)

    def run(self, patterns: Sequence[Pattern]) -> None:
        """Look for one violation after the other, until there is nothing left to spend or to find."""
        strategy = _draws(self.grounds, patterns)
        random = Random(self.hunt.seed)  # noqa: S311 - a seed that the user can give again, not a secret
        name = "|".join(sorted(self.client.target.entrypoints.values()))
        for number in range(MOST):
            if self.over or self.spent >= self.hunt.requests:
                return
            key = hashlib.sha256(f"{name}|{number}".encode()).digest()
            try:
                draw = find(strategy, self._violates, settings=self._settings(), random=random, database_key=key)
            except (NoSuchExample, HypothesisException):
                return
            probe = self._probe(draw)
            exchange = self._ask(probe)
            if exchange is None:
                return
            self.found.append((probe, exchange))
            self.known.add(_key(probe))

    def _settings(self) -> settings:
        return settings(
            max_examples=3 * max(self.hunt.requests - self.spent, 1),
            database=DirectoryBasedExampleDatabase(self.hunt.database),
            deadline=None,
            verbosity=Verbosity.quiet,
            phases=(Phase.reuse, Phase.generate, Phase.target, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )

    def _violates(self, draw: _Draw) -> bool:
        """Whether a request is let in that the policy refuses; tells Hypothesis how much was granted."""
        ground = self.grounds[draw.ground]
        assume(browser_sendable().contains(draw.origin) and not self._most(draw.ground).contains(draw.origin))
        probe = self._probe(draw)
        assume(ground.within.contains(probe.request.path) and _key(probe) not in self.known)
        exchange = self._ask(probe)
        if exchange is None or exchange.response is None:
            return False
        target(_granted(exchange.response, draw.origin), label=probe.purpose)
        return passes(probe, exchange.response) and _grants(probe, exchange.response)

    def _most(self, index: int) -> Language:
        if index not in self.policies:
            cors = self.grounds[index].cors
            allowed = origin_policy(cors.allow_origins if cors.enabled else ()).most
            null = Language.exact("null") if cors.null_origin == "allow" else Language.nothing()
            self.policies[index] = allowed | null
        return self.policies[index]

    def _probe(self, draw: _Draw) -> Probe:
        ground = self.grounds[draw.ground]
        place = replace(
            ground.place, path=ground.place.path.rstrip("/") + draw.tail if draw.tail else ground.place.path
        )
        cell = OriginCell(draw.origin, allowed=False, kind=origin_kind(draw.origin, named(ground.cors.allow_origins)))
        if draw.preflight:
            probe = place.preflight(draw.method, draw.headers, cell)
        else:
            probe = place.probe("cors", draw.method, cell)
        request = probe.request
        if draw.cookie:
            request = replace(request, headers=request.headers.plus(Field("Cookie", "session=1")))
        if draw.http2 and ground.http2:
            request = replace(request, version=HTTP2)
        return replace(probe, request=request)

    def _ask(self, probe: Probe) -> Exchange | None:
        """Send a request, or return the answer that it had before; None where nothing may be sent any more."""
        key = probe.request.wire
        if key not in self.answers:
            if self.over or self.spent >= self.hunt.requests:
                return None
            before = self.client.sent
            asking = self.client.ask(self.wire, probe.entry.name, probe.request)
            try:
                self.answers[key] = asyncio.run_coroutine_threadsafe(asking, self.loop).result()
            except (RuntimeError, asyncio.CancelledError):
                self.over = True
                return None
            self.spent += self.client.sent - before
        return self.answers[key]


def _key(probe: Probe) -> Key:
    return (probe.route, probe.purpose, probe.origin.kind)


def _granted(response: Response, origin: str) -> float:
    """Say how much an answer grants: nothing, a header about CORS, one that names the origin, its credentials."""
    about = sum(1 for line in response.headers if line.name.lower().startswith("access-control-"))
    value = response.headers.get("Access-Control-Allow-Origin") or ""
    shared = next(
        (i for i, (a, b) in enumerate(zip(value, origin, strict=False)) if a != b), min(len(value), len(origin))
    )
    return (
        about
        + shared / 4
        + 8 * (value == origin)
        + 4 * (response.headers.get("Access-Control-Allow-Credentials") == "true")
    )


def _grants(probe: Probe, response: Response) -> bool:
    """Whether a preflight's answer lets the request be sent."""
    if probe.purpose != "preflight" or probe.method in {"GET", "HEAD", "POST"}:
        return True
    value = response.headers.combined("Access-Control-Allow-Methods") or ""
    return bool({part.strip() for part in value.split(",")} & {probe.method, "*"})


# -- what is drawn -------------------------------------------------------------------------------------------------------


def _draws(grounds: Sequence[Ground], patterns: Sequence[Pattern]) -> st.SearchStrategy[_Draw]:
    methods = [
        "GET",
        *sorted({m for g in grounds for m in g.cors.allow_methods or () if m not in {"GET", "OPTIONS", "*"}}),
        "BREW",
    ]
    names = sorted({h.lower() for g in grounds for h in g.cors.allow_headers or () if h != "*"} | {"x-anything"})
    simple = ["GET", "HEAD"]
    origins = _origins(grounds, patterns)
    rest = {
        "ground": st.integers(0, len(grounds) - 1),
        "origin": origins,
        "tail": st.one_of(st.just(""), st.sampled_from(TAILS)),
        "http2": st.booleans(),
        "cookie": st.booleans(),
    }
    plain = st.builds(
        _Draw, method=st.sampled_from(simple), preflight=st.just(value=False), headers=st.just(()), **rest
    )
    asking = st.builds(
        _Draw,
        method=st.sampled_from(methods),
        preflight=st.just(value=True),
        headers=st.lists(st.sampled_from(names), unique=True, max_size=3).map(lambda found: tuple(sorted(found))),
        **rest,
    )
    return st.one_of(plain, asking)


def _origins(grounds: Sequence[Ground], patterns: Sequence[Pattern]) -> st.SearchStrategy[str]:
    """Return origins near those that the policy names, near the patterns that the configuration compares with, and known ones."""
    trusted = list(dict.fromkeys(o for g in grounds for o in named(g.cors.allow_origins))) or [f"https://{ATTACKER}"]
    known = st.sampled_from(
        [f"https://{ATTACKER}", "null", DEVELOPMENT, HOSTED, *(f"https://{host}" for host in HOSTS)]
    )
    near = _near(trusted)
    of_patterns = [drawn for pattern in patterns if (drawn := _of_pattern(pattern)) is not None]
    return st.one_of(known, near, *of_patterns)


def _near(origins: Sequence[str]) -> st.SearchStrategy[str]:
    """Return origins made of others by what comparisons get wrong: one thing wrong, or several at once."""
    single = [wrong for origin in origins for wrong in _wrong(origin)]
    hosts: dict[str, None] = {}
    for origin in origins:
        host = split_origin(origin)[1]
        hosts |= dict.fromkeys([host, registrable(host), host[1:]])
    several = st.builds(
        lambda *parts: "".join(parts),
        st.sampled_from(["https://", "http://"]),
        st.one_of(st.just(""), st.sampled_from(LABELS)),
        st.sampled_from(list(hosts)),
        st.one_of(st.just(""), st.sampled_from([f"{c}.{ATTACKER}" for c in ("", *SPECIAL)])),
        st.one_of(st.just(""), st.sampled_from([":8443", ":1337", ":1"])),
    )
    return st.one_of(st.sampled_from(single), st.sampled_from(single), several)


def _wrong(origin: str) -> Iterator[str]:
    """Yield the origin with one thing about it that a careless comparison overlooks."""
    scheme, host, port = split_origin(origin)
    tail = f":{port}" if port else ""
    for after in (f".{ATTACKER}", ATTACKER, *(f"{c}.{ATTACKER}" for c in SPECIAL)):
        yield f"{scheme}://{host}{after}"
    for label in LABELS:
        yield f"{scheme}://{label}{host}{tail}"
    for index in (index for index, letter in enumerate(host) if letter == "."):
        yield f"{scheme}://{host[:index]}x{host[index + 1 :]}{tail}"
        yield f"{scheme}://{host[:index]}-{host[index + 1 :]}{tail}"
    for other in (f"{host}.", host[1:], registrable(host), f"evil.{registrable(host)}"):
        yield f"{scheme}://{other}{tail}"
    for number in ("8443", "1337", "1", *([f"{port}0"] if port else [])):
        yield f"{scheme}://{host}:{number}"
    yield f"{'http' if scheme == 'https' else 'https'}://{host}{tail}"


def _of_pattern(pattern: Pattern) -> st.SearchStrategy[str] | None:
    """Return strings that a pattern of the configuration accepts, where Python's expressions can say it."""
    if not pattern.is_regex:
        return _near([pattern.text]) if "://" in pattern.text else None
    try:
        compiled = re.compile(pattern.text, re.IGNORECASE if pattern.caseless else 0)
    except re.error:
        return None
    lower: Callable[[str], str] = str.lower
    return st.from_regex(compiled, alphabet=st.characters(min_codepoint=33, max_codepoint=126)).map(lower)
