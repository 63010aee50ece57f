"""Fixtures and hypothesis profiles that every test shares."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import auditor

_SCRIPTS = ("auditor.__main__", "auditor.history.migrations.")  # run by others, not imported

_QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]  # a busy machine, and folders to write into
settings.register_profile("fixed", derandomize=True, deadline=None, suppress_health_check=_QUIET)
settings.register_profile("fresh", deadline=None, suppress_health_check=_QUIET)
settings.load_profile("fixed")  # the same examples in every run, unless asked for --hypothesis-profile=fresh

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts background jobs so, and what they start inherits it: no test could interrupt it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Import the whole package before anything is drawn.

    Hypothesis also draws the constants of the modules that are imported so far, so what a test draws would else depend on
    the tests that ran before it in the same process.
    """
    if not any(item.get_closest_marker("hypothesis") for item in session.items):
        return
    for module in pkgutil.walk_packages(auditor.__path__, "auditor."):
        if not module.name.startswith(_SCRIPTS):
            with contextlib.suppress(ImportError):  # of an extra that is not installed
                importlib.import_module(module.name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Give the URL of a PostgreSQL server that lives as long as the test session."""
    from postgres import server

    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def history_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty history, once on each kind of database."""
    if request.param == "sqlite":
        yield str(tmp_path / "history.sqlite")
        return
    import psycopg

    server: str = request.getfixturevalue("postgres")
    name = f"h{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    yield f"{server}&options=-csearch_path%3D{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {name} CASCADE")
