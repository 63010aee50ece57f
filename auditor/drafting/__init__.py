"""A first policy, from what a configuration does today: green at once, with what looks wrong waived for a while.

What is promised is what every request gets today, as the evaluator sees it: origins, headers, limits, routes, doors. What
a check finds all the same is what somebody should look at: it is waived by fingerprint, so that nothing new passes with
it, until a day that is not far.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from auditor.audit import catalogue, finish, judge, predict
from auditor.dataclass import dataclass
from auditor.drafting.found import Found, installed
from auditor.drafting.observing import Drafted, observe, upstream
from auditor.drafting.places import ALL, Place, is_host, places
from auditor.drafting.proxying import error_pages, mentioned
from auditor.drafting.writing import Noted, seen_at, write
from auditor.errors import UsageError
from auditor.finding import Finding, Run, Severity, Verdict
from auditor.nginx.evaluate import Configuration
from auditor.options import Options
from auditor.plan.facts import Facts
from auditor.policy.load import LoadedPolicy, load_text
from auditor.targets import Assembler, Assembly

DAYS = 90
"""How long what looks wrong is waived."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted policy: its text, the run of `auditor check` on it, what was found and is waived for now."""

    text: str
    run: Run
    waived: tuple[tuple[Finding, ...], ...] = ()
    routes: int = 0


@dataclass(frozen=True, slots=True)
class Author:
    """Who drafts: the name of the policy and its file, the owner of its waivers, the day, and the waivers' last one."""

    name: str
    file: Path
    owner: str
    today: date
    expires: date

    @classmethod
    def of(cls, file: Path, owner: str, today: date) -> Author:
        """Name the policy after its folder, and let waivers end after a quarter."""
        return cls(file.resolve().parent.name or "edge", file, owner, today, today + timedelta(days=DAYS))


@dataclass(slots=True)
class _Work:
    """A draft in the making.

    `dropped` are rules that did not hold, or could not be decided, and why. `answers` are the configuration's, and to what
    questions: a draft that asks the same ones need not ask again.
    """

    targets: list[dict[str, Any]]
    layers: list[str]
    drafted: list[Drafted]
    exposure: dict[str, Any]
    tls: dict[str, Any]
    top: dict[str, Any]
    dropped: dict[str, str] = field(default_factory=dict)
    waivers: list[Any] = field(default_factory=list)
    answers: tuple[Any, Facts, Assembly] | None = None


def draft(found: Found, author: Author, variables: Mapping[str, str] | None = None) -> Draft:
    """Write a policy for the files that were found; `variables` fill an nginx template.

    Raises UsageError where there is nothing to write one for.
    """
    if found.nothing:
        raise UsageError(
            "no nginx, Traefik, Compose or FastAPI configuration found",
            hint="name one: auditor policy init --nginx FILE",
        )
    targets, layers = _targets(found, author.file.parent, variables or {})
    facts, assembly = _skeleton(targets, layers, author)
    if assembly.missing and not assembly.mounts and (mounts := installed(found.nginx)):
        folder = author.file.parent
        named = {inside: os.path.relpath(here, folder) for inside, here in mounts.items()}
        targets = [{**target, "mounts": named} if target["type"] == "nginx" else target for target in targets]
        facts, assembly = _skeleton(targets, layers, author)
    drafted = [observe(place, facts) for place in _places(assembly)]
    if not any(item.reached for item in drafted) and assembly.doors is None:
        raise _nothing_served(assembly)
    work = _Work(targets, layers, drafted, _exposure(assembly, drafted, facts), _tls(assembly), _top(facts))
    run = _checked(work, author)
    for _ in range(4):
        wrong = dict(_to_drop(run.findings))
        if not wrong:
            break
        work.dropped |= wrong
        run = _checked(work, author)
    groups = _groups(run.findings)
    work.waivers = [_waiver(number, group, author) for number, group in enumerate(groups, 1)]
    run = _checked(work, author)
    routes = sum(1 for item in work.drafted if item.reached)
    return Draft(_text(work, author), run, tuple(groups), routes)


