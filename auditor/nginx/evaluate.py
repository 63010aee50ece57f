"""A configuration that is compiled once and then asked: what would nginx answer to this request?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from auditor.errors import Problem
from auditor.exchange import Action, Ask, Outcome, Request, Response, Step, Unknown
from auditor.nginx import errors
from auditor.nginx.access import real_ip
from auditor.nginx.compile import compile_http
from auditor.nginx.disk import Disk
from auditor.nginx.engine import Engine, Phase
from auditor.nginx.entry import begin, flag
from auditor.nginx.model import Listen, Node
from auditor.nginx.select import find_listen, find_server
from auditor.nginx.state import LAYER, MOST_PATHS, Pending, Run, TooManyPaths
from auditor.nginx.syntax import Tree, load_tree


class Configuration:
    """One nginx configuration, compiled; a layer that answers requests."""

    __slots__ = ("engine", "files", "missing", "problems", "tree", "version")
    name = LAYER

    def __init__(self, tree: Tree, version: str = "1.31.3", mounts: Mapping[str, str] | None = None) -> None:
        """Compile a configuration for a version of nginx."""
        self.tree = tree
        self.problems: tuple[Problem, ...] = tree.problems
        self.files: tuple[tuple[str, str], ...] = tree.files
        self.version = version
        http = compile_http(tree.directives, tree.context)
        self.missing: tuple[Unknown, ...] = (*tree.missing, *http.unreadable)
        self.engine = Engine(http, tuple(int(part) for part in version.split(".") if part.isdigit()), Disk(mounts))

    @property
    def servers(self) -> tuple[Node, ...]:
        """The server blocks in the order of the file."""
        return tuple(self.engine.http.servers)

    @property
    def listens(self) -> tuple[Listen, ...]:
        """The addresses listened on: `key`, `ssl`, `http2`, `default`, `servers`, `names`."""
        return tuple(self.engine.http.listens)

    def answer(self, request: Request, ask: Ask | None = None, *, explain: bool = False) -> tuple[Outcome, ...]:
        """Return every outcome the configuration allows; `explain` fills `why`."""
        engine = self.engine
        listen = find_listen(engine.http, request)
        if listen is None or listen.default is None or (request.scheme == "https" and not listen.ssl):
            where = request.listen or f"any address for {request.scheme}"
            step = Step("listen", None, f"nothing listens on {where}", LAYER)
            return (Outcome("always", None, Action("close"), LAYER, why=(step,)),)
        if request.scheme == "https" and rejects_handshake(listen, request):
            step = Step("ssl_reject_handshake on", None, "the TLS handshake is refused for this name", LAYER)
            return (Outcome("always", None, Action("close"), LAYER, why=(step,)),)
        pending: list[Pending] = [()]
        asked: list[tuple[Request, tuple[Outcome, ...]]] = []
        budget = [MOST_PATHS]
        outcomes: list[Outcome] = []
        while pending:
            way = pending.pop()
            try:
                if way and isinstance(way[0], Run):
                    outcomes.append(self._rest(way[0], way[1]))
                else:
                    outcomes.append(self._once(request, listen, ask, way, pending, asked, budget, explain=explain))
            except TooManyPaths:
                return (*outcomes, _too_many())
            except RecursionError:
                return (*outcomes, _too_deep())
        return tuple(outcomes)

    def _rest(self, run: Run, phase: Phase) -> Outcome:
        """Follow a copy of a run from where it was made."""
        self.engine.run(run, phase)
        if run.result is None:
            raise AssertionError(run.request)
        return run.result

    def _once(  # noqa: PLR0917 - follows nginx's own
        self,
        request: Request,
        listen: Listen,
        ask: Ask | None,
        path: tuple[int, ...],
        pending: list[Pending],
        asked: list[tuple[Request, tuple[Outcome, ...]]],
        budget: list[int],
        *,
        explain: bool,
    ) -> Outcome:
        """Follow one way through the choices that the configuration leaves open."""
        engine = self.engine
        run = Run(request, listen, listen.default, listen.default)  # type: ignore[arg-type]
        run.path, run.pending, run.asked, run.ask, run.budget = path, pending, asked, ask, budget
        if explain:
            run.why = []
        status = begin(engine, run)
        if status:
            run.node = run.server
            run.valid_location = False  # ngx_http_handler, which says otherwise, has not run
            engine.run(run, lambda current: errors.finish(engine, current, status))
        else:
            real_ip(run, engine.gate(run.server).real_ip)
            engine.run(run, engine.server_rewrite)
        if run.result is None:
            raise AssertionError(request)
        return run.result


def rejects_handshake(listen: Listen, request: Request) -> bool:
    """Whether the server that the TLS name selects refuses every handshake."""
    server = find_server(listen, request.sni.lower())[0] if request.sni else None
    server = server or listen.default
    return server is not None and flag(server, "ssl_reject_handshake", default=False)


def _too_many() -> Outcome:
    unknown = Unknown(f"the configuration allows more than {MOST_PATHS} answers to this request")
    return Outcome("always", Response(None, further_headers=True), Action("unknown"), LAYER, unknown=(unknown,))


def _too_deep() -> Outcome:
    unknown = Unknown("the configuration refers to itself too deeply to be followed")
    return Outcome("always", Response(None, further_headers=True), Action("unknown"), LAYER, unknown=(unknown,))


def load(
    files: Sequence[Path],
    *,
    prefix: Path | None = None,
    mounts: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    version: str = "1.31.3",
    context: str | None = None,
) -> Configuration:
    """Read and compile a configuration; the first file is the main one.

    `prefix` is what relative includes start from, `mounts` maps paths inside a container to files here, `variables`
    fill an envsubst template, `context` is what the first file is a piece of ("main", "http", "server", "location").

    Raises:
        ConfigurationError: there is nothing to read.
    """
    tree = load_tree(files, prefix=prefix, mounts=mounts, variables=variables, version=version, context=context)
    return Configuration(tree, version, mounts)
