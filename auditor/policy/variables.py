"""`${name}` in every string of a policy: replaced after parsing, so that places stay right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.policy.document import Node, Scalar, core_scalar, join

MAX_LENGTH = 16_384
MAX_CHAIN = 32
_REFERENCE = r"\$\$\{|\$\{([^{}]*)\}|\$\{"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(slots=True)
class Variables:
    """The variables of one policy in one environment; remembers which were asked for."""

    values: Mapping[str, tuple[Scalar, str, Location | None]]
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    undefined: list[Problem] = field(default_factory=list)
    resolved: dict[str, tuple[Scalar, str]] = field(default_factory=dict)

    def expand(self, node: Node, path: str = "") -> Node:
        """Return the tree with every reference replaced, in keys too; problems are kept."""
        if isinstance(node.value, dict):
            return node.holding(self._entries(node, path))
        if isinstance(node.value, tuple):
            items = tuple(self.expand(child, join(path, index)) for index, child in enumerate(node.value))
            return node.holding(items)
        if isinstance(node.value, str) and "${" in node.value:
            return replace(node, value=self._text(node.value, node.place, path, ()))
        return node

    def _entries(self, node: Node, path: str) -> dict[str, Node]:
        result: dict[str, Node] = {}
        for key, child in node.entries.items():
            here = join(path, key)
            place = child.key or child.place
            name = str(self._text(key, place, here, ())) if "${" in key else key
            if name in result:
                self.problems.append(Problem(f"the key {name!r} is given twice", place, "two keys expand alike", here))
            result[name] = self.expand(child, here)
        return result

    def _text(self, text: str, place: Location, path: str, chain: tuple[str, ...]) -> Scalar:
        whole = re.fullmatch(_REFERENCE, text)
        if whole and whole[1] is not None:
            return self._value(whole[1], place, path, chain)[0]
        out, position = [], 0
        for found in re.finditer(_REFERENCE, text):
            out.append(text[position : found.start()])
            position = found.end()
            if found[0] == "$${":
                out.append("${")
            elif found[1] is None:
                self._problem(f"{text!r} has a ${{ without }}", place, path, "write $${ for the two characters ${")
            else:
                out.append(self._value(found[1], place, path, chain)[1])
        out.append(text[position:])
        result = "".join(out)
        if len(result) > MAX_LENGTH:
            self._problem(f"expands to more than {MAX_LENGTH} characters", place, path, "shorten the variables")
            return result[:MAX_LENGTH]
        return result

    def _value(self, name: str, place: Location, path: str, chain: tuple[str, ...]) -> tuple[Scalar, str]:
        reference = f"${{{name}}}"
        if not re.fullmatch(_NAME, name):
            hint = "a name is letters, digits and _; write $${ for the two characters ${"
            self._problem(f"{reference} is no variable", place, path, hint)
            return reference, reference
        self.used.add(name)
        if name in chain:
            self._problem(
                f"variables refer to each other: {' -> '.join((*chain, name))}", place, path, "break the circle"
            )
            return reference, reference
        if len(chain) >= MAX_CHAIN:
            self._problem(
                f"variables refer to each other over more than {MAX_CHAIN} steps", place, path, "refer directly"
            )
            return reference, reference
        if name in self.resolved:
            return self.resolved[name]
        if name not in self.values:
            self.undefined.append(Problem(f"undefined variable {name!r}", place, self._undefined(name), path))
            return reference, reference
        value, text, where = self.values[name]
        if "${" in text:
            value = self._text(text, where or place, f"variables.{name}", (*chain, name))
            text = _shown(value)
        self.resolved[name] = (value, text)
        return value, text

    def _undefined(self, name: str) -> str:
        if name in self.elsewhere:
            return f"choose an environment that defines it: --env {' or --env '.join(self.elsewhere[name])}"
        import difflib  # noqa: PLC0415 - only where something is misspelt

        close = difflib.get_close_matches(name, [*self.values, *self.elsewhere], 1)
        return f"did you mean {close[0]!r}?" if close else f"define it under variables:, or pass --var {name}=VALUE"

    def _problem(self, message: str, place: Location, path: str, hint: str) -> None:
        self.problems.append(Problem(message, place, hint, path))


def _shown(value: Scalar) -> str:
    return (
        {True: "true", False: "false", None: ""}.get(value, str(value))
        if isinstance(value, bool | None)
        else str(value)
    )


def defined(node: Node | None, given: Mapping[str, str]) -> dict[str, tuple[Scalar, str, Location | None]]:
    """Return the variables that a policy defines, with those given on the command line in their place."""
    values: dict[str, tuple[Scalar, str, Location | None]] = {}
    for name, child in (node.entries if node is not None else {}).items():
        if not isinstance(child.value, dict | tuple):
            text = child.value if isinstance(child.value, str) else child.text or _shown(child.value)
            values[name] = (child.value, text, child.place)
    return values | {name: (core_scalar(text), text, None) for name, text in given.items()}