def _nothing_served(assembly: Assembly) -> UsageError:
    """Say why no policy can be drafted: what was found serves nothing, or includes what would."""
    missing = next((unknown for _, unknown in assembly.missing), None)
    problem = next((problem for _, problem in assembly.problems), None)
    place = missing.location if missing else (problem.location if problem else None)
    why = missing.reason if missing else (problem.message if problem else "there is no server block in it")
    return UsageError(f"what was found serves nothing: {why}", place, "name the file with the servers: --nginx FILE")


def _targets(found: Found, folder: Path, variables: Mapping[str, str]) -> tuple[list[dict[str, Any]], list[str]]:
    def here(paths: Sequence[Path]) -> list[str]:
        return [os.path.relpath(path, folder) for path in paths]

    targets: list[dict[str, Any]] = []
    if found.traefik_static or found.traefik_dynamic:
        static = {"static": here([found.traefik_static])[0]} if found.traefik_static else {}
        dynamic = {"dynamic": here(found.traefik_dynamic)} if found.traefik_dynamic else {}
        targets.append({"id": "edge", "type": "traefik", **static, **dynamic})
    for kind, name, files in (
        ("nginx", "nginx", found.nginx),
        ("asgi", "backend", found.asgi),
        ("compose", "stack", found.compose),
        ("env", "client", found.env),
    ):
        if files:
            filled = {"variables": dict(variables)} if kind == "nginx" and variables else {}
            targets.append({"id": name, "type": kind, "files": here(files), **filled})
    return targets, [t["id"] for t in targets if t["type"] in {"traefik", "nginx", "asgi"}]


def _skeleton(targets: list[dict[str, Any]], layers: list[str], author: Author) -> tuple[Facts, Assembly]:
    """Ask every question of the configuration, with routes that promise nothing yet."""
    document: dict[str, Any] = {"version": 1, "name": author.name, "targets": targets, "layers": layers}
    document["routes"] = [{"id": "all", "match": [{"paths": ["/**"]}]}]
    first = _loaded(document, author)
    assembly = Assembler(first).assemble()
    asked: dict[str, Any] = {"cors": {}} if _mentions_cors(assembly) else {}
    asked |= {"websocket": {}} if mentioned(_texts(assembly)) else {}
    routes = [{"id": p.id, "match": [_match(p)], **asked} for p in _places(assembly)]
    document["routes"] = routes or document["routes"]
    facts, assembly = predict(_loaded(document, author), Options("policy"))
    return facts, assembly


def _mentions_cors(assembly: Assembly) -> bool:
    """Whether anything in the files can make a difference between origins."""
    if any(m.subject == "origin" for m in assembly.matchers):
        return True
    return any(b"access-control" in text or b"accesscontrol" in text for text in _texts(assembly))


def _texts(assembly: Assembly) -> Iterator[bytes]:
    """Yield what stands in the files, in lower case."""
    return (Path(file).read_bytes().lower() for target in assembly.targets for file, _ in target.files)


def _loaded(document: Mapping[str, Any], author: Author) -> LoadedPolicy:
    return load_text(write((), document), str(author.file), now=author.today, checks=[info.id for info in catalogue()])


def _places(assembly: Assembly) -> tuple[Place, ...]:
    trees = [layer.tree for _, layer in assembly.stack.layers if isinstance(layer, Configuration)]
    if trees:
        return _named(places(trees), assembly)
    if not assembly.stack.layers:
        return ()
    prefixes = sorted(
        {m.pattern for m in assembly.matchers if m.subject == "path" and m.kind == "prefix" and len(m.pattern) > 1},
        key=lambda text: (-len(text), text),
    )
    found = [
        Place(f"{text.strip('/').replace('/', '-')}", (f"{text.rstrip('/')}*", f"{text.rstrip('/')}/**"))
        for text in prefixes
    ]
    return _named((*(p for p in found if p.id.replace("-", "").isalnum()), Place("site", ALL)), assembly)


def _named(found: tuple[Place, ...], assembly: Assembly) -> tuple[Place, ...]:
    """Give routes without hosts those that a layer in front routes by, where these are a few names."""
    names = {m.pattern for m in assembly.matchers if m.subject == "host" and m.kind == "exact" and "." in m.pattern}
    names = {name for name in names if is_host(name)}
    if any(place.hosts for place in found) or not 0 < len(names) <= 4:
        return found
    return tuple(replace(place, hosts=tuple(sorted(names))) for place in found)


def _match(place: Place) -> dict[str, Any]:
    return {**({"hosts": list(place.hosts)} if place.hosts else {}), "paths": list(place.paths)}


