"""The rewrite module: `set`, `if`, `rewrite`, `return`, `break` of one level, compiled to a program and run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Action, Field, Unknown
from auditor.nginx.explaining import replaced
from auditor.nginx.model import Node
from auditor.nginx.regex import Regex
from auditor.nginx.state import LAYER, Run, Undecided
from auditor.nginx.template import ScriptError, Value, split
from auditor.nginx.tokens import Directive
from auditor.nginx.uri import escape_args, unescape_redirect
from auditor.sealed import result_of

if TYPE_CHECKING:
    from auditor.nginx.variables import Variables

GO_ON = None
STOP = -1
SENT = -2
"""What a step of a program says: go on, stop the program, or the answer is complete; else a status to end with."""

Going = Callable[[Run], Any] | None
"""How a request goes on: the next phase, or None where the answer is complete."""
Step = Callable[[Run], int | None]
Condition = Callable[[Run], bool]
REDIRECTS = frozenset({301, 302, 303, 307, 308})
FILE, FOLDER, EITHER = frozenset({"file"}), frozenset({"folder"}), frozenset({"file", "folder"})
_TESTS = {"f": FILE, "d": FOLDER, "e": EITHER, "x": EITHER}


def text_of(directive: Directive) -> str:
    """Return a directive as one line."""
    words = (word if word and not any(c in ' \t\r\n;{}"' for c in word) else f'"{word}"' for word in directive.args)
    return " ".join((directive.name, *words))


def run_program(run: Run, node: Node, variables: Variables) -> int:
    """Run a level's program; STOP where the request goes on, SENT, or the status to end with."""
    program: tuple[Step, ...] | None = node.program
    if program is None:
        program = node.program = compile_program(node.script, node, variables)
    if not program:
        return STOP
    run.quote = True
    try:
        for step in program:
            result = step(run)
            if result is not None:
                return result
    except ScriptError:
        return 500
    finally:
        run.quote = False
    return STOP


def compile_program(script: list[Directive], node: Node, variables: Variables) -> tuple[Step, ...]:
    """Compile the rewrite directives of one level."""
    steps = []
    for directive in script:
        make = _MAKERS.get(directive.name)
        if make is not None:
            steps.append(make(directive, node, variables))
    return tuple(steps)


def _set(directive: Directive, _node: Node, variables: Variables) -> Step:
    name = directive.args[0].lstrip("$").lower() if directive.args else ""
    value = Value(directive.args[1] if len(directive.args) > 1 else "", variables, script=True)

    def step(run: Run) -> int | None:
        result = value(run)
        if name in {"args", "query_string"}:
            run.args = result
            run.faithful = False
        else:
            run.vars[name] = result
        if run.why is not None:
            run.note(text_of(directive), directive.location, f'${name} is now "{result}"')
        return GO_ON

    return step


def _break(directive: Directive, _node: Node, _variables: Variables) -> Step:
    def step(run: Run) -> int | None:
        if run.uri_changed:
            run.valid_location = False
            run.uri_changed = False
        run.note("break", directive.location, "the rewrite directives below do not run")
        return STOP

    return step


def _return(directive: Directive, _node: Node, variables: Variables) -> Step:
    args = directive.args
    first = args[0] if args else "200"
    if first.isdigit():
        status = int(first)
        text = args[1] if len(args) > 1 else None
    else:
        status, text = 302, first
    value = None if text is None else Value(text, variables)
    sends = status < 400 or (text is not None and text != "")

    def step(run: Run) -> int | None:
        if run.why is not None:
            run.note(
                text_of(directive), directive.location, f"answers {status} in the rewrite phase; nothing later runs"
            )
        run.action = Action("redirect" if status in REDIRECTS else "return")
        if not sends:
            return status
        return send_text(run, status, value, directive.location)

    return step


def send_text(run: Run, status: int, value: Value | None, location: Location | None) -> int:
    """Answer with a text (`ngx_http_send_response`); a redirecting status goes on to the error pages."""
    run.status = status
    run.discard_body()
    text = value(run) if value is not None else ""
    if status in REDIRECTS:
        set_location(run, text, location)
        return status
    run.body = text
    run.content_length = UNKNOWN_VALUE if UNKNOWN_VALUE in text else str(len(text))
    if run.content_type is None:
        run.content_type = ""
    return SENT


def set_location(run: Run, value: str, location: Location | None) -> None:
    """Make this the answer's Location, in place of an earlier one that nginx made."""
    if run.redirect is not None:
        run.sent = [line for line in run.sent if line is not run.redirect]
    run.redirect = Field("Location", value, location, LAYER)
    run.sent.append(run.redirect)


