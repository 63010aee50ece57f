"""Reads nginx configuration files into one tree, includes in place, and says what `nginx -t` would refuse."""

from __future__ import annotations

import glob
import hashlib
import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from auditor.errors import Location, Problem
from auditor.exchange import Unknown
from auditor.nginx.directives import foreign, rules
from auditor.nginx.tokens import Directive, Source, argument_location, read
from auditor.nginx.validate import Validator

__all__ = ["Directive", "Tree", "load_tree"]

SHIPPED = frozenset(
    {
        "mime.types",
        "fastcgi_params",
        "fastcgi.conf",
        "proxy_params",
        "uwsgi_params",
        "scgi_params",
        "koi-utf",
        "koi-win",
        "win-utf",
    }
)
"""Files that come with nginx (or its Debian package) and that a configuration may include without having them here."""

MOST_INCLUDES = 20_000
DEEPEST_INCLUDE = 64
_SYSTEM = ("/etc/", "/usr/", "/opt/")
_HANDLED_BLOCKS = frozenset({"split_clients", "charset_map"})


@dataclass(frozen=True, slots=True)
class Tree:
    """The configuration as nginx would read it, and what stands in the way.

    An include that was read is replaced by what it brought; one that was not (a file nginx ships, a file of the
    container that is not here) stays in its place as an `include` directive.
    `context` is what the main file's top level is: "main", "http", "server" or "location".
    """

    directives: tuple[Directive, ...]
    problems: tuple[Problem, ...]
    missing: tuple[Unknown, ...]
    files: tuple[tuple[str, str], ...]
    context: str


_DUMP_MARKER = re.compile(r"^# configuration file (\S.*):[ \t\r]*$", re.MULTILINE)
_DUMP_START = re.compile(r"(?:[ \t\r]*\n|nginx: [^\n]*\n)*# configuration file \S.*:[ \t\r]*\n")


