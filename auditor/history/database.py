"""The database behind the history: SQLite in WAL mode, or PostgreSQL by URL, brought to the present schema when opened."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url

from auditor.errors import HistoryError
from auditor.history.schema import HEAD

PATIENCE = 30
"""Seconds to wait for another process that writes."""

_WRITER = 0x61756469
"""The PostgreSQL advisory lock that writers hold one at a time: they share rows, and would wait for each other anyway."""

_MIGRATOR = 0x61756470


def default_url() -> str:
    """Return where the history is kept: `$AUDITOR_HISTORY`, else a SQLite file in the user's state folder."""
    named = os.environ.get("AUDITOR_HISTORY")
    if named:
        return named
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(state) / "auditor" / "history.sqlite")


class Database:
    """One open database; `begin` gives a transaction that reads, `write` one that no other writer disturbs."""

    def __init__(self, url: str | None = None) -> None:
        """Open it, make it if it is not there, and bring it to the present schema; HistoryError where that fails."""
        self.url = url or default_url()
        self.engine = _engine(self.url)
        self.sqlite = self.engine.dialect.name == "sqlite"
        try:
            with self._told("opened"):
                self._migrate()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """Give a transaction that only reads."""
        with self._told("read"), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a transaction that writes: all of it, or nothing, whenever the process ends."""
        with self._told("written"), self.engine.connect() as plain:
            connection = plain.execution_options(auditor_begin="BEGIN IMMEDIATE")
            with connection.begin():
                if not self.sqlite:
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER})
                yield connection

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise HistoryError(f"the history {shown(self.url)} cannot be {what}: {reason}", hint=_HINT) from error

    @contextlib.contextmanager
    def alone(self, purpose: str) -> Iterator[None]:
        """Hold a lock that only one process can have for this purpose; HistoryError where another has it.

        The operating system or the server lets go of it when the process ends, however it ends.
        """
        refusal = HistoryError(
            f"another process already does this on {shown(self.url)}: {purpose}",
            hint="stop it, or use another --history",
        )
        if self.sqlite:
            import fcntl  # noqa: PLC0415 - not there on Windows, where nothing else of this room fails

            path = f"{self.engine.url.database}.{purpose}.lock"
            with Path(path).open("a", encoding="utf-8") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise refusal from None
                yield
            return
        with self.engine.connect() as connection:
            key = {"key": int.from_bytes(purpose.encode()[:7].ljust(7, b"\0"), "big")}
            if not connection.execute(sa.text("SELECT pg_try_advisory_lock(:key)"), key).scalar():
                raise refusal
            connection.commit()
            try:
                yield
            finally:
                with contextlib.suppress(sa.exc.SQLAlchemyError):
                    connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), key)
                    connection.commit()

    def _migrate(self) -> None:
        if self._revision() == HEAD:
            return
        with self.engine.connect() as plain:
            connection = plain.execution_options(auditor_begin="BEGIN EXCLUSIVE")
            with connection.begin():
                if not self.sqlite:
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATOR})
                _upgrade(connection)

    def _revision(self) -> str | None:
        with self.engine.connect() as connection, connection.begin():
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
            return None if found is None else str(found)


_HINT = "name another with --history (a file, or postgresql://…), or see that this one can be reached and written"


def shown(url: str) -> str:
    """Return the URL without its password."""
    return make_url(url).render_as_string(hide_password=True) if "://" in url else url


def _engine(url: str) -> Engine:
    if "://" not in url:
        path = Path(url).expanduser().absolute()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HistoryError(f"the folder {path.parent} cannot be made: {error.strerror}", hint=_HINT) from error
        url = sa.URL.create("sqlite", database=str(path)).render_as_string()
    try:
        parsed = make_url(url)
        if parsed.drivername in {"postgres", "postgresql"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
            raise HistoryError(f"no history in {parsed.get_backend_name()}", hint="SQLite or PostgreSQL")
        if parsed.get_backend_name() == "sqlite":
            engine = sa.create_engine(
                parsed, max_overflow=50, connect_args={"timeout": PATIENCE, "isolation_level": None}
            )
            sa.event.listen(engine, "connect", _prepare)
            sa.event.listen(engine, "begin", _begin)
            return engine
        return sa.create_engine(parsed, pool_pre_ping=True, max_overflow=20, connect_args={"connect_timeout": 10})
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        hint = "pip install 'edge-auditor[postgresql]'" if isinstance(error, ModuleNotFoundError) else _HINT
        raise HistoryError(f"the history cannot be opened: {error}", hint=hint) from error


def _prepare(connection: Any, _record: Any) -> None:
    """Set up one SQLite connection: a log ahead of the file, flushed at each commit, and keys that are kept."""
    cursor = connection.cursor()
    for statement in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={PATIENCE * 1000}"):
        cursor.execute(f"PRAGMA {statement}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Begin as the transaction needs it (the driver would begin late, and fail where two writers began to read)."""
    connection.exec_driver_sql(str(connection.get_execution_options().get("auditor_begin", "BEGIN")))


def _upgrade(connection: Connection) -> None:
    """Run the migration steps that this database lacks, inside the caller's transaction."""
    from alembic import command  # noqa: PLC0415 - needed once in the life of a database
    from alembic.config import Config  # noqa: PLC0415 - as above
    from alembic.util import CommandError  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise HistoryError(
            f"the history was made by another version of auditor: {error}", hint="use that version, or a newer one"
        ) from error
