"""Request targets as nginx reads and writes them: normalised paths, arguments, percent-encoding."""

from __future__ import annotations

import re

from auditor.dataclass import dataclass

_CONTROL = re.compile("[\x00-\x20\x7f]")
_HEX = frozenset("0123456789abcdefABCDEF")
_SIMPLE = re.compile(r"((?:/(?!/)(?!\.)[^\x00-\x20%#?/\x7f+]*)+)(?:\?([^\x00-\x20#\x7f]*))?\Z")
_ESCAPED_URI = '[\x00-\x20"#%<>?\\\\^`{|}\x7f-\xff]'
_ESCAPED_ARGS = '[\x00-\x20"#%&+;<>?\\\\^`{|}\x7f-\xff]'
_ABSOLUTE = r"(?s)(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<host>[A-Za-z0-9.\-]+|\[[^\]/?# ]*\])(?::(?P<port>[0-9]*))?(?P<rest>[/?#].*)?\Z"


@dataclass(frozen=True, slots=True)
class Target:
    """One request target: decoded path, raw arguments, the raw text, and what was seen in it.

    `escaped`: the raw path holds "%" or "+"; `quoted`: it holds "%". `faithful`: the raw text is what a proxy may send on.
    """

    path: str
    args: str
    raw: str
    host: str = ""
    port: str = ""
    escaped: bool = False
    faithful: bool = True
    quoted: bool = False


def decode(path: str) -> str | None:
    """Return a path with its percent-escapes decoded once; None where one is malformed or a zero byte."""
    if "%" not in path:
        return path
    parts = path.split("%")
    result = [parts[0]]
    for part in parts[1:]:
        if len(part) < 2 or part[0] not in _HEX or part[1] not in _HEX:
            return None
        char = chr(int(part[:2], 16))
        if char == "\0":
            return None
        result.append(char + part[2:])
    return "".join(result)


def normalise(path: str, *, merge: bool = True) -> str | None:
    """Resolve "." and ".." and merge slashes in a decoded path; None where ".." leads above the root.

    Source: `ngx_http_parse_complex_uri` (src/http/ngx_http_parse.c). The path begins with a slash.
    """
    out = ""
    pieces = path.split("/")[1:]
    last = len(pieces) - 1
    for index, piece in enumerate(pieces):
        # here `out` is empty or ends before the slash that leads to this piece
        if piece == "" and index < last and merge:
            continue
        if piece == ".":
            if index == last:
                out += "/"
            continue
        if piece == "..":
            cut = out.rfind("/")
            if cut < 0:
                return None
            out = out[:cut]
            if index == last:
                out += "/"
            continue
        out += "/" + piece
    return out or "/"


def plausible(target: str) -> bool:
    """Whether a target can stand in a request line (`ngx_http_parse_request_line`); its path may still be refused."""
    if target[:1] != "/" and re.match(_ABSOLUTE, target) is None:
        return False
    return _CONTROL.search(target) is None


def parse(target: str, *, merge: bool = True) -> Target | None:
    """Read a request target (origin or absolute form); None where nginx answers 400."""
    simple = _SIMPLE.match(target)
    if simple is not None:
        return Target(simple[1], simple[2] or "", target)
    host = port = ""
    raw = target
    faithful = True
    if not target.startswith("/"):
        absolute = re.match(_ABSOLUTE, target)
        if absolute is None:
            return None
        host, port = absolute["host"], absolute["port"] or ""
        raw = absolute["rest"] or "/"
        if not raw.startswith("/"):
            faithful = False
    if _CONTROL.search(raw):
        return None
    visible = raw.split("#", 1)[0]
    path, _, args = visible.partition("?")
    path = path or "/"
    decoded = decode(path)
    if decoded is None:
        return None
    normal = normalise(decoded, merge=merge)
    if normal is None:
        return None
    return Target(normal, args, raw, host, port, "%" in path or "+" in path, faithful, "%" in path)


def _percent(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"


def escape(text: str) -> str:
    """Escape a path as nginx does for an upstream or a redirect (`NGX_ESCAPE_URI`); unknown text stays."""
    return re.sub(_ESCAPED_URI, _percent, text)


def escape_args(text: str) -> str:
    """Escape a capture as nginx does inside arguments (`NGX_ESCAPE_ARGS`); unknown text stays."""
    return re.sub(_ESCAPED_ARGS, _percent, text)


def unescape_redirect(text: str) -> str:
    """Undo `escape_args` the way a redirecting `rewrite` does (`NGX_UNESCAPE_REDIRECT`).

    Up to the first "?"; escapes of bytes that must stay escaped in a URL (below "%", above "~") are kept, and what
    is malformed is dropped as nginx drops it (`ngx_unescape_uri`, src/core/ngx_string.c).
    """
    head, question, tail = text.partition("?")
    result = []
    position = 0
    while position < len(head):
        char = head[position]
        if char != "%":
            result.append(char)
            position += 1
            continue
        first, second = head[position + 1 : position + 2], head[position + 2 : position + 3]
        if first not in _HEX:
            result.append(first)
            position += 2
            continue
        position += 3
        if second not in _HEX:
            continue
        value = int(first + second, 16)
        if 0x25 < value < 0x7F:
            result.append(chr(value))
            if value == 0x3F:
                return "".join(result) + head[position:] + question + tail
        else:
            result.append(f"%{first}{second}")
    return "".join(result) + question + tail