@dataclass(slots=True)
class _Loader:
    """Finds and reads files; remembers what it read."""

    prefix: Path
    mounts: Mapping[str, str]
    variables: Mapping[str, str]
    dump: dict[str, Source] = field(default_factory=dict)
    extra: list[Path] = field(default_factory=list)
    used: set[Path] = field(default_factory=set)
    sources: dict[str, Source] = field(default_factory=dict)
    parsed: dict[str, tuple[Directive, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    missing: dict[Location, Unknown] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    includes: int = 0

    def source(self, path: Path, asked: Location | None) -> Source | None:
        """Read a file; a problem, where that fails, is kept at the place that asked for it."""
        try:
            data = path.read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            self.problems.append(
                Problem(
                    f"cannot read {path}: {reason}", asked or Location(str(path)), "check the path and its permissions"
                )
            )
            return None
        self.files[str(path)] = hashlib.sha256(data).hexdigest()
        return Source.of(str(path), data.decode("latin-1"))

    def parse(self, source: Source) -> tuple[Directive, ...]:
        """Read a source once."""
        key = f"{source.file}:{source.first_line}" if source.first_line > 1 else source.file
        if key not in self.parsed:
            self.parsed[key], problems = read(source)
            self.sources[key] = source
            self.problems.extend(problems)
        return self.parsed[key]

    def locate(self, directive: Directive, index: int) -> Location:
        """Return the place of an argument of a directive; of its name where the index is -1."""
        if index < 0:
            return directive.location
        for source in self.sources.values():
            if source.file == directive.location.file and source.holds(directive.location.line):
                return argument_location(source, directive.location, index)
        return directive.location

    def expand(
        self, directives: tuple[Directive, ...], trail: tuple[str, ...], parent: str = ""
    ) -> tuple[Directive, ...]:
        """Replace the includes of a level, and of the blocks below, by what they bring."""
        if parent in _HANDLED_BLOCKS:
            return directives
        result: list[Directive] = []
        changed = False
        for directive in directives:
            if directive.name == "include" and directive.block is None and len(directive.args) == 1:
                result.extend(self.include(directive, trail, parent))
                changed = True
            elif directive.block:
                block = self.expand(directive.block, trail, directive.name)
                if block is not directive.block:
                    result.append(replace(directive, block=block))
                    changed = True
                else:
                    result.append(directive)
            else:
                result.append(directive)
        return tuple(result) if changed else directives

    def include(self, directive: Directive, trail: tuple[str, ...], parent: str) -> tuple[Directive, ...]:
        """Return what one include brings, or the include itself where it cannot be read here."""
        paths = self.find(directive)
        if paths is None:
            return (directive,)
        result: list[Directive] = []
        for path in paths:
            source: Source | None
            if isinstance(path, Source):
                source, name = path, path.file + ":" + str(path.first_line)
            else:
                source, name = None, str(path)
            self.includes += 1
            if name in trail:
                self.problems.append(
                    Problem(f"{name} includes itself", directive.location, "remove the include that closes the circle")
                )
                continue
            if len(trail) > DEEPEST_INCLUDE or self.includes > MOST_INCLUDES:
                self.problems.append(Problem("too many files are included", directive.location, "include fewer"))
                return tuple(result)
            if source is None and name in self.parsed:
                read_in = self.parsed[name]
            else:
                source = source or self.source(Path(name), directive.location)
                if source is None:
                    continue
                read_in = self.parse(source)
            result.extend(self.expand(read_in, (*trail, name), parent))
        return tuple(result)

    def find(self, directive: Directive) -> Sequence[Path | Source] | None:
        """Return the files that an include names, in nginx's order; None where they are not here."""
        pattern = directive.args[0]
        name = posixpath.basename(pattern)
        is_glob = any(c in pattern for c in "*?[")
        if self.dump:
            return self._in_dump(pattern, is_glob, directive)
        local = self._local(pattern)
        if local is not None:
            if is_glob:
                return [Path(p) for p in sorted(glob.glob(local.replace("[^", "[!")), key=os.fsencode)]
            if Path(local).exists():
                return [Path(local)]
        if name in SHIPPED:
            return None
        if local is None:
            self.missing[directive.location] = Unknown(f"{pattern} is not among the files given", directive.location)
            return None
        self.problems.append(
            Problem(
                f"{pattern} does not exist (looked for {local})",
                directive.location,
                "create the file, or correct the path",
            )
        )
        return []

    def _local(self, pattern: str) -> str | None:
        """Return the local path that a path of the configuration names; None where it is only in the container."""
        absolute = posixpath.normpath(pattern) if pattern.startswith("/") else ""
        best = ""
        for mounted in self.mounts:
            key = mounted.rstrip("/") or "/"
            if (absolute == key or absolute.startswith(key.rstrip("/") + "/")) and len(key) > len(best):
                best = mounted
        if best:
            rest = absolute[len(best.rstrip("/")) :].lstrip("/")
            target = self.mounts[best]
            return str(Path(target, rest)) if rest else target
        if not absolute:
            return str(self.prefix / pattern)
        here = str(self.prefix.resolve())
        top = "/" + here.lstrip("/").split("/", 1)[0] + "/"
        if here.startswith(_SYSTEM) or absolute.startswith(top):
            return (
                absolute if Path(absolute).exists() or absolute.startswith(here) or here.startswith(_SYSTEM) else None
            )
        return None

    def _in_dump(self, pattern: str, is_glob: bool, directive: Directive) -> Sequence[Source] | None:
        names = list(self.dump)
        wanted = pattern if pattern.startswith("/") else posixpath.join(posixpath.dirname(names[0]), pattern)
        if is_glob:
            regex = re.compile(glob_regex(wanted))
            return [self.dump[n] for n in sorted(names) if regex.fullmatch(n)]
        if wanted in self.dump:
            return [self.dump[wanted]]
        if posixpath.basename(wanted) in SHIPPED:
            return None
        self.missing[directive.location] = Unknown(f"{pattern} is not in the dump", directive.location)
        return None


def glob_regex(pattern: str) -> str:
    """Return the regular expression of a shell pattern in which "*" and "?" do not match "/"."""
    out = []
    i = 0
    while i < len(pattern):
        c = pattern[i]
        i += 1
        if c == "*":
            out.append("[^/]*")
        elif c == "?":
            out.append("[^/]")
        elif c == "[" and (end := pattern.find("]", i + 1)) > 0:
            inner = pattern[i:end].replace("\\", "\\\\")
            out.append("[" + ("^" + inner[1:] if inner[0] in "!^" else inner) + "]")
            i = end + 1
        else:
            out.append(re.escape(c))
    return "".join(out)


def load_tree(
    files: Sequence[Path],
    *,
    prefix: Path | None = None,
    mounts: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    version: str = "1.31.3",
    context: str | None = None,
) -> Tree:
    """Read the main file (the first of `files`) and everything it includes.

    Relative includes are relative to `prefix`, which is the main file's folder unless given (nginx's conf prefix).
    `mounts` maps absolute paths of the container (files or folders, the longest wins) to local ones.
    `variables` are substituted for `${NAME}` as envsubst does. Nothing is raised: see `Tree.problems`.
    """
    main = Path(files[0])
    loader = _Loader(prefix or main.parent, dict(mounts or {}), dict(variables or {}))
    source = loader.source(main, None)
    if source is None:
        return Tree((), tuple(loader.problems), (), tuple(loader.files.items()), context or "main")
    if _DUMP_START.match(source.text):
        loader.dump = _sections(source)
        source = next(iter(loader.dump.values()))
    directives = loader.expand(loader.parse(source), (str(main),))
    context = context or _context(directives, version)
    validator = Validator(version, loader.locate, context != "main" or bool(loader.missing))
    validator.check(directives, context)
    problems = dict.fromkeys((*loader.problems, *validator.problems))
    return Tree(directives, tuple(problems), tuple(loader.missing.values()), tuple(loader.files.items()), context)


def _sections(source: Source) -> dict[str, Source]:
    """Return the files of an `nginx -T` dump by name, in order; lines count in the dump."""
    markers = list(_DUMP_MARKER.finditer(source.text))
    sections: dict[str, Source] = {}
    for marker, following in zip(markers, [*markers[1:], None], strict=True):
        start = marker.end() + 1
        text = source.text[start : following.start() if following else None]
        line = source.text.count("\n", 0, start) + 1
        sections.setdefault(marker[1], Source.of(source.file, text, line))
    return sections


def _context(directives: tuple[Directive, ...], version: str) -> str:
    """Return the context in which most directives of a file's top level may stand, the outermost of equals."""
    tables = rules(version)
    names = [d.name for d in directives if not foreign(d.name)]
    if any(name in {"http", "events", "stream"} for name in names):
        return "main"
    counts = {context: sum(name in tables[context] for name in names) for context in ("main", "http", "server", "location")}
    return max(counts, key=lambda context: counts[context])
