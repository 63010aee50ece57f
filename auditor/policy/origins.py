"""Origins as a policy writes them: exact, patterns and regular expressions, each refused when it is loose by accident."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from auditor.policy.values import regular_expression

_ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]*))?(.*)", re.DOTALL)
_NAME = r"(?a)[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?"
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}
_PATTERN = re.compile(r"(https?)://((?:\*|[a-z0-9_-]+)(?:\.(?:\*|[a-z0-9_-]+))*)(?::(\*|[0-9]{1,5}))?", re.ASCII)


class OriginError(ValueError):
    """An origin that cannot stand as it is written, and what to write."""

    def __init__(self, message: str, hint: str) -> None:
        """Keep the sentence and the hint apart."""
        super().__init__(message)
        self.hint = hint


def exact(text: str) -> str:
    """Return an origin as browsers serialise it (HTML, "ASCII serialisation of an origin"), or `*`.

    Raises OriginError, saying what it should be.
    """
    if text == "*":
        return text
    if text == "null":
        raise OriginError("null is every opaque origin, not one", "to allow it, write null_origin: allow")
    if "*" in text:
        raise OriginError(f"{text!r} is compared exactly, the * included", f'write {{pattern: "{text}"}}')
    found = _ORIGIN.fullmatch(text)
    if not found:
        raise OriginError(
            f"{text!r} is not an origin: scheme://host, or scheme://host:port",
            f"write https://{text}" if re.fullmatch(_NAME, text) else "such as https://app.example.com",
        )
    if found[1].lower() in {"ws", "wss"}:
        page = "https" if found[1].lower() == "wss" else "http"
        raise OriginError(
            f"{text!r} is not an origin of a page: a WebSocket handshake carries the origin of the page that opens it",
            f"write {page}://{found[2]}",
        )
    canonical = _serialise(found[1], found[2], found[3], text)
    if canonical != text:
        raise OriginError(f"{text!r} is never sent by a browser: {_why(found, canonical)}", f"write {canonical}")
    return text


def _serialise(scheme: str, host: str, port: str | None, text: str) -> str:
    scheme = scheme.lower()
    number = int(port) if port and len(port) <= 5 else None
    if port and (number is None or not 1 <= number <= 65535):
        raise OriginError(f"{text!r} has no valid port", "a port is a number from 1 to 65535")
    shown = "" if number is None or number == _DEFAULT_PORTS.get(scheme) else f":{number}"
    return f"{scheme}://{_host(host, text)}{shown}"


def _host(host: str, text: str) -> str:
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            raise OriginError(f"{text!r} has no valid IPv6 address", "such as http://[::1]:3000") from None
    lower = host.lower()
    if not lower.isascii():
        try:
            lower = lower.encode("idna").decode("ascii")
        except UnicodeError:
            raise OriginError(f"{text!r} has no valid host name", "write it in ASCII (xn--…)") from None
    if not re.fullmatch(_NAME, lower) or ".." in lower:
        raise OriginError(f"{text!r} has no valid host name", "letters, digits, hyphens and dots")
    if lower.rstrip(".").rsplit(".", 1)[-1].isdigit():
        try:
            return str(ipaddress.IPv4Address(lower))
        except ValueError:
            raise OriginError(f"{text!r} has no valid IPv4 address", "four numbers from 0 to 255") from None
    return lower


def _why(found: re.Match[str], canonical: str) -> str:
    if found[4]:
        return "an origin has no path, and no slash at its end"
    if found[3] is not None and not canonical.endswith(f":{found[3]}"):
        return f"the default port of {found[1].lower()} is left out" if found[3] else "the port is missing"
    return "its scheme and host are in lower case and in ASCII"


def pattern(text: str, acknowledged: str | None = None) -> str:
    """Return an origin pattern: `*` is one or more whole labels of the host, or any port.

    Raises OriginError where it is not one, has no `*`, or lets in every registrant of a public suffix
    (publicsuffix.org) without `acknowledge: public-suffix`.
    """
    found = _PATTERN.fullmatch(text)
    if not found:
        raise OriginError(f"{text!r} is not an origin pattern", _pattern_hint(text))
    labels, port = found[2].split("."), found[3]
    if "*" not in text:
        raise OriginError(f"{text!r} has no *", f'write the origin as a plain string: "{text}"')
    if port not in (None, "*") and int(port) in (0, _DEFAULT_PORTS[found[1]]):
        raise OriginError(f"{text!r} is never sent by a browser: that port is left out", "leave the port out")
    fixed = labels[len(labels) - labels[::-1].index("*") :] if "*" in labels else None
    if fixed is not None and not fixed:
        raise OriginError(f"{text!r} lets in every host", "end the host with a name that you own")
    if fixed is None or acknowledged == "public-suffix":
        return text
    suffix = ".".join(fixed)
    if anyone_below(suffix):
        raise OriginError(
            f"{text!r} lets in everybody: anyone can have a name under {suffix} (publicsuffix.org)",
            f"name your own host under {suffix}, or add acknowledge: public-suffix to the item",
        )
    return text


def _pattern_hint(text: str) -> str:
    if text.startswith(("ws://", "wss://")):
        return "the origin is the page's: http:// or https://"
    if "://" not in text:
        return f'write the scheme too, such as "https://{text}"'
    if text != text.lower():
        return f"browsers send origins in lower case: {text.lower()}"
    if re.search(r"[^./]\*|\*[^.:]", text.partition("://")[2]):
        return "* stands for whole labels; for part of one write {regex: …}"
    return "such as https://*.preview.example.com or http://localhost:*"


def anyone_below(name: str) -> bool:
    """Whether strangers can have names below this one (publicsuffix.org, ICANN and private sections).

    True of a public suffix (`github.io`), of a name all of whose children are suffixes (`ck`), and of one that has
    suffixes further below (`amazonaws.com`). A name under no listed top-level domain (`localhost`) is none.
    """
    text = suffix_list()
    shown = name
    if "xn--" in name:
        try:
            shown = name.encode("ascii").decode("idna")
        except UnicodeError:
            return False
    if f"\n{shown}\n" in text:
        return True
    if f".{shown}\n" in text and re.search(rf"^(?!//)\S*\.{re.escape(shown)}$", text, re.MULTILINE):
        return True
    return f"\n*.{shown.partition('.')[2]}\n" in text and f"\n!{shown}\n" not in text


@lru_cache(maxsize=1)
def suffix_list() -> str:
    """Return the public suffix list as text. Raises OriginError where it is not installed."""
    spec = find_spec("publicsuffixlist")
    if spec is None or spec.origin is None:
        raise OriginError(
            "the list of public suffixes is not installed, so this pattern cannot be judged",
            "install the package publicsuffixlist",
        )
    return (Path(spec.origin).parent / "public_suffix_list.dat").read_text(encoding="utf-8")


def regex(text: str) -> str:
    """Return a regular expression that an origin must match whole.

    Raises OriginError where it is loose by accident: not anchored at both ends, an alternative outside a group,
    or a dot that stands for any character. Decided on the text, so a deliberate `.*` has to be written `[^/]+`.
    """
    if len(text) > 4096:
        raise OriginError("the regular expression is longer than 4096 characters", "split it into several items")
    try:
        regular_expression(text)
    except ValueError as error:
        raise OriginError(str(error), "check brackets and backslashes") from None
    if re.search(r"\(\?[a-zA-Z-]*x", text):
        raise OriginError(f"{text!r} turns on free spacing, which hides what is a comment", "write it without (?x)")
    tokens = re.findall(_TOKENS, text)
    if not tokens or tokens[0] != "^" or tokens[-1] != "$":
        raise OriginError(f"{text!r} is not anchored at both ends, so it also accepts longer origins", _anchored(text))
    depth = 0
    for token in tokens:
        depth += (token == "(") - (token == ")")  # noqa: S105 - a bracket, not a password
        if token == "|" and depth == 0:  # noqa: S105
            raise OriginError(
                f"{text!r} has an alternative outside a group, so each one is anchored at one end only",
                "put the alternatives into a group: ^(?:…|…)$",
            )
    if "." in tokens:
        raise OriginError(
            f"{text!r} has a dot that stands for any character",
            r"write \. for a dot, [a-z0-9-]+ for a label, [^/]+ for anything in a host",
        )
    return text


def _anchored(text: str) -> str:
    tokens = re.findall(_TOKENS, text)
    return f"write {'' if tokens[:1] == ['^'] else '^'}{text}{'' if tokens[-1:] == ['$'] else '$'}"


_TOKENS = (
    r"(?s)\\."  # an escape
    r"|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]"  # a class; a first ] is literal
    r"|\(\?#[^)]*\)"  # a comment
    r"|."
)
