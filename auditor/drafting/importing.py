"""Rules written for other programs, as a policy: Gateway API, Traefik, Starlette and drHEADer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from auditor.drafting.writing import Noted, write
from auditor.errors import Location, UsageError
from auditor.policy import origins

CORS_KEYS = {
    "allowMethods": "allow_methods",
    "allowHeaders": "allow_headers",
    "exposeHeaders": "expose_headers",
}


def import_policy(kind: str, file: Path) -> str:
    """Return the policy that says what a file of another program says.

    Raises UsageError where the file cannot be read, or says nothing of the kind.
    """
    routes, headers = READERS[kind](file)
    if not routes and not headers:
        raise UsageError(f"{file} has no rules of {kind}", Location(str(file)), EXPECTED[kind])
    document: dict[str, Any] = {"version": 1, "name": file.stem or "imported"}
    if headers:
        document["headers"] = headers
    document["routes"] = routes or [{"id": "all", "match": [{"paths": ["/**"]}]}]
    head = (
        f"From {file.name} ({kind}): what is commented was not taken over as it is.",
        "Add targets: what this is about.",
    )
    return write(head, document)


def _documents(file: Path) -> list[Any]:
    try:
        return [item for item in yaml.safe_load_all(file.read_text("utf-8")) if isinstance(item, dict)]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = Location(str(file), mark.line + 1, mark.column + 1) if mark else Location(str(file))
        raise UsageError(f"{file} is not YAML: {getattr(error, 'problem', None) or error}", place) from None


Read = tuple[list[Any], dict[str, Any]]


def _gateway_api(file: Path) -> Read:
    """Read the CORS filters of HTTPRoutes (Gateway API, HTTPCORSFilter)."""
    routes = []
    for document in _documents(file):
        spec = document.get("spec") or {}
        for index, rule in enumerate(spec.get("rules") or [] if document.get("kind") == "HTTPRoute" else ()):
            filters = [f.get("cors") for f in rule.get("filters") or [] if f.get("type") == "CORS"]
            if filters and isinstance(filters[0], dict):
                name = (document.get("metadata") or {}).get("name", "route")
                route: dict[str, Any] = {"id": f"{name}-{index + 1}"}
                route["match"] = [_gateway_match(match, spec) for match in rule.get("matches") or [{}]]
                backends = rule.get("backendRefs") or []
                if len(backends) == 1 and backends[0].get("port"):
                    route["served_by"] = f"{backends[0]['name']}:{backends[0]['port']}"
                route["cors"] = _cors(filters[0], max_age=filters[0].get("maxAge", 5))
                routes.append(route)
    return routes, {}


def _gateway_match(match: Mapping[str, Any], spec: Mapping[str, Any]) -> Any:
    path = match.get("path") or {"type": "PathPrefix", "value": "/"}
    value = str(path.get("value", "/"))
    result: dict[str, Any] = {"hosts": list(spec["hostnames"])} if spec.get("hostnames") else {}
    if path.get("type") == "Exact":
        result["paths"] = [value]
    elif path.get("type") == "RegularExpression":
        result["paths"] = Noted(["/**"], f"the route's expression {value} is wider here: write globs")
    else:
        result["paths"] = ["/**"] if value == "/" else [value.rstrip("/"), f"{value.rstrip('/')}/**"]
    return result | ({"methods": [match["method"]]} if match.get("method") else {})


def _cors(said: Mapping[str, Any], *, max_age: Any = None) -> dict[str, Any]:
    """Return Gateway API's words, which Istio's and others' resemble, as a clause."""
    clause: dict[str, Any] = {"allow_origins": [_origin(str(item)) for item in said.get("allowOrigins") or ()]}
    for theirs, ours in CORS_KEYS.items():
        words = [str(word) for word in said.get(theirs) or ()]
        if words and "*" not in words:
            clause[ours] = words
    if said.get("allowCredentials") is True:
        if clause["allow_origins"] == ["*"]:
            clause["allow_credentials"] = Noted(value=False, note="credentials with * were asked for: name the origins")
        else:
            clause["allow_credentials"] = True
    if isinstance(max_age, int) and max_age >= 0:
        clause["max_age"] = {"max": f"{max_age}s"}
    return clause


