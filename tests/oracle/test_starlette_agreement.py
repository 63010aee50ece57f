"""The application layer held against the installed Starlette and FastAPI, asked over ASGI without a server.

The long run: `pytest -m slow tests/oracle/test_starlette_agreement.py`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from auditor.backend import Application, Cors, HttpsRedirect, TrustedHost, load
from auditor.backend.process import scope_of
from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Action, Headers, Outcome, Request, Response

PLACE = Location("app.py", 1, 1)
REQUESTS = 10
ORIGINS = ("https://app.test", "https://evil.test", "null", "http://app.test", "https://a.app.test", "https://APP.test", "", "*",
           "https://app.test/", "https://app.test.evil.test", "https://app.test:8443")  # fmt: skip
PROFILES: tuple[tuple[int, tuple[tuple[str, str], ...]], ...] = (
    (200, ()),
    (200, (("vary", "Accept"), ("vary", "Cookie"))),
    (404, (("vary", "Origin"), ("access-control-allow-origin", "https://other.test"))),
    (500, (("access-control-allow-origin", "*"), ("access-control-allow-origin", "null"))),
    (302, (("location", "/x"), ("access-control-expose-headers", "X-Inner"), ("set-cookie", "a=1"))),
)

_origins = st.lists(st.sampled_from((*ORIGINS[:6], "*", "*")), max_size=3)
_CORS = st.fixed_dictionaries({}, optional={
    "allow_origins": _origins,
    "allow_methods": st.lists(st.sampled_from(("GET", "PUT", "*", "get", "PURGE", "OPTIONS")), max_size=3),
    "allow_headers": st.lists(st.sampled_from(("X-A", "Content-Type", "*", "authorization", "")), max_size=3),
    "allow_credentials": st.booleans(),
    "allow_origin_regex": st.sampled_from((None, r"https://.*\.app\.test", "https://app.test", r"https?://(a\.)?app\.test(:\d+)?", ".*", "")),
    "allow_private_network": st.booleans(),
    "expose_headers": st.lists(st.sampled_from(("X-A", "X-B", "*")), max_size=2),
    "max_age": st.sampled_from((0, 1, 600, 86400)),
})  # fmt: skip
_TRUSTED = st.fixed_dictionaries(
    {
        "allowed_hosts": st.lists(
            st.sampled_from(("app.test", "*.app.test", "www.other.test", "localhost", "*", "[::1]")),
            min_size=1,
            max_size=2,
        )
    },
    optional={"www_redirect": st.booleans()},
)
_MIDDLEWARE = st.one_of(
    _CORS.map(lambda options: ("cors", options)), _CORS.map(lambda options: ("cors", options)),
    _TRUSTED.map(lambda options: ("trusted", options)), st.just(("https", {})),
)  # fmt: skip
_HEADERS = st.lists(
    st.one_of(
        st.sampled_from(ORIGINS).map(lambda value: ("Origin", value)),
        st.sampled_from(ORIGINS).map(lambda value: ("Origin", value)),
        st.sampled_from(("GET", "PUT", "get", "PURGE", "")).map(lambda value: ("Access-Control-Request-Method", value)),
        st.sampled_from(("x-a", "X-A,content-type", "x-b", "", "authorization, x-a", "x-a,,")).map(
            lambda value: ("Access-Control-Request-Headers", value)
        ),
        st.sampled_from(
            (("Cookie", "a=1"), ("Access-Control-Request-Private-Network", "true"), ("X-Forwarded-Host", "h"))
        ),
    ),
    max_size=4,
)
_HOST = st.sampled_from(
    (
        "app.test",
        "a.app.test",
        "other.test",
        "localhost:8000",
        "APP.test",
        "app.test:443",
        "[::1]:80",
        "a b",
        "x/y",
        "",
        "app.test:80",
    )
)
_REQUEST = st.fixed_dictionaries({
    "method": st.sampled_from(("GET", "OPTIONS", "OPTIONS", "POST", "HEAD")), "headers": _HEADERS, "host": _HOST,
    "scheme": st.sampled_from(("http", "https")), "target": st.sampled_from(("/", "/a/b?c=d", "/a%20b", "/?")),
    "profile": st.integers(0, len(PROFILES) - 1),
})  # fmt: skip
_CASE = st.tuples(
    st.lists(_MIDDLEWARE, min_size=1, max_size=2), st.lists(_REQUEST, min_size=REQUESTS, max_size=REQUESTS)
)


def real(middlewares: list[tuple[str, dict[str, Any]]]) -> Any:
    """Build the real middlewares around an endpoint that answers by profile."""
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    classes = {"cors": CORSMiddleware, "trusted": TrustedHostMiddleware, "https": HTTPSRedirectMiddleware}

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        del receive
        chosen = next((value for name, value in scope["headers"] if name == b"x-up"), b"0")
        status, lines = PROFILES[int(chosen)]
        headers = [(name.encode(), value.encode()) for name, value in lines]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"up"})

    app: Any = endpoint
    for kind, options in reversed(middlewares):
        app = classes[kind](app, **options)
    return app


def model(middlewares: list[tuple[str, dict[str, Any]]]) -> Application:
    """Build the same as a modelled application."""
    made: list[Any] = []
    for kind, options in middlewares:
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
        made.append({"cors": Cors, "trusted": TrustedHost, "https": HttpsRedirect}[kind](PLACE, **values))
    return Application(tuple(made))


async def asked(app: Any, request: Request) -> tuple[int, list[tuple[str, str]], str]:
    """Ask an ASGI application once."""
    got: dict[str, Any] = {}
    body = bytearray()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            got.update(message)
        else:
            body.extend(message.get("body", b""))

    try:
        await app(scope_of(request), receive, send)
    except Exception:
        if not got:
            raise
    lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in got["headers"]]
    return got["status"], lines, body.decode("latin-1")


def grouped(lines: Any) -> dict[str, list[str]]:
    """Group header lines by lower-case name."""
    found: dict[str, list[str]] = {}
    for name, value in lines:
        found.setdefault(name.lower(), []).append(value)
    return found


def differences(middlewares: list[tuple[str, dict[str, Any]]], drawn: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a text for every request on which model and Starlette differ."""
    app, layer = real(middlewares), model(middlewares)
    with asyncio.Runner() as runner:
        for item in drawn:
            headers = [("Host", item["host"]), ("X-Up", str(item["profile"])), *item["headers"]]
            request = Request(
                item["method"], item["target"], Headers.of(headers), item["scheme"], listen="127.0.0.1:80"
            )
            status, lines = PROFILES[item["profile"]]
            inner = Outcome("always", Response(status, Headers.of(lines), "up"), Action("application"))
            outcomes = layer.through(request, lambda _, inner=inner: (inner,))
            observed = runner.run(asked(app, request))
            if len(outcomes) != 1 or outcomes[0].unknown or outcomes[0].response is None:
                yield f"not decided: {middlewares} {item}"
                continue
            response = outcomes[0].response
            predicted = (response.status, grouped(response.headers.pairs()), response.body)
            if predicted != (observed[0], grouped(observed[1]), observed[2]):
                yield f"predicted {predicted}\nobserved {(observed[0], grouped(observed[1]), observed[2])}\n{middlewares}\n{item}"


