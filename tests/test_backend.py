"""The application layer: what is read from Python source, what is asked in process, what is left open."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from auditor.backend import AnyBackend, Application, load
from auditor.backend.process import InProcess
from auditor.errors import ConfigurationError
from auditor.exchange import Headers, Outcome, Request

PUBLIC = Path(__file__).parents[1].parent / "shared" / "cases" / "public" / "fastapi"
HEAD = "import os\nfrom fastapi import FastAPI\nfrom fastapi.middleware.cors import CORSMiddleware\napp = FastAPI()\n"


def _load(folder: Path, text: str, environment: dict[str, str] | None = None, **others: str) -> Application:
    file = folder / "main.py"
    file.write_text(text, "utf-8")
    for name, other in others.items():
        (folder / f"{name}.py").write_text(other, "utf-8")
    return load([file], environment or {})


def _cors(
    folder: Path, expression: str, before: str = "", environment: dict[str, str] | None = None, **others: str
) -> Application:
    text = f"{HEAD}{before}\napp.add_middleware(CORSMiddleware, allow_origins={expression})\n"
    return _load(folder, text, environment, **others)


def _request(target: str = "/", *headers: tuple[str, str], method: str = "GET") -> Request:
    return Request(method, target, Headers.of([("Host", "api.test"), *headers]))


def _named(outcomes: tuple[Outcome, ...], when: str) -> Outcome:
    return next(outcome for outcome in outcomes if outcome.when == when)


@pytest.mark.parametrize(
    ("expression", "before", "environment", "wanted"),
    [
        ('["https://a"]', "", {}, ("https://a",)),
        ("ORIGINS", 'ORIGINS = ["https://a", "https://b"]', {}, ("https://a", "https://b")),
        ("ORIGINS + [f'https://{HOST}']", 'HOST = "c"\nORIGINS = ["https://a"]', {}, ("https://a", "https://c")),
        ('os.getenv("O", "https://a,https://b").split(",")', "", {}, ("https://a", "https://b")),
        ('os.getenv("O", "https://a").split(",")', "", {"O": "https://x,https://y"}, ("https://x", "https://y")),
        ('[o.strip() for o in os.environ["O"].split(",") if o.strip()]', "", {"O": " https://x, ,https://y "}, ("https://x", "https://y")),
        ('["*"] if DEBUG else ["https://a"]', 'DEBUG = os.getenv("DEBUG") == "1"', {}, ("https://a",)),
        ('["*"] if DEBUG else ["https://a"]', 'DEBUG = os.getenv("DEBUG") == "1"', {"DEBUG": "1"}, ("*",)),
        ("origins()", 'def origins(extra=("https://b",)):\n    found = ["https://a"]\n    found.extend(extra)\n    return found', {},
         ("https://a", "https://b")),
        ("S().cors", "class S:\n    cors = ['https://a']", {}, ("https://a",)),
        ("s.cors", "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    cors: list[str] = ['https://a']\ns = S()", {},
         ("https://a",)),
        ("s.cors", "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    cors: list[str] = ['https://a']\ns = S()",
         {"CORS": '["https://env"]'}, ("https://env",)),
        ("s.both", ("from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    raw: str = 'https://a,https://b'\n"
         "    class Config:\n        env_prefix = 'APP_'\n    @property\n    def both(self):\n        return self.raw.split(',')\ns = S()"),
         {"APP_RAW": "https://x"}, ("https://x",)),
        ("config.ORIGINS", "import config", {}, ("https://m",)),
        ("ORIGINS", "from config import ORIGINS", {}, ("https://m",)),
        ("list({'https://a', 'https://a'})", "", {}, ("https://a",)),
        ("json.loads(os.getenv('O', '[]'))", "import json", {"O": '["https://j"]'}, ("https://j",)),
    ],
)  # fmt: skip
def test_origins_are_followed_to_where_they_are_written(
    expression: str, before: str, environment: dict[str, str], wanted: tuple[str, ...], tmp_path: Path
) -> None:
    """Names, constants, functions, settings, other modules and environment variables lead to literal origins."""
    application = _cors(tmp_path, expression, before, environment, config='ORIGINS = ["https://m"]')
    middleware = application.cors[0]
    assert not middleware.unknown
    assert middleware.allow_origins == wanted
    assert middleware.place("allow_origins").line >= 5


@pytest.mark.parametrize(
    ("expression", "before", "word"),
    [
        ("fetch()", "from somewhere import fetch", "somewhere.fetch"),
        ('os.environ["O"].split(",")', "", "environment variable O"),
        ("ORIGINS", "ORIGINS = ['https://a']\nif fetch():\n    ORIGINS = ['*']", "condition"),
        ("ORIGINS", "ORIGINS = ['https://a']\nfor o in fetch():\n    ORIGINS.append(o)", "loop"),
        ("f()", "def f():\n    if fetch():\n        return ['*']\n    return ['https://a']", "condition"),
        (
            "ORIGINS",
            "ORIGINS = []\nfor o in ['a', 'b']:\n    if fetch(o):\n        continue\n    ORIGINS.append(o)",
            "condition",
        ),
        (
            "s.cors",
            "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    cors: list[str]\ns = S()",
            "no default",
        ),
        ("'https://a'", "", "text"),
        ("g(*args)", "from m import g", "not in these files"),
    ],
)
def test_what_cannot_be_followed_is_unknown_with_its_reason(
    expression: str, before: str, word: str, tmp_path: Path
) -> None:
    """A value from elsewhere is not guessed: the argument is undecided, and says why and where."""
    application = _cors(tmp_path, expression, before)
    assert word in application.cors[0].unknown["allow_origins"]
    outcomes = application.answer(_request("/", ("Origin", "https://a"), method="OPTIONS"))
    assert any(
        item.concerns == "header:access-control-allow-origin" and item.location for o in outcomes for item in o.unknown
    )


def test_the_last_middleware_added_is_outermost(tmp_path: Path) -> None:
    """Headers set outside of CORSMiddleware are on its preflight answers too, those set inside are not."""
    text = f"""{HEAD}
