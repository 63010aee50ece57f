"""Files: where a request's path leads on disk, `try_files`, `index`, and the static handler."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Action, Field, Unknown
from auditor.nginx.model import Node
from auditor.nginx.rewrite import FILE, FOLDER, set_location, there
from auditor.nginx.state import LAYER, Run, Undecided
from auditor.nginx.template import Value
from auditor.nginx.tokens import Directive
from auditor.nginx.uri import escape

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine, Phase

ETAG = Field("ETag", UNKNOWN_VALUE, None, LAYER)
READS = frozenset({"GET", "HEAD"})
PREFIX = UNKNOWN_VALUE + "/"
"""Stands for nginx's prefix directory before a relative path."""


@dataclass(frozen=True, slots=True)
class Root:
    """Where the files of one node are: its `root` or `alias` with the level that has it.

    `text` is the path where it holds no variable, else what to evaluate.
    """

    directive: Directive | None
    level: Node
    text: str
    variable: bool
    alias: bool


def root_at(node: Node) -> Root:
    """Return the root or alias that applies at a node, found once."""
    known: Root | None = node.rooted
    if known is None:
        known = node.rooted = _find_root(node)
    return known


def _find_root(node: Node) -> Root:
    level: Node | None = node
    while level is not None:
        found = level.own.get("root or alias")
        if found:
            alias = found[-1].name == "alias"
            text = found[-1].args[0] if found[-1].args else ""
            absolute = text.startswith("/")
            text = text if alias else text.removesuffix("/")
            variable = "$" in text
            return Root(found[-1], level.enclosing(), text if variable or absolute else PREFIX + text, variable, alias)
        level = level.parent
    return Root(None, node, PREFIX + "html", variable=False, alias=False)


def root_of(run: Run) -> str:
    """Return `$document_root`: the root or alias as evaluated."""
    root = root_at(run.node)
    if not root.variable:
        return root.text
    text = run.value(root.text)
    return text if text.startswith("/") else PREFIX + text


def path_of(run: Run) -> str:
    """Return the file that the URI stands for (`ngx_http_map_uri_to_path`)."""
    root = root_at(run.node)
    text = root_of(run) if root.variable else root.text
    if not root.alias:
        return text + run.uri
    if root.level.regex is not None:
        return text + (run.uri if run.add_uri_to_alias else "")
    if len(run.uri) < len(root.level.name):  # a slash is about to be added to the URI, and nginx dies of it
        place = root.directive.location if root.directive is not None else None
        raise Undecided(Unknown(f"nginx takes {root.level.name} off the shorter URI {run.uri}", place))
    return text + run.uri[len(root.level.name) :]


@dataclass(frozen=True, slots=True)
class TryFiles:
    """One `try_files`, compiled: candidates with whether each is to be a directory, the fallback, the alias to cut."""

    directive: Directive
    candidates: tuple[tuple[Value, bool], ...]
    last: Value
    alias: bool
    cut: int


def try_files_of(engine: Engine, node: Node) -> TryFiles | None:
    """Compile the `try_files` of a level; it is not inherited, and an `if` that is true loses it."""
    directives = node.own.get("try_files")
    if not directives or node.kind in {"if", "except"} or not directives[-1].args:
        return None
    *candidates, last = directives[-1].args
    root = root_at(node)
    pairs = tuple((engine.value(text.removesuffix("/")), text.endswith("/")) for text in candidates)
    cut = len(root.level.name) if root.alias and root.level.regex is None else 0
    return TryFiles(directives[-1], pairs, engine.value(last), root.alias, cut)


def try_files(engine: Engine, what: TryFiles, index: int, run: Run) -> Phase | None:
    """Try one candidate after the other, then go on with the fallback."""
    if index == 0 and misplaced_alias(run):
        return engine.finish(run, 500)
    if index == len(what.candidates):
        return _fall_back(engine, what, run)
    value, folder = what.candidates[index]
    name = _candidate(run, value, what.cut)
    return there(run, root_of(run) + name, FOLDER if folder else FILE, partial(_tried, engine, what, index, name))


def _tried(engine: Engine, what: TryFiles, index: int, name: str, run: Run, found: bool) -> Phase | None:  # noqa: PLR0917 - follows nginx's own
    if not found:
        return try_files(engine, what, index + 1, run)
    if run.why is not None:
        run.note("try_files", what.directive.location, f"{root_of(run) + name} is there")
    if not what.alias or what.cut:
        run.uri = run.uri[: what.cut] + name
    elif not what.candidates[index][1]:
        run.uri = name
        run.add_uri_to_alias = True
    run.parsed = False
    return engine.content


def _fall_back(engine: Engine, what: TryFiles, run: Run) -> Phase | None:
    last = what.last.text
    if run.why is not None:
        run.note("try_files", what.directive.location, f"nothing is there: goes on with {last}")
    if last.startswith("="):
        status = int(last[1:]) if last[1:].isdigit() else 404
        return engine.close(run, 200) if status == 200 else engine.finish(run, status)
    target = _candidate(run, what.last, what.cut)
    if target.startswith("@"):
        return engine.named(run, target)
    uri, _, args = target.partition("?")
    if not uri:  # nginx looks at the byte before, which is the last one of the root
        run.after_slash = root_of(run).endswith("/")
    return engine.redirect(run, uri, args)