def _exposure(assembly: Assembly, drafted: Sequence[Drafted], facts: Facts) -> dict[str, Any]:
    """Return which doors are open today, which paths nobody gets, and that nothing leads around a layer."""
    clause: dict[str, Any] = {}
    if assembly.doors is not None:
        known = [door for door in assembly.doors if not door.leads_to.endswith(":0")]  # a port that no file names
        doors = sorted({(door.leads_to, door.loopback) for door in known})
        ports = {"allow": sorted({to for to, loopback in doors if not loopback})}
        inside = sorted({to for to, loopback in doors if loopback} - set(ports["allow"]))
        clause["published_ports"] = {**ports, **({"loopback_only": inside} if inside else {})}
    internal = {n.name: {"internal": True} for n in assembly.networks or () if n.internal}
    if internal:
        clause["networks"] = internal
    backends = sorted({a for item in drafted for case in facts.of(item.place.id, "plain") if (a := upstream(case))})
    if len(assembly.stack.layers) > 1 and backends:
        clause["backends"] = backends
        clause["direct_routes"] = "forbid"
    denied = [path for item in drafted if item.denied for path in item.place.paths]
    if denied:
        clause["denied_paths"] = list(dict.fromkeys(denied))
    return clause


def _tls(assembly: Assembly) -> dict[str, Any]:
    schemes = {entry.scheme for entry in assembly.entries}
    clause = {"redirect": "required"} if schemes == {"http", "https"} else {}
    return {**clause, **({"min_version": "1.2"} if assembly.tls else {})}


def _top(facts: Facts) -> dict[str, Any]:
    """Return what is promised of every answer: the page for failures, and no version in the Server header."""
    pages = error_pages(facts)
    top = {"error_pages": pages} if pages else {}
    servers = [
        line
        for cases in facts.cases.values()
        for case in cases
        if case.response
        for line in case.response.headers.lines("Server")
    ]
    if not servers:
        return top
    rule = {"not_regex": "[0-9]", "severity": "low"}
    return top | {"headers": Noted({"Server": rule}, above=("No version in the Server header, whatever the route.",))}


def _checked(work: _Work, author: Author) -> Run:
    """Hold the configuration to the draft as `auditor check` will."""
    loaded = _loaded(_document(work, author), author)
    options = replace(Options("check"), now=author.today.isoformat())
    questions = _questions(loaded)
    if work.answers is None or work.answers[0] != questions:
        work.answers = (questions, *predict(loaded, options))
    facts, assembly = replace(work.answers[1], policy=loaded), work.answers[2]
    return finish(loaded, options, assembly, judge(loaded, [facts]), (facts,), started="")


def _questions(loaded: LoadedPolicy) -> Any:
    """Return what of a policy its probes depend on."""
    policy = loaded.policy
    routes = [
        (r.id, r.match, r.cors, r.websocket, r.rate_limit is None, r.caching and r.caching.compression)
        for r in policy.routes
    ]
    return (routes, policy.exposure, policy.tls)


KEPT = ("cors", "websocket", "headers", "rate_limit", "published_ports")
"""Clauses that stay although a check fails: the failure is what somebody should look at."""

BASIC = frozenset({"header-missing", "header-wrong-value", "rate-limit-missing"})
"""Failures that mean that a promise is not kept today, and so was none."""


