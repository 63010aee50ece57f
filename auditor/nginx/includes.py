"""Finds and reads the files of a configuration: the main file, what it includes, mounts, dumps, templates."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.exchange import Unknown
from auditor.nginx.arguments import words
from auditor.nginx.tokens import Directive, Source, argument_location, read

SHIPPED = words(
    """mime.types fastcgi_params fastcgi.conf proxy_params uwsgi_params scgi_params koi-utf koi-win win-utf"""
)
"""Files that come with nginx or its Debian package, which a configuration may include without having them here."""

MOST_INCLUDES = 20_000
MOST_DIRECTIVES = 2_000_000
DEEPEST_INCLUDE = 64
LARGEST_FILE = 64 << 20
_SYSTEM = ("/etc/", "/usr/", "/opt/")
_NO_INCLUDES = frozenset({"split_clients", "charset_map"})

_DUMP_MARKER = r"(?m)^# configuration file (\S.*):[ \t\r]*$"
_DUMP_START = r"(?:[ \t\r]*\n|nginx: [^\n]*\n)*# configuration file \S.*:[ \t\r]*\n"


@dataclass(slots=True)
class Loader:
    """Reads the files of one configuration, each once, and keeps what went wrong.

    `absent`: relative includes of files that do not exist, and where they were looked for.
    `missing`: includes of files that exist only where nginx runs, and the block they stand in.
    """

    prefix: Path
    mounts: Mapping[str, str]
    variables: Mapping[str, str]
    extra: tuple[Path, ...] = ()
    dump: dict[str, Source] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    parsed: dict[str, tuple[Directive, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    missing: dict[Location, tuple[Unknown, str]] = field(default_factory=dict)
    absent: list[tuple[Directive, str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    includes: int = 0
    directives: int = 0

    def main(self, path: Path) -> tuple[Directive, ...] | None:
        """Read a main file and all it includes; None where it cannot be read."""
        source = self._source(path, None)
        if source is None:
            return None
        if re.match(_DUMP_START, source.text):
            self.dump = sections(source)
            source = next(iter(self.dump.values()))
        return self._expand(self._parse(source), (str(path),), "")

    def unread(self) -> tuple[Path, ...]:
        """Return the further files given that nothing has read yet."""
        return tuple(path for path in self.extra if str(path) not in self.files)

    def locate(self, directive: Directive, index: int) -> Location:
        """Return the place of an argument of a directive; of its name where the index is -1."""
        if index >= 0:
            for source in self.sources.values():
                if source.file == directive.location.file and source.holds(directive.location.line):
                    return argument_location(source, directive.location, index)
        return directive.location

    def _source(self, path: Path, asked: Location | None) -> Source | None:
        """Read a file; a problem, where that fails, is kept at the place that asked for it."""
        reason = ""
        data = b""
        try:
            if not path.is_file():
                reason = "it is not a file" if path.exists() else "there is no such file"
            elif path.stat().st_size > LARGEST_FILE:
                reason = "it is larger than 64 MB"
            else:
                data = path.read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
        except ValueError as error:
            reason = str(error)
        if reason:
            place = asked or Location(str(path))
            self.problems.append(Problem(f"cannot read {path}: {reason}", place, "check the path and its permissions"))
            return None
        self.files[str(path)] = hashlib.sha256(data).hexdigest()
        return Source.of(str(path), data.decode("latin-1"), self.variables)

    def _parse(self, source: Source) -> tuple[Directive, ...]:
        """Read a source, once."""
        key = _key(source)
        if key not in self.parsed:
            self.parsed[key], problems = read(source)
            self.sources[key] = source
            self.problems.extend(problems)
        return self.parsed[key]

    def _expand(self, directives: tuple[Directive, ...], trail: tuple[str, ...], parent: str) -> tuple[Directive, ...]:
        """Replace the includes of a level, and of the blocks below, by what they bring."""
        if parent in _NO_INCLUDES:
            return directives
        result: list[Directive] = []
        changed = False
        for directive in directives:
            if directive.block:
                block = self._expand(directive.block, trail, directive.name)
                if block is not directive.block:
                    result.append(replace(directive, block=block))
                    changed = True
                    continue
            elif directive.name == "include" and directive.block is None and len(directive.args) == 1:
                result.extend(self._include(directive, trail, parent))
                changed = True
                continue
            result.append(directive)
        return tuple(result) if changed else directives

    def _include(self, directive: Directive, trail: tuple[str, ...], parent: str) -> tuple[Directive, ...]:
        """Return what one include brings, or the include itself where it cannot be read here."""
        found = self._find(directive, parent)
        if found is None:
            return (directive,)
        result: list[Directive] = []
        for one in found:
            name = _key(one) if isinstance(one, Source) else str(one)
            self.includes += 1
            if name in trail:
                message = f"{name} includes itself"
                self.problems.append(Problem(message, directive.location, "remove the include that closes the circle"))
                continue
            if len(trail) > DEEPEST_INCLUDE or self.includes > MOST_INCLUDES or self.directives > MOST_DIRECTIVES:
                self.problems.append(Problem("too many files are included", directive.location, "include fewer"))
                break
            if name in self.parsed:
                content = self.parsed[name]
            else:
                source = one if isinstance(one, Source) else self._source(one, directive.location)
                if source is None:
                    continue
                content = self._parse(source)
            self.directives += len(content)
            result.extend(self._expand(content, (*trail, name), parent))
        return tuple(result)

    def _find(self, directive: Directive, parent: str) -> Sequence[Path | Source] | None:
        """Return the files that an include names, in nginx's order; None where they are not here."""
        pattern = directive.args[0]
        many = any(c in pattern for c in "*?[")
        if self.dump:
            return self._in_dump(directive, many, parent)
        try:
            local = self._local(os.fsdecode(pattern.encode("latin-1")))
            if local is not None and many:
                matches = sorted(glob.glob(local.replace("[^", "[!")), key=os.fsencode)  # noqa: PTH207 - absolute patterns
                if matches or not self.extra:
                    return [Path(p) for p in matches]
            elif local is not None and Path(local).exists():
                return [Path(local)]
        except (ValueError, OSError):
            local = pattern
        if given := self._given(pattern, many=many):
            return given
        if local is not None and many:
            return []
        if posixpath.basename(pattern) in SHIPPED:
            return None
        if local is None:
            unknown = Unknown(f"{pattern} is not among the files given", directive.location)
            self.missing[directive.location] = (unknown, parent)
        else:
            self.absent.append((directive, local))
        return None

    def _given(self, pattern: str, *, many: bool) -> list[Path]:
        """Return the further files given that an include may mean: of that name, in a folder of that name if any is.

        A pattern means files only in a folder of that name: "*.conf" says nothing about a file.
        """
        name, folder = posixpath.basename(pattern), posixpath.basename(posixpath.dirname(pattern))
        named = [path for path in self.extra if fnmatch.fnmatchcase(path.name, name)]
        housed = [path for path in named if path.resolve().parent.name == folder]
        return sorted(housed if many else housed or named, key=os.fsencode)

    def _local(self, pattern: str) -> str | None:
        """Return the local path that a path of the configuration names; None where it is only where nginx runs.

        An absolute path is taken from this machine only where the main file is a part of the same system:
        a configuration in a repository does not mean the files of the machine that audits it.
        """
        absolute = posixpath.normpath(pattern) if pattern.startswith("/") else ""
        best: str | None = None
        for mounted in self.mounts:
            key = mounted.rstrip("/")
            if (absolute == key or absolute.startswith(key + "/")) and (
                best is None or len(key) > len(best.rstrip("/"))
            ):
                best = mounted
        if best is not None:
            rest = absolute[len(best.rstrip("/")) :].lstrip("/")
            return str(Path(self.mounts[best], rest)) if rest else self.mounts[best]
        if not absolute:
            return str(self.prefix / pattern)
        here = str(self.prefix.resolve())
        top = "/" + here.lstrip("/").split("/", 1)[0] + "/"
        if here.startswith(_SYSTEM) or absolute.startswith(here + "/"):
            return absolute
        return absolute if absolute.startswith(top) and _there(absolute) else None

    def _in_dump(self, directive: Directive, many: bool, parent: str) -> Sequence[Source] | None:
        """Return the parts of a dump that an include names; nginx has written down all that it found."""
        pattern = directive.args[0]
        names = list(self.dump)
        wanted = pattern if pattern.startswith("/") else posixpath.join(posixpath.dirname(names[0]), pattern)
        if many:
            regex = re.compile(shell_pattern(wanted))
            return [self.dump[name] for name in sorted(names) if regex.fullmatch(name)]
        if wanted in self.dump:
            return [self.dump[wanted]]
        if posixpath.basename(wanted) not in SHIPPED:
            unknown = Unknown(f"{pattern} is not in the dump", directive.location)
            self.missing[directive.location] = (unknown, parent)
        return None


