"""The dashboard: targets, runs, drift, read from the history and never written. No scripts, nothing from elsewhere."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from auditor.dataclass import dataclass
from auditor.errors import AuditorError, UsageError
from auditor.finding import Severity
from auditor.history import queries
from auditor.history.database import Database
from auditor.history.drift import KINDS
from auditor.history.queries import OPEN, Asked
from auditor.report.text import visible
from auditor.watch import metrics

CSP = "default-src 'none'; object-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-DNS-Prefetch-Control": "off",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets in who may read: a Host that is ours (a page elsewhere may have its name point here), and the token if any.

    The token is a Bearer token, or the password of Basic authentication, which browsers ask for by themselves.
    """

    app: App
    token: str
    hosts: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by itself, or ask the application; the security headers are on every answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope)
        refusal: Response | None = None
        if self.hosts and _bare(request.headers.get("host", "")) not in self.hosts:
            refusal = PlainTextResponse("This dashboard is not served under that name.\n", 421)
        elif self.token and not self._known(request.headers.get("authorization", "")):
            challenge = {"WWW-Authenticate": 'Basic realm="auditor", charset="UTF-8"'}
            refusal = PlainTextResponse("A token is needed.\n", 401, challenge)
        await (refusal or self.app)(scope, receive, with_headers)

    def _known(self, said: str) -> bool:
        scheme, _, value = said.partition(" ")
        if scheme.lower() == "basic":
            try:
                value = base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif scheme.lower() != "bearer":
            return False
        else:
            value = value.encode("latin-1").decode("utf-8", "replace")  # Starlette reads header fields as Latin-1
        return hmac.compare_digest(value.encode(), self.token.encode())


def _bare(host: str) -> str:
    return host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0].lower()


LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def application(database: Database, *, token: str = "", hosts: frozenset[str] = LOOPBACK) -> Starlette:
    """Return the dashboard of a history; `hosts`: the names it is served under (empty: any)."""
    pages = _Pages(database)
    routes = [
        Route("/", pages.targets),
        Route("/target", pages.target),
        Route("/runs", pages.runs),
        Route("/runs/{number:int}", pages.run),
        Route("/runs/{number:int}/report.json", pages.report_json),
        Route("/runs/{number:int}/report.html", pages.report_html),
        Route("/diff", pages.diff),
        Route("/changes", pages.changes),
        Route("/metrics", pages.metrics),
        Route("/healthz", pages.healthz),
        Route("/style.css", pages.style),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=token, hosts=hosts), Middleware(GZipMiddleware, minimum_size=1000)],
        exception_handlers={HTTPException: pages.problem, AuditorError: pages.problem},
    )


