"""Every recorded answer of a real nginx (1.31.3 and Debian's 1.22.1) is one that the evaluator predicts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor.exchange import UNKNOWN_VALUE, Action, Field, Headers, Outcome, Request, Response
from auditor.nginx import Configuration, load

CASES = Path(__file__).parents[1].parent / "shared" / "cases" / "nginx"
ALIVE = {"27190", "27191"}
STATEFUL = {("10_content__upstream_failover", "/nxn"), ("10_content__upstream_failover", "/nxd")}
"""Answered 502 only because the requests before them had marked every server of the upstream as failed."""

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"the recorded cases are not at {CASES}")


def echo(request: Request) -> tuple[Outcome, ...]:
    """Answer as the recorded upstream did: the request line as JSON, shaped by its X-Up-… headers."""
    port = request.listen.rsplit(":", 1)[-1]
    if port not in ALIVE or request.headers.get("X-Up-Drop"):
        return (Outcome("always", None, Action("close")),)
    if " " in request.target or "\n" in request.target:
        body = None
    else:
        body = f'{{"up": {port}, "m": "{request.method}", "uri": "{request.target}"}}'
    given = [tuple(part.strip(" ") for part in value.split(":", 1)) for value in request.headers.all("X-Up-Header")]
    names = {name.lower() for name, *_ in given}
    fields = []
    if "content-type" not in names:
        fields.append(Field("Content-Type", "application/json"))
    if "content-length" not in names:
        fields.append(Field("Content-Length", UNKNOWN_VALUE if body is None else str(len(body))))
    fields += [Field(name, value) for name, value in given]
    fields.append(Field("X-Upstream", port))
    status = int(request.headers.get("X-Up-Status") or 200)
    return (Outcome("always", Response(status, Headers(tuple(fields)), body), Action("application")),)


def request_of(recorded: dict[str, Any]) -> Request | None:
    """Return the request that was recorded; None where it was sent as raw bytes that no `Request` can hold."""
    version = recorded["http"]
    headers = [(name, value) for name, value in recorded["headers"]]
    method, target = recorded["method"], recorded["target"]
    if "raw" in recorded:
        lines = recorded["raw"].split("\r\n\r\n")[0].split("\r\n")
        words = lines[0].split(" ")
        if len(words) == 2:
            words.append("HTTP/0.9")
        if len(words) != 3 or not words[2].startswith("HTTP/"):
            return None
        method, target, version = words[0], words[1], words[2][5:]
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                return None
            headers.append((name, value.strip(" ")))
    else:
        if recorded["host"] is not None and not any(name.lower() == "host" for name, _ in headers):
            headers.insert(0, ("Host", recorded["host"]))
        body = recorded.get("body")
        if body and not any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in headers):
            headers.append(("Content-Length", str(len(body))))
    if recorded.get("h2"):
        version = "2"
    tls = recorded.get("tls")
    secure = bool(tls) or recorded.get("h2") == "tls"
    address = recorded["addr"]
    unix = address.startswith("unix:")
    return Request(
        method=method,
        target=target,
        headers=Headers.of(headers),
        scheme="https" if secure else "http",
        version=version,
        listen=address
        if unix
        else f"[{address}]:{recorded['port']}"
        if ":" in address
        else f"{address}:{recorded['port']}",
        client=recorded.get("src") or ("unix:" if unix else "::1" if ":" in address else "127.0.0.1"),
        sni=tls.get("sni") if isinstance(tls, dict) else None,
        body_length=len(recorded.get("body") or ""),
    )


def fits(predicted: str, observed: str) -> bool:
    """Whether a text with unknown parts can be the observed one."""
    observed = observed.replace("<TIME>", "0")
    if observed == "<DATE>" or UNKNOWN_VALUE not in predicted:
        return observed in {"<DATE>", predicted}
    pattern = ".*".join(re.escape(part) for part in predicted.split(UNKNOWN_VALUE))
    return re.fullmatch(pattern, observed, re.DOTALL) is not None


def disagreement(outcome: Outcome, observed: dict[str, Any], request: Request) -> str:
    """Return in what a predicted outcome differs from what was observed; "" where it does not."""
    response = outcome.response
    if response is None:
        return "" if "status" not in observed and not observed.get("http09") else "predicted: no answer"
    if "connect_error" in observed or "tls_error" in observed or observed.get("no_response"):
        return f"predicted: {response.status}"
    if observed.get("http09"):
        return "" if response.body in {None, observed["body"]} else f"body: {response.body!r}"
    if response.status != observed["status"]:
        return f"status: {response.status} != {observed['status']}"
    predicted = [(f.name.lower(), f.value) for f in response.headers]
    seen = [(name.lower(), value) for name, value in observed["headers"]]
    names = [name for name, _ in predicted]
    if names != [name for name, _ in seen]:
        return f"headers: {predicted} != {seen}"
    for (name, value), (_, other) in zip(predicted, seen, strict=True):
        if not fits(value, other) and value.strip(" ") != other:
            return f"{name}: {value!r} != {other!r}"
    body = observed.get("body")
    if response.body is None or body is None or request.method == "HEAD" or body.startswith("gzip:"):
        pass
    elif not fits(response.body, body):
        return f"body: {response.body!r} != {body!r}"
    return place_differs(outcome, observed) or upstream_differs(outcome, observed)


def place_differs(outcome: Outcome, observed: dict[str, Any]) -> str:
    """Return how the location chosen last differs from the one predicted."""
    events = [event for event in observed.get("events") or [] if event[0] in {"location", "named"}]
    if not events or events[-1][1] in {"=/mir", "/mir"}:
        return ""
    text = events[-1][1].lstrip("*")
    name = outcome.location or ""
    if outcome.location is None:
        return "" if text == "" else f"location: none != {text}"
    if name.endswith(text.removeprefix("=")):
        return ""
    return f"location: {outcome.location} != {text}"


def upstream_differs(outcome: Outcome, observed: dict[str, Any]) -> str:
    """Return how the request that reached the upstream differs from the one predicted."""
    seen = observed.get("upstream")
    if not seen:
        return ""
    request = outcome.upstream_request
    ports = [one for one in seen if request is not None and str(one["port"]) == request.listen.rsplit(":", 1)[-1]]
    last = (ports or seen)[-1]
    if request is None:
        return "no upstream request predicted"
    if not last.get("version", "").startswith("HTTP/"):
        return ""
    if request.target != last["uri"] or request.method != last["method"]:
        return f"upstream: {request.method} {request.target} != {last['method']} {last['uri']}"
    if f"HTTP/{request.version}" != last["version"]:
        return f"upstream version {request.version} != {last['version']}"
    mine = [(name.lower(), value) for name, value in request.headers.pairs()]
    theirs = []
    for name, value in last["headers"]:
        if ":" in name and not value:  # the recorder split lines at ": " only
            name, value = name.split(":", 1)  # noqa: PLW2901
        theirs.append((name.lower(), value))
    if mine != theirs:
        return f"upstream headers: {mine} != {theirs}"
    return ""


def cases() -> Iterator[Any]:
    """Yield every recorded configuration with its name."""
    for path in sorted(CASES.glob("*.json")) if CASES.is_dir() else ():
        for version in json.loads(path.read_bytes()):
            yield pytest.param(path, version, id=f"{path.stem}-{version}")


def build(case: dict[str, Any], folder: Path) -> Configuration:
    """Write a recorded configuration and the files it includes, and load it."""
    for name, text in case["files"].items():
        if not name.endswith("/") and isinstance(text, str):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    main = folder / "nginx.conf"
    main.write_text(case["nginx_conf"], encoding="utf-8")
    return load([main], prefix=folder, version=case["nginx_version"])


def compare(case: dict[str, Any], folder: Path) -> tuple[list[str], Counter[str]]:
    """Return the disagreements of one recorded configuration and what was counted."""
    configuration = build(case, folder)
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    for recorded in case["requests"] or []:
        request = request_of(recorded["request"])
        tls = recorded["request"].get("tls")
        name = case["id"].replace("/", "__")
        if request is None or (isinstance(tls, dict) and "max" in tls) or (name, request.target) in STATEFUL:
            counts["not a request"] += 1
            continue
        outcomes = configuration.answer(request, echo)
        every = recorded["observed"] if isinstance(recorded["observed"], list) else [recorded["observed"]]
        for observed in every:
            counts["compared"] += 1
            if any(unknown.concerns == "answer" for outcome in outcomes for unknown in outcome.unknown):
                counts["unknown"] += 1
            differences = [disagreement(outcome, observed, request) for outcome in outcomes]
            if all(differences):
                wrong.append(f"{request.method} {request.target} {request.headers.pairs()}: " + " | ".join(differences))
    return wrong, counts


@pytest.mark.parametrize(("path", "version"), list(cases()))
def test_prediction_is_what_nginx_did(path: Path, version: str, tmp_path: Path) -> None:
    """One of the predicted outcomes is the recorded one, for every request; what nginx refuses to load has problems."""
    case = json.loads(path.read_bytes())[version]
    if case.get("config_refused"):
        unresolved = any("host not found" in message for message in case["config_messages"])
        assert unresolved or build(case, tmp_path).problems, case["config_messages"]
        return
    wrong, counts = compare(case, tmp_path)
    assert not wrong, "\n".join(wrong)
    assert counts["compared"] or not case["requests"]