def _there(path: str) -> bool:
    """Whether a file, or one that a pattern means, exists on this machine."""
    return Path(path).exists() or bool(glob.glob(path))  # noqa: PTH207 - absolute patterns


def _key(source: Source) -> str:
    """Return what tells a source from others: its file, and where in it."""
    return f"{source.file}:{source.first_line}" if source.first_line > 1 else source.file


def sections(source: Source) -> dict[str, Source]:
    """Return the files of an `nginx -T` dump by name, in order; lines count in the dump."""
    markers = list(re.finditer(_DUMP_MARKER, source.text))
    found: dict[str, Source] = {}
    for marker, following in zip(markers, [*markers[1:], None], strict=True):
        start = marker.end() + 1
        text = source.text[start : following.start() if following else None]
        line = source.text.count("\n", 0, start) + 1
        found.setdefault(marker[1], Source.of(source.file, text, first_line=line))
    return found


def shell_pattern(pattern: str) -> str:
    """Return the regular expression of a shell pattern in which "*" and "?" do not match "/"."""
    out = []
    position = 0
    while position < len(pattern):
        c = pattern[position]
        position += 1
        if c == "*":
            out.append("[^/]*")
        elif c == "?":
            out.append("[^/]")
        elif c == "[" and (end := pattern.find("]", position + 1)) > 0:
            inner = pattern[position:end].replace("\\", "\\\\").replace("[", "\\[")
            out.append("[" + ("^" + inner[1:] if inner[0] in "!^" else inner) + "]")
            position = end + 1
        else:
            out.append(re.escape(c))
    return "".join(out)
