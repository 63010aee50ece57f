"""The origins of a policy as sets: what may be accepted at most, and what must be accepted at least.

An item is a string (exact), `{"pattern": "https://*.preview.example.com"}` or `{"regex": "..."}`
(policy file, `cors.allow_origins`). The upper bound is generous where no attacker gains anything: the case of
letters, unusual host bytes below a domain that the policy trusts anyway. The lower bound has only what a sane
browser sends: DNS labels of letters, digits and inner hyphens, ports 1 to 65535 without leading zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Literal

from auditor.dataclass import dataclass
from auditor.language.sets import Language
from auditor.language.shapes import HOST_CLASS, LABEL, PLAIN_LABEL, PORT
from auditor.policy.origins import suffix_list


@dataclass(frozen=True, slots=True)
class OriginItem:
    """One entry of a policy: `most` may be accepted, `least` must be."""

    kind: Literal["exact", "pattern", "regex", "any"]
    text: str
    most: Language
    least: Language

    @property
    def host(self) -> str:
        """The host named, with a leading `*.` where it is a pattern; "" for expressions."""
        return split_origin(self.text)[1] if self.kind in ("exact", "pattern") else ""

    @property
    def plain(self) -> Language:
        """What must be accepted, without the bound on the length of labels: a far smaller automaton."""
        return _pattern(self.text, PLAIN_LABEL)[1] if self.kind == "pattern" else self.least

    def __str__(self) -> str:
        """Return the entry as one would say it."""
        return self.text


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """All entries of a policy's list of origins."""

    items: tuple[OriginItem, ...]
    most: Language
    least: Language

    @property
    def plain(self) -> Language:
        """What must be accepted, and the same with labels longer than DNS allows."""
        return Language.union(item.plain for item in self.items)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts named, without wildcards."""
        return tuple(dict.fromkeys(h for h in (item.host.removeprefix("*.") for item in self.items) if h))


def split_origin(origin: str) -> tuple[str, str, str | None]:
    """Return scheme, host and port (None: none given) of an origin or pattern."""
    scheme, mark, rest = origin.partition("://")
    if not mark:
        return origin, "", None
    host, colon, port = rest.rpartition(":") if not rest.endswith("]") else (rest, "", "")
    return (scheme, host, port) if colon and "[" not in port else (scheme, rest, None)


def _quote(text: str) -> str:
    return "".join(c if c.isalnum() or c == "-" else f"\\x{ord(c):02x}" for c in text)


def policy_origin(item: str | Mapping[str, str]) -> OriginItem:
    """Return one entry of a policy as languages; ValueError where it is not an entry at all.

    Exact entries are compared as browsers serialise them; `*` in the host of a pattern is one or more DNS labels,
    `*` as the port any port (with the scheme's own, which is not written, allowed but not demanded); an expression
    must match whole.
    """
    if isinstance(item, str):
        if item == "*":
            return OriginItem("any", "*", Language.everything(), Language.everything())
        return OriginItem("exact", item, Language.exact(item, caseless=True), Language.exact(item))
    keys = set(item)
    if keys == {"pattern"}:
        most, least = _pattern(item["pattern"])
        return OriginItem("pattern", item["pattern"], most, least)
    if keys == {"regex"}:
        language = Language.regex(item["regex"], whole=True)
        return OriginItem("regex", item["regex"], language, language)
    raise ValueError(f"an origin is a string, {{pattern: ...}} or {{regex: ...}}, not {dict(item)!r}")


def _pattern(text: str, label: str = LABEL) -> tuple[Language, Language]:
    scheme, host, port = split_origin(text)
    most, least = f"{_quote(scheme)}://", f"{_quote(scheme)}://"
    labels = rf"{label}(?:\.{label})*"
    for index, part in enumerate(host.split("*")):
        if index:
            most += f"{HOST_CLASS}*" if part else f"{HOST_CLASS}+"
            least += labels
        most += _quote(part)
        least += _quote(part)
    if port == "*":
        default = {"http": "80", "https": "443"}.get(scheme, "0")
        most += "(?::[0-9]*)?"
        least += rf":(?!{default}\z){PORT}"
    elif port is not None:
        most += f":{_quote(port)}"
        least += f":{_quote(port)}"
    return Language.regex(most, caseless=True, whole=True), Language.regex(least, whole=True)


def policy_origins(items: Iterable[str | Mapping[str, str] | OriginItem]) -> OriginPolicy:
    """Return a policy's whole list."""
    entries = tuple(item if isinstance(item, OriginItem) else policy_origin(item) for item in items)
    return OriginPolicy(entries, Language.union(e.most for e in entries), Language.union(e.least for e in entries))


# -- registrable domains -------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _rules() -> frozenset[str]:
    return frozenset(suffix_list().split("\n"))


def _rules_of(name: str) -> Iterator[str]:
    """Yield the lines of the public suffix list that can match a name: of 15,000 the few that are suffixes of it."""
    names = {name}
    if "xn--" in name:  # the list has its names as people write them
        with suppress(UnicodeError):
            names.add(name.encode("ascii").decode("idna"))
    for written in names:
        for start in range(written.count(".") + 1):
            suffix = written.split(".", start)[start]
            yield from _rules() & {suffix, f"!{suffix}", f"*.{suffix}"}


@lru_cache(maxsize=4096)
def registrable(host: str) -> str:
    """Return the registrable domain of a host (public suffix list), or the host itself where it has none."""
    name = host.strip(".").lower()
    if not name or ":" in name or name.replace(".", "").isdigit() or "." not in name:
        return name
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - only where something is asked of it

    found = PublicSuffixList(_rules_of(name)).privatesuffix(name)
    return str(found) if found else name