def _rewrite(directive: Directive, _node: Node, variables: Variables) -> Step:
    pattern, replacement = (*directive.args, "", "")[:2]
    flag = directive.args[2] if len(directive.args) > 2 else ""
    regex = Regex(pattern)
    keep_args = not replacement.endswith("?")
    if not keep_args:
        replacement = replacement[:-1]
    absolute = replacement.startswith(("http://", "https://", "$scheme"))
    status = 301 if flag == "permanent" else 302 if flag == "redirect" or absolute else 0
    last = bool(flag) or absolute
    write = _replacement(replacement, variables, redirect=bool(status), keep_args=keep_args)
    has_args = "?" in replacement
    shown = text_of(directive)

    def step(run: Run) -> int | None:
        if not run.matches(regex, run.uri, directive.location, "the URI"):
            run.captures = None
            run.note(shown, directive.location, f"no match for {run.uri}")
            return GO_ON
        run.internal = True
        run.faithful = False
        if flag == "break":
            run.valid_location = run.uri_changed = False
        else:
            run.uri_changed = True
        path, args = write(run)
        run.quote = False
        if status:
            path = unescape_redirect(path)
            if keep_args and run.args:
                path += ("&" if has_args else "?") + run.args
            set_location(run, path, directive.location)
            run.action = Action("redirect")
            run.note(text_of(directive), directive.location, f"redirects with {status} to {path}")
            return status
        if args is not None:
            run.args = f"{args}&{run.args}" if keep_args and run.args else args
        elif not keep_args:
            run.args = ""
        run.note(text_of(directive), directive.location, f"{run.uri} becomes {path}")
        run.uri = path
        run.parsed = False
        if not path:
            return 500
        return STOP if last else GO_ON

    return step


def _replacement(  # noqa: C901 - follows nginx's own
    text: str, variables: Variables, *, redirect: bool, keep_args: bool
) -> Callable[[Run], tuple[str, str | None]]:
    """Return the function that writes a replacement: the path, and the arguments after the last "?" where there is one."""
    parts = split(text, args=not redirect)
    readers: list[tuple[str, Callable[[Run], str] | None, str]] = []
    for kind, name in parts:
        readers.append((kind, variables.get(name) if kind == "variable" else None, name))

    twice = {"capture", "variable"} <= {kind for kind, _, _ in readers}

    def once(run: Run, room: int) -> tuple[str, str | None]:
        result = ""
        mark = -1
        quote = redirect
        for kind, get, name in readers:
            if kind == "text":
                result += name
            elif kind == "args":
                mark, quote = len(result), True
            elif kind == "capture":
                captures = run.captures
                number = int(name)
                value = captures[number] if captures is not None and number < len(captures) else ""
                result += escape_args(value) if quote and run.escaped else value
            elif get is not None:
                result += get(run)
            if room >= 0 and len(result) > room:
                raise ScriptError
        return (result, None) if mark < 0 else (result[:mark], result[mark:])

    def write(run: Run) -> tuple[str, str | None]:
        if not twice:
            return once(run, -1)
        path, args = once(run, -1)  # nginx measures first; a regex in between may have changed the captures
        marks = sum(kind == "args" for kind, _, _ in readers)
        extra = len(run.args) + 1 if keep_args and run.args else 0
        return once(run, len(path) + len(args or "") + marks + extra)

    return write


def _enter_if(run: Run, directive: Directive, child: Node | None) -> None:
    """Put the block of a true `if` in the place of the location's configuration; in a server it has none of its own."""
    if run.why is not None:
        text = "is true"
        if child is not None:
            replaced(run, run.node)
            text = "is true: its block replaces the location's configuration from here on"
        run.note(text_of(directive), directive.location, text)
    if child is not None:
        run.node = child
        run.enter(child)
        if child.handler is not None:
            run.handler = child


def _if(directive: Directive, node: Node, variables: Variables) -> Step:
    condition = compile_condition(directive, variables)
    child = node.children.get(id(directive))
    body: list[tuple[Step, ...]] = []
    inside = [item for item in directive.block or () if item.name in _MAKERS]

    def step(run: Run) -> int | None:
        if not condition(run):
            if run.why is not None:
                run.note(text_of(directive), directive.location, "is false")
            return GO_ON
        _enter_if(run, directive, child)
        if not body:
            body.append(compile_program(inside, node, variables))
        for inner in body[0]:
            result = inner(run)
            if result is not None:
                return result
        return GO_ON

    return step


def condition_words(directive: Directive) -> list[str]:
    """Return the words of an `if` condition without its parentheses."""
    words = list(directive.args)
    if words and words[0].startswith("("):
        words[0] = words[0][1:]
        if not words[0]:
            del words[0]
    if words and words[-1].endswith(")"):
        words[-1] = words[-1][:-1]
        if not words[-1] and len(words) not in {1, 3}:
            del words[-1]
    return words


