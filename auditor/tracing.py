"""`auditor trace`: the answer of one nginx configuration to a request, told or as JSON (contract, section 4)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from auditor.errors import Location, UsageError
from auditor.exchange import Headers, Limit, Outcome, Request
from auditor.nginx import Configuration, load


def trace_one(url: str, values: Mapping[str, Any]) -> str:
    """Answer one request given as a URL, a method and header lines."""
    configuration = _configuration(values)
    request = request_of(url, values["method"], values["headers"])
    if values["form"] == "json":
        outcomes = configuration.answer(request, explain=True)
        return json.dumps({"id": "1", "outcomes": [outcome_json(outcome) for outcome in outcomes]}, indent=2)
    from auditor.nginx.story import tell  # noqa: PLC0415 - only the text form tells stories

    return tell(configuration, request)


def trace_file(file: Path, values: Mapping[str, Any]) -> Iterator[str]:
    """Answer every request of a file of JSON lines, a line each."""
    configuration = _configuration(values)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {error}") from None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            request = _from_json(item)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"line {number} is no request: {error}"
            raise UsageError(message, Location(str(file), number), "see auditor trace --help") from None
        outcomes = configuration.answer(request, explain=True)
        yield json.dumps(
            {"id": item.get("id", str(number)), "outcomes": [outcome_json(outcome) for outcome in outcomes]}
        )


def _configuration(values: Mapping[str, Any]) -> Configuration:
    files: Sequence[Path] = values["configs"]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise UsageError(f"there is no file {missing}")
    return load(
        files,
        prefix=values["prefix"] or files[0].parent,
        mounts=values["mounts"],
        variables=values["variables"],
        version=values["nginx_version"] or "1.31.3",
    )


def request_of(url: str, method: str, headers: Sequence[str]) -> Request:
    """Build the request that curl would send for this URL."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{url!r} is not an http or https URL", hint="such as http://shop.example/api/x")
    pairs = []
    for line in headers:
        name, separator, value = line.partition(":")
        if not separator or not name.strip():
            raise UsageError(f"{line!r} is not a header line", hint="such as -H 'Origin: https://evil.example'")
        pairs.append((name.strip(), value.strip()))
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("Host", parts.netloc.rpartition("@")[2]))
    authority = url.partition("://")[2] if "://" in url else url
    target = authority[len(parts.netloc) :].partition("#")[0] or "/"
    target = target if target.startswith("/") else f"/{target}"
    port = f":{parts.port}" if parts.port else ""
    sni = parts.hostname if parts.scheme == "https" else None
    return Request(method, target, Headers.of(pairs), scheme=parts.scheme, listen=port, sni=sni)


def _from_json(item: Mapping[str, Any]) -> Request:
    headers = Headers.of((str(name), str(value)) for name, value in item.get("headers", []))
    return Request(
        str(item.get("method", "GET")),
        str(item.get("target", "/")),
        headers,
        scheme=str(item.get("scheme", "http")),
        version=str(item.get("version", "1.1")),
        listen=str(item.get("listen", "")),
        client=str(item.get("client", "127.0.0.1")),
        sni=item.get("sni"),
    )


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as `auditor trace -f json` prints it."""
    response, upstream = outcome.response, outcome.upstream_request
    return {
        "when": outcome.when,
        "status": response.status if response else None,
        "server": outcome.server,
        "location": outcome.location,
        "action": {
            "kind": outcome.action.kind,
            "upstream": outcome.action.upstream,
            "body": response.body if response else None,
        },
        "headers": [
            {
                "name": line.name,
                "value": line.value,
                "file": line.made_by.file if line.made_by else None,
                "line": line.made_by.line if line.made_by else None,
            }
            for line in (response.headers if response else ())
        ],
        "hides": sorted(response.absent) if response else [],
        "upstream_request": {"uri": upstream.target, "headers": upstream.headers.pairs()} if upstream else None,
        "limits": [_limit_json(limit) for limit in outcome.limits],
        "why": [
            {
                "directive": step.directive,
                "file": step.location.file if step.location else None,
                "line": step.location.line if step.location else None,
                "note": step.note,
            }
            for step in outcome.why
        ],
        "unknown": [
            {"reason": item.reason, "where": str(item.location or ""), "concerns": item.concerns}
            for item in outcome.unknown
        ],
    }


def _limit_json(limit: Limit) -> dict[str, Any]:
    return {
        "zone": limit.zone,
        "rate": limit.rate,
        "burst": limit.burst,
        "delay": limit.delay,
        "status": limit.status,
        "key": limit.key,
    }