class _Pages:
    """The pages of one history."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.templates = Environment(
            loader=PackageLoader("auditor.watch"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        self.templates.filters |= {
            "moment": lambda s: time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(s)),
            "age": _age,
            "visible": lambda value: visible(str(value)),
            "word": lambda number: Severity(number).word,
        }
        self.templates.globals |= {"OPEN": OPEN, "target_url": lambda name: f"/target?name={quote(name, safe='')}"}
        self.css = Path(__file__).with_name("style.css").read_text("utf-8")

    def page(self, template: str, request: Request, code: int = 200, **values: Any) -> HTMLResponse:
        """Render a template."""
        query = dict(request.query_params)

        def at(**changes: object) -> str:
            return "?" + urlencode({k: v for k, v in {**query, **changes}.items() if v not in {"", None}})

        text = self.templates.get_template(template).render(query=query, at=at, now=time.time(), **values)
        return HTMLResponse(text, code)

    def problem(self, request: Request, error: Exception) -> Response:
        """Say what went wrong, in the layout of the other pages."""
        status = (
            error.status_code if isinstance(error, HTTPException) else 404 if isinstance(error, UsageError) else 503
        )
        said = error.detail if isinstance(error, HTTPException) else str(error)
        return self.page("problem.html", request, status, status=status, said=said)

    def targets(self, request: Request) -> Response:
        """Return the list of targets, the worst first."""
        page = queries.targets(self.database, _asked(request))
        return self.page("targets.html", request, page=page, verdicts=queries.verdicts(self.database))

    def target(self, request: Request) -> Response:
        """Return one target: its state, its trend, its drift, its runs."""
        name = request.query_params.get("name", "")
        runs = queries.runs(self.database, _asked(request), target=name)
        if not runs.rows:
            raise HTTPException(404, f"the history has no run of {visible(name)}")
        trend = queries.trend(self.database, name)
        changes = queries.changes(self.database, Asked(size=15), name)
        return self.page("target.html", request, name=name, page=runs, bars=_bars(trend), trend=trend, changes=changes)

    def runs(self, request: Request) -> Response:
        """Return the list of runs, of a fleet run where it is named."""
        fleet = request.query_params.get("fleet") or None
        page = queries.runs(self.database, _asked(request), fleet=fleet)
        common = queries.commonest(self.database, fleet) if fleet else []
        return self.page("runs.html", request, page=page, fleet=fleet, common=common)

    def run(self, request: Request) -> Response:
        """Return one run with its results."""
        number = request.path_params["number"]
        run = queries.find_run(self.database, number)
        page = queries.results(self.database, number, _asked(request))
        head = queries.heads(self.database, [number])[number]
        changes = queries.difference(self.database, None, number)
        return self.page("run.html", request, run=run, page=page, head=head, found=changes)

    def report_json(self, request: Request) -> Response:
        """Return the report of a run as JSON."""
        number = request.path_params["number"]
        body = json.dumps(queries.report(self.database, number), indent=2, ensure_ascii=False) + "\n"
        name = f'attachment; filename="run-{number}.json"'
        return Response(body, media_type="application/json", headers={"Content-Disposition": name})

    def report_html(self, request: Request) -> Response:
        """Return the review report of a run."""
        from auditor.report.formats import render  # noqa: PLC0415 - renders on request
        from auditor.report.model import Report  # noqa: PLC0415 - as above
        from auditor.report.view import View  # noqa: PLC0415 - as above

        number = request.path_params["number"]
        before = queries.find_run(self.database, number)["compared_with"]
        report, earlier = (
            Report.model_validate(queries.report(self.database, key)) if key is not None else None
            for key in (number, before)
        )
        text = str(render("html", report, View(verbose=True, earlier=earlier))) if report is not None else ""
        styles = " ".join(f"'sha256-{_hash(s)}'" for s in re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL))
        policy = CSP.replace("style-src 'self'", f"style-src {styles}; img-src data:")
        return HTMLResponse(text, headers={"Content-Security-Policy": policy})

    def diff(self, request: Request) -> Response:
        """Return what changed between two runs; without `old`, since the run before."""
        new, old = _number(request, "new"), _number(request, "old")
        if new is None:
            raise HTTPException(400, "name the run: /diff?new=2, or two: /diff?old=1&new=2")
        found = queries.difference(self.database, old, new)
        return self.page("diff.html", request, found=found, kinds=KINDS)

    def changes(self, request: Request) -> Response:
        """Return the drift timeline of all targets."""
        page = queries.changes(self.database, _asked(request))
        return self.page("changes.html", request, page=page, kinds=[kind for kind in KINDS if kind != "open"])

    def metrics(self, _request: Request) -> Response:
        """Return the metrics for Prometheus."""
        return Response(metrics.text(self.database), media_type=metrics.CONTENT_TYPE)

    def healthz(self, _request: Request) -> Response:
        """Return 200 where the history can be read."""
        return JSONResponse({"targets": sum(queries.verdicts(self.database).values())})

    def style(self, _request: Request) -> Response:
        """Return the style sheet."""
        return Response(self.css, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def _asked(request: Request) -> Asked:
    said = request.query_params
    severity = said.get("severity", "")
    return Asked(
        number=min(max(_number(request, "page") or 1, 1), 1_000_000),
        verdict=said.get("verdict", ""),
        search=said.get("search", "")[:200],
        order=said.get("order", ""),
        severity=severity if severity in {s.word for s in Severity} else "",
        kind=said.get("kind", ""),
    )


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _age(moment: float, now: float) -> str:
    """Return how long ago a moment was, in one unit."""
    seconds = max(now - moment, 0.0)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def _bars(trend: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trend as bars of a drawing 100 high: one a run, stacked by severity; unreached runs are marked."""
    most = max((sum(row[name] for name in OPEN) for row in trend), default=0) or 1
    bars = []
    for place, row in enumerate(trend):
        top, parts = 100.0, []
        for name in OPEN:
            height = 100.0 * row[name] / most
            if height:
                top -= height
                parts.append({"class": name, "y": round(top, 2), "height": round(height, 2)})
        bars.append({"x": place * 8, "parts": parts, "row": row})
    return bars