def _candidate(run: Run, value: Value, cut: int) -> str:
    """Evaluate one argument of `try_files`; with an alias, what variables repeat of the location's name is cut off."""
    name = value(run)
    return name[cut:] if cut and value.const is None and name[:cut] == run.uri[:cut] else name


def misplaced_alias(run: Run) -> bool:
    """Whether an alias applies to a URI that a server-level `rewrite … break` changed, which nginx refuses."""
    root = root_at(run.node)
    return not run.valid_location and root.alias and (root.level.regex is not None or bool(root.level.name))


def serve(engine: Engine, run: Run) -> Phase | None:
    """Run the handlers for files: index, autoindex, static."""
    folder = run.uri.endswith("/") or (not run.uri and run.after_slash)
    if run.verb not in READS and run.method != "POST":
        run.note("", None, f"files are only served to GET and HEAD, not {run.method}")
        return engine.finish(run, 405)
    if folder:
        return _index(engine, path_of(run), 0, run)
    if misplaced_alias(run):
        return engine.finish(run, 500)
    path = path_of(run)
    run.action = Action("static", None, path if path.startswith("/") else None)
    return there(run, path, FILE, partial(_file, engine, path))


def _index(engine: Engine, path: str, number: int, run: Run) -> Phase | None:
    """Look for the index files of a directory, from one on (`ngx_http_index_handler`)."""
    lines = run.node.find("index")
    names = [arg for line in lines for arg in line.args] or ["index.html"]
    if number == len(names):
        return _no_index(engine, run)
    value: Value = engine.value(names[number])
    if misplaced_alias(run) and not (value.const or "").startswith("/"):
        return engine.finish(run, 500)
    text = value(run)
    if text.startswith("/"):
        return engine.redirect(run, text, run.args)
    if value.const is None and not text:
        return engine.redirect(run, run.uri, run.args)
    place = lines[-1].location if lines else None
    return there(run, path + text, FILE, partial(_indexed, engine, path, number, text, place))


def _indexed(  # noqa: PLR0917 - follows nginx's own
    engine: Engine, path: str, number: int, text: str, place: Location | None, run: Run, found: bool
) -> Phase | None:
    if found:
        run.note("index", place, f"{path + text} is there")
        return engine.redirect(run, run.uri + text, run.args)
    if run.uri == "/" and not root_at(run.node).alias:
        return there(run, path, FOLDER, partial(_root, engine, path, number))
    return there(run, path, FOLDER, partial(_folder, engine, path, number))


def _root(engine: Engine, path: str, number: int, run: Run, found: bool) -> Phase | None:
    if found:
        return _index(engine, path, number + 1, run)
    run.note("", None, f"there is no folder {path}: 404")
    return engine.finish(run, 404)


def _folder(engine: Engine, path: str, number: int, run: Run, found: bool) -> Phase | None:
    if found:
        return _index(engine, path, number + 1, run)
    return there(run, path.rstrip("/"), FILE, partial(_no_folder, engine, path))


def _no_folder(engine: Engine, path: str, run: Run, found: bool) -> Phase | None:
    """A file where a folder should be: below it nothing is found; an alias that lacks its slash leads to 500."""
    status = 500 if found and not path.endswith("/") else 404
    run.note("", None, f"{path} is {'a file' if found else 'not there'}: {status}")
    return engine.finish(run, status)


def _lists(run: Run) -> bool:
    listing = run.node.last("autoindex")
    return listing is not None and listing.args == ("on",) and run.verb in READS


def _no_index(engine: Engine, run: Run) -> Phase | None:
    if _lists(run):
        run.action = Action("static")
        run.status = 200
        run.content_type = "text/html"
        return engine.send(run)
    run.note("index", None, "no index file and no listing: 403")
    return engine.finish(run, 403)


def _file(engine: Engine, path: str, run: Run, found: bool) -> Phase | None:
    return _send_file(engine, run, path) if found else there(run, path, FOLDER, partial(_not_a_file, engine, path))


def _not_a_file(engine: Engine, path: str, run: Run, found: bool) -> Phase | None:
    if not found:
        run.note("", None, f"there is no file {path}: 404")
        return engine.finish(run, 404)
    run.note("", None, f"{path} is a folder, whose name needs a slash: 301")
    set_location(run, escape(run.uri) + "/" + (f"?{run.args}" if run.args else ""), None)
    run.action = Action("redirect")
    return engine.finish(run, 301)


def _send_file(engine: Engine, run: Run, path: str) -> Phase | None:
    if run.method == "POST":
        run.note("", None, f"the file {path} is there, but files are not for POST: 405")
        return engine.finish(run, 405)
    run.status = 200
    run.body_read = "0"
    run.content_length = UNKNOWN_VALUE
    run.last_modified = UNKNOWN_VALUE
    if run.content_type is None:
        run.content_type = ""
    if engine.settings(run.node).etag:
        run.sent.append(ETAG)
    run.ranges = True
    run.note("", None, f"the file {path} is sent")
    return engine.send(run)