def measure(pairs: int, number: int) -> tuple[int, list[str]]:
    """Compare so many pairs of middlewares and requests."""
    count = 0
    wrong: list[str] = []

    @seed(number)
    @settings(max_examples=max(1, pairs // REQUESTS), phases=[Phase.generate], database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(_CASE)
    def compare(case: Any) -> None:
        nonlocal count
        count += len(case[1])
        wrong.extend(differences(*case))

    compare()
    return count, wrong


def _starlette_is_there() -> None:
    if importlib.util.find_spec("fastapi") is None:
        assert not os.environ.get("CI"), "the test environment must have fastapi"
        pytest.skip("no fastapi: pip install fastapi")


@pytest.mark.hypothesis
def test_the_middlewares_agree_with_starlette() -> None:
    """On drawn arguments and requests the modelled middlewares answer as Starlette's own do."""
    _starlette_is_there()
    count, wrong = measure(5000, 1)
    assert count >= 4000
    assert not wrong, wrong[0]


SOURCES = {
    "plain.py": """
from fastapi import FastAPI, APIRouter
from fastapi.middleware.cors import CORSMiddleware
app = FastAPI(docs_url="/help", redoc_url=None)
ORIGINS = ["https://app.test"] + ["https://%s.app.test" % n for n in ("a", "b")]
app.add_middleware(CORSMiddleware, allow_origins=ORIGINS, allow_methods=["*"], allow_credentials=True)
router = APIRouter(prefix="/v1", tags=["x"])
@router.get("/items/{item_id}")
def item(item_id: str): return {"id": item_id}
@router.post("/items")
def make(): return {}
@router.api_route("/both", methods=["GET", "PUT"])
def both(): return {}
app.include_router(router, prefix="/api")
@app.get("/health")
def health(): return {"ok": True}
@app.get("/files/{path:path}")
def files(path: str): return path
@app.get("/slash/")
def slash(): return 1
""",
    "settings_app.py": """
import os
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
class Settings:
    def __init__(self):
        self.origins = [o.strip() for o in os.getenv("ORIGINS", "https://app.test, https://b.test").split(",") if o.strip()]
        self.debug = os.environ.get("DEBUG", "false").lower() == "true"
settings = Settings()
def create_app() -> FastAPI:
    app = FastAPI(openapi_url=None)
    if settings.debug:
        app.add_middleware(CORSMiddleware, allow_origins=["*"])
    else:
        app.add_middleware(CORSMiddleware, allow_origins=settings.origins, expose_headers=("X-A",), max_age=5)
    @app.middleware("http")
    async def secure(request, call_next):
        response = await call_next(request)
        response.headers["X-Frame-Options"] = "DENY"
        return response
    @app.get("/health")
    def health(): return {}
    return app
app = create_app()
""",
    "starlette_app.py": """
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
def home(request): return PlainTextResponse("hi")
app = Starlette(
    routes=[Route("/", home), Route("/api/x", home, methods=["POST"]), Mount("/sub", routes=[Route("/y", home)])],
    middleware=[Middleware(CORSMiddleware, allow_origin_regex=r"https://.*\\.app\\.test", allow_headers=["X-A"])],
)
""",
}  # fmt: skip
PATHS = ("/", "/health", "/health/", "/help", "/docs", "/redoc", "/openapi.json", "/api/v1/items", "/api/v1/items/", "/api/v1/items/7",
         "/api/v1/items/7/8", "/api/v1/both", "/files/a/b/c", "/files/", "/nothing", "/api/x", "/sub/y", "/sub/z", "/slash", "/slash/",
         "/sub", "/help/oauth2-redirect", "/docs/oauth2-redirect")  # fmt: skip


@pytest.mark.parametrize("name", sorted(SOURCES))
@pytest.mark.parametrize(
    "environment", [{}, {"ORIGINS": "https://env.test", "DEBUG": "no"}, {"DEBUG": "TRUE"}], ids=str
)
def test_an_application_read_from_source_answers_as_when_it_runs(
    name: str, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read from source without running it is what the imported application does."""
    _starlette_is_there()
    file = tmp_path / name
    file.write_text(SOURCES[name], "utf-8")
    for variable in ("ORIGINS", "DEBUG"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    layer = load([file], environment)
    assert layer.complete
    assert not layer.problems
    spec = importlib.util.spec_from_file_location(f"drawn_{abs(hash((name, str(environment))))}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    headers: list[list[tuple[str, str]]] = [[], [("Origin", "https://app.test")], [("Origin", "https://env.test")],
                                            [("Origin", "https://x.app.test"), ("Access-Control-Request-Method", "PUT")]]  # fmt: skip
    with asyncio.Runner() as runner:
        for path in PATHS:
            for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT"):
                for lines in headers:
                    request = Request(method, path, Headers.of([("Host", "h.test"), *lines]))
                    status, observed, body = runner.run(asked(module.app, request))
                    wrong = [
                        _against(outcome, status, observed, body)
                        for outcome in layer.answer(request)
                        if outcome.response
                    ]
                    assert not all(wrong), f"{method} {path} {lines}: {wrong}; observed {status} {observed} {body!r}"


def _against(outcome: Outcome, status: int, observed: list[tuple[str, str]], body: str) -> str:
    response = outcome.response
    assert response is not None
    success = outcome.when == "upstream-success" and status < 500
    if response.status != status and not success:
        return f"status {response.status}"
    if response.body is not None and response.body != body:
        return f"body {response.body!r}"
    theirs = grouped(observed)
    for name, values in grouped(response.headers.pairs()).items():
        mine = [value.replace(UNKNOWN_VALUE + ", ", "") for value in values]
        if name == "allow":  # Starlette writes a set in no particular order
            mine, theirs["allow"] = [sorted(mine[0].split(", "))], [sorted(theirs["allow"][0].split(", "))]  # type: ignore[list-item]
        if mine != theirs.get(name):
            return f"{name} {values}"
    extra = {name for name in theirs if name not in response.headers and not response.may_have_more(name)}
    return f"extra {extra}" if extra else ""


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
@pytest.mark.hypothesis
def test_the_middlewares_agree_with_starlette_at_length(part: int) -> None:
    """A fifth of the long run of 50,000 pairs; STARLETTE_PAIRS and STARLETTE_SEED set others."""
    _starlette_is_there()
    pairs, first = int(os.environ.get("STARLETTE_PAIRS", "50000")), int(os.environ.get("STARLETTE_SEED", "100"))
    count, wrong = measure(-(-pairs // 5), first + part)
    assert count >= pairs * 0.19
    assert not wrong, "\n".join(wrong[:5])
