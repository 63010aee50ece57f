"""Files: where a request's path leads on disk, `try_files`, `index`, and the static handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.exchange import UNKNOWN_VALUE, Action, Field
from auditor.nginx.model import Node
from auditor.nginx.rewrite import FILE, FOLDER, is_there, set_location
from auditor.nginx.state import LAYER, Run
from auditor.nginx.template import Value
from auditor.nginx.uri import escape

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine, Phase
    from auditor.nginx.tokens import Directive

READS = frozenset({"GET", "HEAD"})
PREFIX = UNKNOWN_VALUE + "/"
"""Stands for nginx's prefix directory before a relative path."""


def root_directive(node: Node) -> tuple[Directive | None, Node]:
    """Return the root or alias that applies, and the level that has it."""
    level: Node | None = node
    while level is not None:
        found = level.own.get("root or alias")
        if found:
            return found[-1], level.enclosing()
        level = level.parent
    return None, node


def _full(path: str) -> str:
    return path if path.startswith("/") else PREFIX + path


def root_of(run: Run) -> str:
    """Return `$document_root`: the root or alias as evaluated."""
    directive, _ = root_directive(run.node)
    if directive is None:
        return PREFIX + "html"
    text = directive.args[0] if directive.args else ""
    if "$" not in text:
        return _full(text)
    return _full(run.value(text))


def path_of(run: Run, uri: str | None = None) -> str:
    """Return the file that a URI stands for (`ngx_http_map_uri_to_path`)."""
    uri = run.uri if uri is None else uri
    directive, level = root_directive(run.node)
    root = root_of(run)
    if directive is None or directive.name == "root":
        return root + uri
    if level.regex is not None:
        return root + (uri if run.add_uri_to_alias else "")
    return root + uri[len(level.name) :]


def try_files(engine: Engine, run: Run) -> Phase | int | None:
    """Run `try_files`; return 0 to go on, a status, or the phase that the fallback leads to."""
    directives = run.node.own.get("try_files")
    if not directives or run.node.kind in {"if", "except"}:
        return 0
    directive = directives[-1]
    *candidates, last = directive.args or ("",)
    root, level = root_directive(run.node)
    alias = root is not None and root.name == "alias"
    base = root_of(run)
    cut = len(level.name) if alias and level.regex is None else 0
    for candidate in candidates:
        folder = candidate.endswith("/")
        name = _candidate(engine, run, candidate[:-1] if folder else candidate, cut)
        if is_there(run, base + name, FOLDER if folder else FILE):
            run.note("try_files", directive.location, f"{base + name} is there")
            if not alias or cut:
                run.uri = run.uri[:cut] + name
            elif not folder:
                run.uri = name
                run.add_uri_to_alias = True
            run.parsed = False
            return 0
    run.note("try_files", directive.location, f"nothing is there: goes on with {last}")
    if last.startswith("="):
        return int(last[1:]) if last[1:].isdigit() else 404
    target = _candidate(engine, run, last, cut)
    if target.startswith("@"):
        return engine.named(run, target)
    uri, _, args = target.partition("?")
    return engine.redirect(run, uri, args)


def _candidate(engine: Engine, run: Run, text: str, cut: int) -> str:
    """Evaluate one argument of `try_files`; with an alias, what variables repeat of the location's name is cut off."""
    value = engine.value(text)
    name = value(run)
    return name[cut:] if cut and value.const is None and name[:cut] == run.uri[:cut] else name


def misplaced_alias(run: Run) -> bool:
    """Whether an alias applies to a URI that a server-level `rewrite … break` changed, which nginx refuses."""
    return not run.valid_location and aliased(run)


def aliased(run: Run) -> bool:
    """Whether an alias applies."""
    directive = root_directive(run.node)[0]
    return directive is not None and directive.name == "alias"


def serve(engine: Engine, run: Run) -> Phase | None:
    """Run the handlers for files: index, autoindex, static."""
    if run.uri.endswith("/"):
        return _directory(engine, run)
    return _file(engine, run)


def _directory(engine: Engine, run: Run) -> Phase | None:
    if misplaced_alias(run):
        return engine.finish(run, 500)
    path = path_of(run)
    if run.method in READS or run.method == "POST":
        lines = run.node.find("index")
        names = [arg for line in lines for arg in line.args] or ["index.html"]
        for name in names:
            value: Value = engine.value(name)
            text = value(run)
            if text.startswith("/") and value.const is not None:
                return engine.redirect(run, text, run.args)
            if text.startswith("/"):
                return engine.redirect(run, text, run.args)
            if value.const is None and not text:
                return engine.redirect(run, run.uri, run.args)
            if is_there(run, path + text, FILE):
                run.note("index", lines[-1].location if lines else None, f"{path + text} is there")
                return engine.redirect(run, run.uri + text, run.args)
            folder = engine.folder(run, path, certain=run.uri == "/" and not aliased(run))
            if folder:
                return engine.finish(run, (404, 500)[folder - 1])
    listing = run.node.last("autoindex")
    if listing is not None and listing.args == ("on",) and run.method in READS:
        run.action = Action("static")
        run.status = 200
        run.content_type = "text/html"
        return engine.send(run)
    if run.method not in READS and run.method != "POST":
        return engine.finish(run, 405)
    run.note("index", None, "no index file and no listing: 403")
    return engine.finish(run, 403)


def _file(engine: Engine, run: Run) -> Phase | None:
    if run.method not in READS and run.method != "POST":
        run.note("", None, f"files are only served to GET and HEAD, not {run.method}")
        return engine.finish(run, 405)
    if misplaced_alias(run):
        return engine.finish(run, 500)
    path = path_of(run)
    run.action = Action("static", None, path if path.startswith("/") else None)
    if is_there(run, path, FILE):
        return _send_file(engine, run, path)
    if not is_there(run, path, FOLDER):
        return engine.finish(run, 404)
    if run.uri:
        target = escape(run.uri) + "/" + (f"?{run.args}" if run.args else "")
        set_location(run, target, None)
        run.action = Action("redirect")
        return engine.finish(run, 301)
    return engine.finish(run, 404)


def _send_file(engine: Engine, run: Run, path: str) -> Phase | None:
    if run.method == "POST":
        return engine.finish(run, 405)
    run.status = 200
    run.body_read = "0"
    run.content_length = UNKNOWN_VALUE
    run.last_modified = UNKNOWN_VALUE
    if run.content_type is None:
        run.content_type = ""
    if engine.settings(run.node).etag:
        run.sent.append(Field("ETag", UNKNOWN_VALUE, None, LAYER))
    run.ranges = True
    run.note("", None, f"the file {path} is sent")
    return engine.send(run)