@app.middleware("http")
async def inside(request, call_next):
    response = await call_next(request)
    response.headers["X-Inside"] = "1"
    return response
app.add_middleware(CORSMiddleware, allow_origins=["https://a"])
@app.middleware("http")
async def outside(request, call_next):
    response = await call_next(request)
    response.headers["X-Outside"] = "1"
    return response
"""
    preflight = _request("/", ("Origin", "https://a"), ("Access-Control-Request-Method", "GET"), method="OPTIONS")
    response = _named(_load(tmp_path, text).answer(preflight), "always").response
    assert response is not None
    assert (response.status, "X-Outside" in response.headers, "X-Inside" in response.headers) == (200, True, False)


def test_a_header_set_under_a_condition_is_not_decided(tmp_path: Path) -> None:
    """A literal behind an `if` may or may not be sent."""
    text = f"""{HEAD}
@app.middleware("http")
async def secure(request, call_next):
    response = await call_next(request)
    response.headers["X-Frame-Options"] = "DENY"
    if request.url.scheme == "https":
        response.headers["Strict-Transport-Security"] = "max-age=1"
    return response
@app.get("/x")
def x(): return 1
"""
    response = _named(_load(tmp_path, text).answer(_request("/x")), "upstream-success").response
    assert response is not None
    assert response.headers.get("X-Frame-Options") == "DENY"
    assert not response.headers.lines("Strict-Transport-Security")[0].decided


def test_a_crash_is_answered_without_cors(tmp_path: Path) -> None:
    """ServerErrorMiddleware is outside of every other: a page cannot read that a handler raised."""
    text = f'{HEAD}app.add_middleware(CORSMiddleware, allow_origins=["*"])\n@app.get("/x")\ndef x(): return 1\n'
    outcomes = _load(tmp_path, text).answer(_request("/x", ("Origin", "https://a")))
    crashed = [o.response for o in outcomes if o.response is not None and o.response.body == "Internal Server Error"]
    assert len(crashed) == 1
    assert "Access-Control-Allow-Origin" not in crashed[0].headers
    success = _named(outcomes, "upstream-success").response
    assert success is not None
    assert success.headers.get("Access-Control-Allow-Origin") == "*"


def test_routes_of_routers_have_their_prefixes_and_places(tmp_path: Path) -> None:
    """Included routers, documentation pages and websockets are listed with the line that declares them."""
    api = 'from fastapi import APIRouter\nrouter = APIRouter(prefix="/items")\n@router.get("/{item}")\ndef one(item): ...\n'
    text = f'{HEAD}from api import router\napp.include_router(router, prefix="/v1")\n@app.websocket("/ws")\nasync def ws(s): ...\n'
    application = _load(tmp_path, text, api=api)
    found = {(route.kind, route.path): route for route in application.routes}
    assert {"/docs", "/redoc", "/openapi.json"} <= {path for kind, path in found if kind == "documentation"}
    assert Path(found["http", "/v1/items/{item}"].location.file).name == "api.py"
    assert ("websocket", "/ws") in found
    assert application.complete
    assert _named(application.answer(_request("/v1/items/7")), "upstream-success").location == "/v1/items/{item}"


def test_a_websocket_passes_cors_unseen(tmp_path: Path) -> None:
    """CORSMiddleware does not look at handshakes: any origin may connect unless the handler refuses."""
    text = f'{HEAD}app.add_middleware(CORSMiddleware, allow_origins=["https://a"])\n@app.websocket("/ws")\nasync def ws(s): ...\n'
    application = _load(tmp_path, text)
    upgrade = (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Origin", "https://evil"))
    accepted = _named(application.answer(_request("/ws", *upgrade)), "upstream-success")
    assert accepted.response is not None
    assert (accepted.response.status, "Access-Control-Allow-Origin" in accepted.response.headers) == (101, False)
    assert not accepted.unknown
    looking = text.replace("ws(s): ...", "ws(s):\n    if s.headers.get('origin') != 'https://a':\n        return\n")
    doubted = _named(_load(tmp_path, looking).answer(_request("/ws", *upgrade)), "upstream-success")
    assert any("Origin" in item.reason for item in doubted.unknown)
    elsewhere = _named(application.answer(_request("/other", *upgrade)), "always").response
    assert elsewhere is not None
    assert elsewhere.status == 403


def test_routers_that_are_not_there_leave_the_paths_open(tmp_path: Path) -> None:
    """An include of something unknown means that any path may be served."""
    application = _load(tmp_path, f"{HEAD}from elsewhere import router\napp.include_router(router)\n")
    assert not application.complete
    assert any("routers" in item.reason for o in application.answer(_request("/any")) for item in o.unknown)


def test_middlewares_of_others_are_unknown_by_name(tmp_path: Path) -> None:
    """A middleware that is not in the files may do anything to headers."""
    application = _load(
        tmp_path, f"{HEAD}from slowapi.middleware import SlowAPIMiddleware\napp.add_middleware(SlowAPIMiddleware)\n"
    )
    outcome = _named(application.answer(_request("/")), "always")
    assert any("SlowAPIMiddleware" in item.reason for item in outcome.unknown)


@pytest.mark.parametrize("text", ["def (", "\x00", "x = " + "(" * 3000, "while True:\n    x = 1\n", "def f(): return f()\nf()\n", "a = [0]\nb = a * 10**9\n",
                                  "x = 'a' * 10**9", "from main import *\n", "import main\n", "class A(A): pass\n", "x, *y = 1, 2\n"])  # fmt: skip
def test_no_source_brings_it_down(text: str, tmp_path: Path) -> None:
    """Broken, endless or hostile source ends in an error or an unknown, quickly."""
    try:
        application = _load(tmp_path, text)
    except ConfigurationError as error:
        assert error.hint or error.location  # noqa: PT017 - accepting the text is right too
    else:
        assert application.answer(_request())
        assert application.problems


def test_any_backend_leaves_everything_open() -> None:
    """A backend that nobody described may succeed or fail with any header, or be down."""
    outcomes = AnyBackend().answer(Request(listen="api:8000"))
    assert [(o.when, o.response and o.response.status) for o in outcomes] == [
        ("upstream-success", 200), ("upstream-error", 500), ("upstream-down", None)
    ]  # fmt: skip
    assert all(o.response.may_have_more("Access-Control-Allow-Origin") for o in outcomes if o.response)


@pytest.mark.skipif(importlib.util.find_spec("fastapi") is None, reason="no fastapi: pip install fastapi")
def test_an_importable_application_is_asked_in_process(tmp_path: Path) -> None:
    """`module:app` is imported when it is first asked, and answers exactly."""
    text = f'{HEAD}app.add_middleware(CORSMiddleware, allow_origins=["https://a"])\n@app.get("/x")\ndef x(): return 1\n@app.get("/boom")\ndef boom(): 1/0\n'
    (tmp_path / "in_process_app.py").write_text(text, "utf-8")
    backend = InProcess("in_process_app:app", tmp_path)
    response = backend.answer(_request("/x", ("Origin", "https://a")))[0].response
    assert response is not None
    assert (response.status, response.body, response.headers.get("Access-Control-Allow-Origin")) == (
        200,
        "1",
        "https://a",
    )
    crashed = backend.answer(_request("/boom", ("Origin", "https://a")))[0]
    assert crashed.when == "upstream-error"
    assert crashed.response is not None
    assert (crashed.response.status, crashed.response.headers.get("Access-Control-Allow-Origin")) == (500, None)


@pytest.mark.parametrize("target", ["no_such_module_here:app", "json:nothing", "json:__name__"])
def test_an_application_that_cannot_be_imported_is_an_error_to_read(target: str) -> None:
    """What is wrong is said, with what to do."""
    with pytest.raises(ConfigurationError) as caught:
        InProcess(target).answer(_request())
    assert caught.value.hint


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the shared cases are not here")
@pytest.mark.parametrize("path", sorted(PUBLIC.glob("*/*.py")), ids=lambda path: path.parent.name)
def test_public_applications_load_and_answer(path: Path) -> None:
    """Applications as people write them give a verdict or say what is not decided, and never a traceback."""
    application = load([path], {})
    assert application.cors or application.problems
    for middleware in application.cors:
        assert all(reason for reason in middleware.unknown.values())
        assert middleware.location.line
    for lines in ([], [("Origin", "https://a")], [("Origin", "https://a"), ("Access-Control-Request-Method", "PUT")]):
        for method in ("GET", "OPTIONS"):
            assert application.answer(_request("/", *lines, method=method))
