"""Text that came from a server or a configuration, made safe to show: no control characters, no secrets."""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Field, Request

SECRET_HEADERS = frozenset(
    {
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "x-api-key",
        "x-auth-token",
        "x-csrf-token",
        "x-amz-security-token",
    }
)
"""Header names whose values never appear in a report."""

INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Control, bidirectional, zero-width and tag characters."""

_COOKIE = r"^([^=;\s]*)=([^;]*)"
_CONTROL_IN_SHELL = r"[^\x20-\x7e]"


def visible(text: str) -> str:
    r"""Show every control, bidirectional and zero-width character as an escape such as `\x1b`.

    So is the start of a workflow command that GitHub's runner obeys anywhere in a line of a step's output
    (`##[`, actions/runner, ActionCommand.TryParse).
    """
    if is_visible(text):
        return text
    return INVISIBLE.sub(lambda match: _escape(match.group()), text).replace("##[", "\\x23#[")


def is_visible(text: str) -> bool:
    """Whether there is nothing in a text that `visible` would escape: what is invisible is not printable in Unicode."""
    return text.isprintable() and "##[" not in text


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def header_value(line: Field) -> str:
    """Return a header line's value fit for a report: secrets replaced, undecided text shown as "…"."""
    name = line.name.lower()
    value = line.value
    if name == "set-cookie":
        value = re.sub(_COOKIE, lambda match: f"{match.group(1)}=(redacted)", value)
    elif name in SECRET_HEADERS:
        value = "(redacted)"
    return visible(value.replace(UNKNOWN_VALUE, "\N{HORIZONTAL ELLIPSIS}"))


def where(location: Location | None) -> str:
    """Return `file:line:column` with the file relative to the current folder where it lies below it."""
    if location is None:
        return ""
    return visible(str(Location(short_path(location.file), location.line, location.column)))


def short_path(file: str) -> str:
    """Return a path relative to the current folder where it lies below it, else as it is."""
    return _short_path(file, os.getcwd())  # noqa: PTH109 - a text to look up by, thousands of times


@lru_cache(maxsize=1024)
def _short_path(file: str, folder: str) -> str:
    path = Path(file)
    return str(path.relative_to(folder)) if path.is_absolute() and path.is_relative_to(folder) else file


def curl_line(request: Request) -> str:
    """Return the request as one `curl` command that a POSIX shell reads back as exactly these bytes."""
    words = ["curl", "-i"]
    if request.method == "HEAD":
        words.append("--head")
    elif request.method != "GET":
        words += ["-X", request.method]
    if request.version.startswith("2"):
        words.append("--http2")
    elif request.version == "1.0":
        words.append("--http1.0")
    if "/." in request.path or "//" in request.path:
        words.append("--path-as-is")
    host = request.host
    for line in request.headers:
        if line.name.lower() == "host":
            continue
        value = "(redacted)" if line.name.lower() in SECRET_HEADERS else line.value
        words += ["-H", f"{line.name}: {value}" if value else f"{line.name};"]
    words.append(f"{request.scheme}://{host}{request.target}" if request.target.startswith("/") else request.target)
    return " ".join(_repeated(word) or _shell_word(word) for word in words)


def _repeated(word: str) -> str:
    """Return a header whose value is one letter, hundreds of times, as a word that the shell makes as long; else ""."""
    name, separator, value = word.partition(": ")
    if not separator or len(value) < 200 or len(set(value)) > 1 or not value[0].isalnum():
        return ""
    return f"{_shell_word(name + separator)}\"$(printf '%{len(value)}s' '' | tr ' ' {value[0]})\""


def _shell_word(word: str) -> str:
    """Quote a word; `##[` is taken apart as `visible` does, and the shell puts it together again."""
    if not re.search(_CONTROL_IN_SHELL, word):
        return shlex.quote(word).replace("##[", "##'\"[\"'")
    escaped = "".join(
        c
        if 0x20 <= ord(c) < 0x7F and c not in "'\\"
        else "".join(f"\\x{b:02x}" for b in c.encode("latin-1", "replace"))
        for c in word
    )
    return f"$'{escaped}'".replace("##[", "#\\x23[")


def source_lines(file: str) -> Sequence[str]:
    """Return the lines of a file that a location names, () where it cannot be read; as Latin-1 where it is no UTF-8."""
    from auditor.policy.profiles import source  # noqa: PLC0415 - only where a profile or a file is quoted

    try:
        data = source(file).read_bytes()
    except OSError:
        return ()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return io.StringIO(text, newline=None).readlines()


def source_line(location: Location, lines: Callable[[str], Sequence[str]] = source_lines, *, limit: int = 160) -> str:
    """Return the line of the file that a location points at, without its newline, or "" where it cannot be read.

    A tab is shown as one space, so that columns stay what they are.
    """
    known = lines(location.file) if location.line else ()
    here = known[location.line - 1 : location.line]
    return visible(here[0].rstrip("\r\n").replace("\t", " "))[:limit] if here else ""