def _to_drop(findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """Yield the rules that do not hold, or that cannot be decided, where nothing says that they are meant."""
    lost = {f.rule for f in findings if f.check == "header-lost-by-inheritance" and f.verdict is Verdict.FAIL}
    for finding in findings:
        if (
            finding.verdict is Verdict.PASS
            or finding.disposition != "open"
            or finding.rule.startswith(("targets.", "waivers"))
        ):
            continue
        words = finding.rule.split(".")
        kind = next((key for key in KEPT if key in words[1:2] or key == words[0]), None)
        unkept = finding.check in BASIC and finding.verdict is Verdict.FAIL and finding.rule not in lost
        if kind is None or unkept or finding.check == "rule-not-evaluated":
            yield finding.rule, finding.message


def _groups(findings: Sequence[Finding]) -> list[tuple[Finding, ...]]:
    """Put what is left together: one group for each check that fails the gate, and one for all that is undecided."""
    failing: dict[str, list[Finding]] = {}
    undecided: list[Finding] = []
    for finding in findings:
        if finding.disposition != "open" or finding.check == "configuration-refused":
            continue
        if finding.verdict is Verdict.FAIL and finding.severity >= Severity.MEDIUM:
            failing.setdefault(finding.check, []).append(finding)
        elif finding.verdict in {Verdict.UNKNOWN, Verdict.ERROR}:
            undecided.append(finding)
    groups = [tuple(group) for group in failing.values()]
    return [*groups, tuple(undecided)] if undecided else groups


def _waiver(number: int, group: Sequence[Finding], author: Author) -> Noted:
    first = group[0]
    more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
    where = seen_at(first.notes[0].location) if first.notes else ""
    if first.verdict is Verdict.FAIL:
        reason = f"There on {author.today} when this policy was drafted; to be corrected or confirmed."
        above = (f"{first.severity.word}: {first.message}{more}", f"{where}; `auditor explain {first.check}`")
    else:
        reason = f"Not decided by these files on {author.today}: describe what answers there, or audit it live."
        above = (f"unknown: {first.message}{more}", *((where,) if where else ()))
    return Noted(
        {
            "id": f"drafted-{number}",
            "checks": sorted({finding.check for finding in group}),
            "fingerprints": sorted({_pin(finding) for finding in group}),
            "reason": reason,
            "owner": author.owner,
            "expires": author.expires.isoformat(),
        },
        above=above,
    )


def _pin(finding: Finding) -> str:
    return f"{'unknown:' if finding.verdict is Verdict.UNKNOWN else ''}{finding.fingerprint[:16]}"


def _document(work: _Work, author: Author) -> dict[str, Any]:
    document: dict[str, Any] = {"version": 1, "name": author.name}
    document["targets"] = work.targets
    if work.layers:
        document["layers"] = work.layers
    document |= {key: value for key, value in work.top.items() if key not in {r.split(".")[0] for r in work.dropped}}
    routes = [_route(item, work.dropped) for item in work.drafted if item.reached]
    if routes:
        document["routes"] = routes
    for name, clause in (("exposure", work.exposure), ("tls", work.tls)):
        kept = {key: value for key, value in clause.items() if not any(_is_rule(r, name, key) for r in work.dropped)}
        if kept and not (name == "exposure" and set(kept) == {"backends"}):
            document[name] = kept
    if work.waivers:
        document["waivers"] = work.waivers
    return document


def _is_rule(rule: str, name: str, key: str) -> bool:
    return rule == f"{name}.{key}" or rule.startswith((f"{name}.{key}.", f"{name}.{key}["))


def _route(item: Drafted, dropped: Mapping[str, str]) -> Noted:
    name = item.place.id
    route: dict[str, Any] = {"id": name, "match": [_match(item.place)]}
    remarks = [*item.remarks, *(["nobody gets these paths: see denied_paths"] if item.denied else [])]
    for key, clause in item.clauses.items():
        if key == "headers":
            kept = {h: v for h, v in clause.items() if f"{name}.headers.{h}" not in dropped}
            remarks += [f"{h} is not on every answer here" for h in clause if h not in kept]
            if kept:
                route[key] = kept
        elif not any(_is_rule(rule, name, key) for rule in dropped):
            route[key] = clause
    where = seen_at(item.place.location)
    title = f"{item.place.text} ({where})" if where else item.place.text or "everything else"
    return Noted(route, above=(title, *dict.fromkeys(remarks)))


def _text(work: _Work, author: Author) -> str:
    head = (
        f"What the edge did on {author.today}, written down by `auditor policy init`: correct it, then keep it.",
        "Each line says where it was seen. A request belongs to the first route that matches it.",
        "For completion in an editor: auditor policy schema > auditor.schema.json, and as the first line of this file",
        "# yaml-language-server: $schema=auditor.schema.json",
    )
    document = _document(work, author)
    if work.waivers:
        waivers = Noted(work.waivers, above=(
            f"What looked wrong, or was not decided, on {author.today}. Each is accepted until its day, and only what was there:",
            "anything new of the same kind fails. Correct the configuration, or the policy, and remove the waiver.",
        ))  # fmt: skip
        document["waivers"] = waivers
    return write(head, document, author.file.parent)