def _origin(text: str) -> Any:
    """Return an origin as a policy writes it: exact, with a wildcard, or an expression where it is one."""
    for check, item in ((origins.exact, text), (origins.pattern, {"pattern": text})):
        try:
            check(text)
        except origins.OriginError:
            continue
        return item
    return Noted({"exact": text}, "no browser sends this: correct it")


def _expression(text: str) -> Any:
    from auditor.drafting.origins import corrected  # noqa: PLC0415 - only where there is one

    for candidate, note in ((text, ""), (corrected(text), f"{text} lets in more")):
        try:
            origins.regex(candidate)
        except origins.OriginError:
            continue
        return Noted({"regex": candidate}, note) if note else {"regex": candidate}
    return Noted({"regex": corrected(text)}, f"{text} is not taken over as it is: correct it")


def _traefik(file: Path) -> Read:
    """Read the headers middlewares of a dynamic configuration (Traefik, Headers)."""
    routes = []
    for document in _documents(file):
        http = document.get("http") or {}
        routers = http.get("routers") or {}
        for name, middleware in (http.get("middlewares") or {}).items():
            said = {key.lower(): value for key, value in ((middleware or {}).get("headers") or {}).items()}
            if not said:
                continue
            rules = [
                r.get("rule", "")
                for r in routers.values()
                if name in {m.partition("@")[0] for m in r.get("middlewares") or ()}
            ]
            route: dict[str, Any] = {"id": re.sub(r"[^A-Za-z0-9_.-]+", "-", str(name)), "match": _traefik_match(rules)}
            route |= _traefik_clauses(said)
            routes.append(route)
    return routes, {}


def _traefik_match(rules: list[str]) -> list[Any]:
    matches: list[Any] = []
    for rule in rules:
        hosts = re.findall(r"\bHost\(([^)]*)\)", rule)
        prefixes = re.findall(r"\bPathPrefix\(`([^`]*)`", rule)
        exact = re.findall(r"\bPath\(`([^`]*)`", rule)
        paths = [
            *exact,
            *(
                glob
                for p in prefixes
                for glob in ((f"{p.rstrip('/')}*", f"{p.rstrip('/')}*/**") if p != "/" else ("/**",))
            ),
        ]
        names = [name for group in hosts for name in re.findall(r"`([^`]*)`", group)]
        match: dict[str, Any] = {**({"hosts": names} if names else {}), "paths": paths or ["/**"]}
        simple = not re.search(r"[!]|\|\||Regexp|Header|Query|ClientIP|Method", rule)
        matches.append(match if simple else {**match, "paths": Noted(match["paths"], f"the rule is {rule}")})
    return matches or [{"paths": ["/**"]}]


def _traefik_clauses(said: Mapping[str, Any]) -> dict[str, Any]:
    clauses: dict[str, Any] = {}
    listed = [_origin(str(item)) for item in said.get("accesscontrolalloworiginlist") or ()]
    listed += [_expression(str(item)) for item in said.get("accesscontrolalloworiginlistregex") or ()]
    if listed:
        words = {
            "allowMethods": said.get("accesscontrolallowmethods"),
            "allowHeaders": said.get("accesscontrolallowheaders"),
            "exposeHeaders": said.get("accesscontrolexposeheaders"),
            "allowCredentials": said.get("accesscontrolallowcredentials"),
        }
        cors = _cors(
            {**words, "allowOrigins": ["*"] if listed == ["*"] else []}, max_age=said.get("accesscontrolmaxage")
        )
        clauses["cors"] = cors | {"allow_origins": listed} | ({"vary": ["Origin"]} if said.get("addvaryheader") else {})
    headers = dict(_traefik_headers(said))
    return clauses | ({"headers": headers} if headers else {})