def compile_condition(directive: Directive, variables: Variables) -> Condition:
    """Compile the condition of an `if` (`ngx_http_rewrite_if_condition`)."""
    words = condition_words(directive)
    place = directive.location
    if len(words) == 2 and words[0].lstrip("!")[:1] == "-":
        return _file_test(words[0], words[1], variables)
    if not words or not words[0].startswith("$"):
        return _broken(directive)
    subject = words[0]
    get = variables.get(subject[1:].lower())
    if len(words) == 1:
        return _truth(get, subject, place)
    if len(words) < 3:
        return _broken(directive)
    operator, operand = words[1], words[-1]
    if operator in {"=", "!="}:
        return _equality(get, subject, Value(operand, variables, script=True), operator == "=", place)
    if operator in {"~", "~*", "!~", "!~*"}:
        regex = Regex(operand, caseless=operator.endswith("*"))
        negative = operator.startswith("!")

        def test(run: Run) -> bool:
            found = run.matches(regex, get(run), place, subject)
            if not found:
                if run.captures:
                    run.note(" ".join(words), place, "does not match, and so $1 to $9 are empty from here on")
                run.captures = None
            return found is not negative

        return test
    return _broken(directive)


def _broken(directive: Directive) -> Condition:
    unknown = Unknown("the condition is not one nginx accepts", directive.location)

    def test(_run: Run) -> bool:
        raise Undecided(unknown)

    return test


def _truth(get: Callable[[Run], str], subject: str, place: Location) -> Condition:
    def test(run: Run) -> bool:
        value = get(run)
        if value == UNKNOWN_VALUE:
            return run.either(f"{subject} is not decided by the configuration", place, ("if", subject, str(place)))
        return result_of(_is_true, value)

    return test


def _is_true(value: str) -> bool:
    return value not in {"", "0"}


def _equality(get: Callable[[Run], str], subject: str, value: Value, equal: bool, place: Location) -> Condition:
    def test(run: Run) -> bool:
        left, right = get(run), value(run)
        if UNKNOWN_VALUE in left or UNKNOWN_VALUE in right:
            if _differ(left, right):
                return not equal
            same = run.either(
                f"{subject} is not decided by the configuration", place, ("equal", subject, right, str(place))
            )
            return same is equal
        return (left == right) is equal

    return test


def _differ(left: str, right: str) -> bool:
    """Whether two texts differ whatever their unknown parts are."""
    for one, other in zip(left, right, strict=False):
        if UNKNOWN_VALUE in {one, other}:
            break
        if one != other:
            return True
    for one, other in zip(reversed(left), reversed(right), strict=False):
        if UNKNOWN_VALUE in {one, other}:
            return False
        if one != other:
            return True
    return False


def _file_test(operator: str, operand: str, variables: Variables) -> Condition:
    negative = operator.startswith("!")
    kinds = _TESTS.get(operator[-1], EITHER)
    value = Value(operand, variables, script=True)

    def test(run: Run) -> bool:
        path = value(run)
        found = is_there(run, path, kinds)
        if found and operator.endswith("x"):
            found = run.choose(("executable", path), 2) == 0
            run.when += ("file-executable" if found else "file-not-executable",)
        return found is not negative

    return test


def is_there(run: Run, path: str, kinds: frozenset[str]) -> bool:
    """Whether a path is one of these kinds ("file", "folder") in this outcome; each path is asked consistently."""
    if path.endswith("/"):  # a file is not there by a name that ends in a slash
        path, kinds = path.rstrip("/") or "/", kinds & FOLDER
    possible = possible_kinds(run, path)
    inside, outside = possible & kinds, possible - kinds
    if not outside or not inside:
        return bool(inside)
    found = run.choose(("file", path, *sorted(inside)), 2) == 0
    run.files[path] = inside if found else outside
    run.when += (("path", path),)
    return found


def possible_kinds(run: Run, path: str) -> frozenset[str]:
    """Return what may be at a path, after what this outcome has settled and what is on disk here."""
    settled = run.files.get(path)
    if settled is None:
        settled = run.look(path)
        if len(settled) == 1:
            run.files[path] = settled
            run.when += (("path", path),)
    return settled


def there(run: Run, path: str, kinds: frozenset[str], then: Callable[[Run, bool], Going]) -> Going:
    """Go on with whether a path is one of these kinds, as the last thing a phase does; both ways are followed."""
    if path.endswith("/"):
        path, kinds = path.rstrip("/") or "/", kinds & FOLDER
    possible = possible_kinds(run, path)
    inside, outside = possible & kinds, possible - kinds
    if not outside or not inside:
        return then(run, bool(inside))
    return run.fork(2, partial(_settled, path, inside, outside, then))


def _settled(  # noqa: PLR0917 - follows nginx's own
    path: str,
    inside: frozenset[str],
    outside: frozenset[str],
    then: Callable[[Run, bool], Going],
    run: Run,
    pick: int,
) -> Going:
    run.files[path] = outside if pick else inside
    run.when += (("path", path),)
    return then(run, pick == 0)


_MAKERS: dict[str, Callable[[Directive, Node, Variables], Step]] = {
    "set": _set,
    "break": _break,
    "return": _return,
    "rewrite": _rewrite,
    "if": _if,
}
