"""What an expert adds to a decision: why the other locations were not chosen, which lines are never reached."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.nginx.model import HANDLERS, Node
from auditor.nginx.regex import RegexError
from auditor.nginx.select import EXACT, REDIRECT
from auditor.nginx.state import Run

MOST_OTHERS = 12
LATER = (
    "limit_req",
    "limit_conn",
    "access rules",
    "auth_basic",
    "auth_request",
    "try_files",
    *sorted(HANDLERS),
)
"""What runs after the rewrite phase, by the names under which a node keeps it."""


def why_chosen(node: Node, how: str) -> str:
    """Say how a location was found."""
    if node.kind != "location":
        return "no location fits: the server block itself answers"
    if how == REDIRECT:
        return "is chosen: the URI is its name without the final slash"
    if node.modifier == "=":
        return "is chosen: it is exactly the URI"
    if node.regex is not None:
        return "is chosen: the first regular expression that matches"
    if how == EXACT:
        return "is chosen"
    plain = "is chosen: the longest prefix"
    return plain + (
        ", and ^~ keeps regular expressions out" if node.modifier == "^~" else ", and no regular expression matches"
    )


def others(run: Run, chosen: Node, how: str) -> None:
    """Note every other location that could be taken for the one that answers, and why it is not."""
    found = [*_unsearched(run.uri, chosen)]
    parent = chosen.parent if chosen.kind == "location" else chosen
    while parent is not None and parent.kind in {"server", "location"}:
        for node in parent.locations:
            reason = "" if node is chosen else _reason(run.uri, node, chosen, how)
            if reason:
                found.append((node, reason))
                found += _inside(run.uri, node, chosen)
        if parent.kind == "server":
            break
        chosen, parent = parent, parent.parent
    for node, reason in found[:MOST_OTHERS]:
        run.note(node.label, node.place, f"is not chosen: {reason}")


def _unsearched(uri: str, chosen: Node) -> Iterator[tuple[Node, str]]:
    """Yield the locations inside a regular expression that fit and are never searched (`ngx_http_init_static_location_trees`)."""
    for node in chosen.locations if chosen.regex is not None else ():
        if node.regex is None and node.modifier != "@" and uri.startswith(node.name):
            yield node, "inside a regular expression nginx searches for regular expressions only"


def _inside(uri: str, passed: Node, chosen: Node) -> Iterator[tuple[Node, str]]:
    """Yield what fits inside a prefix that lost to a regular expression beside it, and why that did not help."""
    if (
        chosen.regex is None
        or passed.regex is not None
        or passed.tree is None
        or _longest(uri, passed.parent) is not passed
    ):
        return
    inner = passed.tree.longest(uri)
    for node in passed.locations:
        if node is inner:
            why = f"it is the longest prefix inside {passed.pattern}, but {chosen.pattern} outside wins over it too"
            if node.modifier == "^~":
                why += f": its ^~ keeps out only the regular expressions inside {passed.pattern}"
            yield node, why
            yield from _inside(uri, node, chosen)
        elif inner is not None and inner.modifier == "^~" and node.regex is not None and _matches(node, uri):
            yield node, f"it matches too, but ^~ of {inner.name} keeps it out"


def _longest(uri: str, level: Node | None) -> Node | None:
    return None if level is None or level.tree is None else level.tree.longest(uri)


def _matches(node: Node, uri: str) -> bool:
    try:
        return node.regex is not None and node.regex.search(uri)
    except (RegexError, UnicodeEncodeError):
        return False


def _reason(uri: str, node: Node, chosen: Node, how: str) -> str:
    """Return why a location that the URI fits was passed over; "" where it does not fit."""
    if node.modifier == "@":
        return ""
    if node.regex is not None:
        return _regex_reason(uri, node, chosen, how)
    if node.modifier == "=":
        if uri + "/" == node.name or uri == node.name + "/":
            return f"it is exactly {node.name}, a slash apart from {uri}"
        return ""
    if not uri.startswith(node.name):
        return f"its name ends with a slash that {uri} lacks" if uri + "/" == node.name else ""
    if chosen.regex is not None:
        longest = _longest(uri, node.parent)
        if longest is not None and longest is not node:
            return f"it is a prefix of {uri}, but {longest.name} is longer, and the regular expression {chosen.name} wins over both"
        return f"it is a prefix of {uri}, but the regular expression {chosen.name} wins over it (^~ would keep it out)"
    if chosen.modifier == "=":
        return f"it is a prefix of {uri} too, but an exact location ends the search"
    if len(node.name) < len(chosen.name):
        return f"it is a prefix of {uri} too, but {chosen.name} is longer"
    return f"it is a prefix of {uri}, but {chosen.pattern} is decided first"


def _regex_reason(uri: str, node: Node, chosen: Node, how: str) -> str:
    if not _matches(node, uri):
        return ""
    if chosen.regex is not None:
        return "it matches too, but comes later in the file"
    if chosen.modifier == "=":
        return "it matches too, but an exact location ends the search"
    if how == REDIRECT:
        return "it matches too, but the missing slash is added first"
    if chosen.modifier == "^~":
        return f"it matches too, but ^~ of {chosen.name} keeps regular expressions out"
    return "it matches too, but a nested location was found first"


def replaced(run: Run, old: Node) -> None:
    """Note the headers of an `if` that was true before another one was."""
    for line in old.own.get("add_header", ()) if old.kind == "if" else ():
        run.note(
            " ".join((line.name, *line.args)),
            line.location,
            f"is lost with its {old.label}: a later if of this location is true too, and only the last one counts",
        )


def overridden(run: Run, node: Node, name: str) -> None:
    """Note the lines of outer levels that a level's own lines of the same name put out of force."""
    level: Node | None = node
    while level is not None and not level.own.get(name):
        level = level.parent
    outer = level.parent if level is not None else None
    while outer is not None and level is not None:
        for line in outer.own.get(name, ()):
            where = f"{level.label} (line {level.place.line})" if level.place else level.label
            run.note(
                " ".join((line.name, *line.args)),
                line.location,
                f"does not apply here: {where} has {name} lines of its own",
            )
        outer = outer.parent


def excepted(run: Run, node: Node) -> None:
    """Note the lines of a location that do not run because limit_except has taken over before they would."""
    for line in (*node.script, *node.own.get("try_files", ())):
        run.note(" ".join((line.name, *line.args)), line.location, "does not run: limit_except has taken over")


def unreached(run: Run, node: Node) -> None:
    """Note the lines of the answering block that look as if they applied, but belong to phases that never came."""
    for name in LATER:
        whole = node.enclosing()
        own = node.own.get(name) or whole.own.get(name, [])
        for line in node.find(name) if name not in HANDLERS and name != "try_files" else own:
            run.note(
                " ".join((line.name, *line.args)),
                line.location,
                "is never reached: the rewrite phase has answered before it",
            )