def _traefik_headers(said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    seconds = said.get("stsseconds")
    if isinstance(seconds, int) and seconds > 0:
        more = {
            key: True
            for key, name in (("include_subdomains", "stsincludesubdomains"), ("preload", "stspreload"))
            if said.get(name)
        }
        yield "Strict-Transport-Security", {"hsts": {"min_max_age": f"{seconds}s", **more}}
    if said.get("customframeoptionsvalue") or said.get("framedeny"):
        yield "X-Frame-Options", str(said.get("customframeoptionsvalue") or "DENY")
    if said.get("contenttypenosniff"):
        yield "X-Content-Type-Options", "nosniff"
    for key, name in (
        ("contentsecuritypolicy", "Content-Security-Policy"),
        ("referrerpolicy", "Referrer-Policy"),
        ("permissionspolicy", "Permissions-Policy"),
    ):
        if said.get(key):
            yield name, str(said[key])
    for name, value in (said.get("customresponseheaders") or {}).items():
        yield str(name), str(value) if value else {"absent": True}


def _starlette(file: Path) -> Read:
    """Read the CORSMiddleware of an application's source, without running it."""
    from auditor.backend import load  # noqa: PLC0415 - only for applications

    try:
        application = load([file])
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    routes = []
    for number, cors in enumerate(application.cors, 1):
        said = {
            "allowOrigins": cors.allow_origins,
            "allowMethods": cors.allow_methods,
            "allowHeaders": cors.allow_headers,
            "exposeHeaders": cors.expose_headers,
            "allowCredentials": cors.allow_credentials,
        }
        clause = _cors(said, max_age=cors.max_age)
        if cors.allow_origin_regex:
            whole = cors.allow_origin_regex.removeprefix("^").removesuffix("$")
            clause["allow_origins"].append(_expression(f"^(?:{whole})$" if "|" in whole else f"^{whole}$"))
        clause["preflight"] = Noted({"on_disallowed": {"status": [400]}}, "Starlette refuses with 400")
        routes.append({"id": "app" if number == 1 else f"app-{number}", "match": [{"paths": ["/**"]}], "cors": clause})
    return routes, {}


def _drheader(file: Path) -> Read:
    """Read a rules file of drHEADer: header names, each with what is required of it."""
    headers: dict[str, Any] = {}
    for document in _documents(file):
        rules = document.get("Headers") if isinstance(document.get("Headers"), dict) else document
        for name, rule in (rules or {}).items():
            if isinstance(rule, dict):
                said = {str(key).lower(): value for key, value in rule.items()}
                if "required" in said:
                    headers[str(name)] = _drheader_rule(said)
    return [], headers


def _drheader_rule(said: Mapping[str, Any]) -> Any:
    if str(said["required"]).lower() == "false":
        return {"absent": True}
    rule: dict[str, Any] = {}
    remarks = [key for key in ("directives", "value-any-of", "must-contain-one") if said.get(key)]
    if said.get("value"):
        rule["exact"] = "; ".join(map(str, said["value"])) if isinstance(said["value"], list) else str(said["value"])
    for theirs, ours in (("value-one-of", "one_of"), ("must-contain", "contains"), ("must-avoid", "not_contain")):
        if said.get(theirs):
            rule[ours] = [str(word) for word in (said[theirs] if isinstance(said[theirs], list) else [said[theirs]])]
    if not rule:
        rule["present"] = True
    if str(said["required"]).lower() == "optional":
        rule["optional"] = True
    if str(said.get("severity", "")).lower() in {"low", "medium", "high", "critical"}:
        rule["severity"] = str(said["severity"]).lower()
    return Noted(rule, f"not taken over: {', '.join(remarks)}") if remarks else rule


READERS: Mapping[str, Callable[[Path], Read]] = {
    "gateway-api": _gateway_api,
    "traefik": _traefik,
    "starlette": _starlette,
    "drheader": _drheader,
}
EXPECTED = {
    "gateway-api": "a YAML file with an HTTPRoute whose rules have a filter of type CORS",
    "traefik": "a dynamic configuration with a headers middleware",
    "starlette": "a Python file that adds CORSMiddleware",
    "drheader": "a rules file: header names, each with Required",
}
