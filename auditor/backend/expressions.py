"""Python expressions, followed as far as their parts are decided."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from auditor.backend import operations
from auditor.backend.values import Function, Imported, Module, Undecided, doubt_in, known

if TYPE_CHECKING:
    from auditor.backend.interpret import Interpreter

Handler = Callable[["Interpreter", Any, dict[str, Any], Module], Any]


def constant(_: Interpreter, node: ast.Constant, _scope: dict[str, Any], _module: Module) -> Any:
    """Return a literal."""
    return node.value


def named(_: Interpreter, node: ast.Name, scope: dict[str, Any], module: Module) -> Any:
    """Look a name up, innermost scope first."""
    if node.id in scope:
        return scope[node.id]
    if node.id in module.scope:
        return module.scope[node.id]
    if node.id in operations.BUILTINS:
        return Imported(f"builtins.{node.id}", module.place(node))
    return Undecided(f"the name {node.id} is not in these files", module.place(node))


def sequence(
    interpreter: Interpreter, node: ast.List | ast.Tuple | ast.Set, scope: dict[str, Any], module: Module
) -> Any:
    """Build a list, a tuple or a set (a list without repeats)."""
    items: list[Any] = []
    for item in node.elts:
        if isinstance(item, ast.Starred):
            inner = interpreter.value(item.value, scope, module)
            if not isinstance(inner, (list, tuple, set, frozenset)):
                items.append(Undecided("an unpacked value is not decided", module.place(item)))
                continue
            items.extend(inner)
        else:
            items.append(interpreter.value(item, scope, module))
    if isinstance(node, ast.Tuple):
        return tuple(items)
    return items if isinstance(node, ast.List) or not known(items) else list(dict.fromkeys(items))


def dictionary(interpreter: Interpreter, node: ast.Dict, scope: dict[str, Any], module: Module) -> Any:
    """Build a dictionary of the keys that are decided."""
    made: dict[Any, Any] = {}
    for key, item in zip(node.keys, node.values, strict=True):
        value = interpreter.value(item, scope, module)
        if key is None:
            made |= value if isinstance(value, dict) else {}
            continue
        name = interpreter.value(key, scope, module)
        if isinstance(name, (str, int, float, bool, type(None))):
            made[name] = value
    return made


def binary(interpreter: Interpreter, node: ast.BinOp, scope: dict[str, Any], module: Module) -> Any:
    """Apply a binary operator."""
    left, right = interpreter.value(node.left, scope, module), interpreter.value(node.right, scope, module)
    return operations.binary(node.op, left, right, module.place(node))


def boolean(interpreter: Interpreter, node: ast.BoolOp, scope: dict[str, Any], module: Module) -> Any:
    """Follow `and` and `or` as far as the operands are decided."""
    last: Any = None
    for item in node.values:
        last = interpreter.value(item, scope, module)
        truth = operations.truth(last)
        if truth is None:
            return doubt_in(last) or Undecided("a condition is not decided", module.place(item))
        if truth is isinstance(node.op, ast.Or):
            return last
    return last


def unary(interpreter: Interpreter, node: ast.UnaryOp, scope: dict[str, Any], module: Module) -> Any:
    """Negate."""
    value = interpreter.value(node.operand, scope, module)
    if isinstance(node.op, ast.Not):
        truth = operations.truth(value)
        return doubt_in(value) if truth is None else not truth
    if isinstance(node.op, ast.USub) and isinstance(value, (int, float)):
        return -value
    return Undecided("an operator is not followed", module.place(node))


def compare(interpreter: Interpreter, node: ast.Compare, scope: dict[str, Any], module: Module) -> Any:
    """Compare, chained comparisons included."""
    left = interpreter.value(node.left, scope, module)
    for operator, item in zip(node.ops, node.comparators, strict=True):
        right = interpreter.value(item, scope, module)
        result = operations.compare(operator, left, right)
        if result is None:
            return doubt_in(left) or doubt_in(right) or Undecided("a comparison is not decided", module.place(node))
        if not result:
            return False
        left = right
    return True


def conditional(interpreter: Interpreter, node: ast.IfExp, scope: dict[str, Any], module: Module) -> Any:
    """Follow the branch that the condition chooses."""
    test = operations.truth(interpreter.value(node.test, scope, module))
    if test is None:
        return Undecided("a condition is not decided", module.place(node.test))
    return interpreter.value(node.body if test else node.orelse, scope, module)


def joined(interpreter: Interpreter, node: ast.JoinedStr, scope: dict[str, Any], module: Module) -> Any:
    """Put an f-string together."""
    parts: list[str] = []
    for item in node.values:
        inner = item.value if isinstance(item, ast.FormattedValue) else item
        value = interpreter.value(inner, scope, module)
        if not isinstance(value, (str, int, float, bool)) or (
            isinstance(item, ast.FormattedValue) and item.format_spec
        ):
            return doubt_in(value) or Undecided("part of a text is not decided", module.place(node))
        parts.append(str(value))
    return "".join(parts)


def attribute(interpreter: Interpreter, node: ast.Attribute, scope: dict[str, Any], module: Module) -> Any:
    """Follow an attribute."""
    owner = interpreter.value(node.value, scope, module)
    return interpreter.attribute(owner, node.attr, node, module)


def subscript(interpreter: Interpreter, node: ast.Subscript, scope: dict[str, Any], module: Module) -> Any:
    """Take an item or a slice; `os.environ[...]` is an environment variable."""
    owner = interpreter.value(node.value, scope, module)
    if isinstance(owner, Imported):
        if owner.path == "os.environ":
            return interpreter.environment_value(
                interpreter.value(node.slice, scope, module), node, module, required=True
            )
        return owner
    key = None if isinstance(node.slice, ast.Slice) else interpreter.value(node.slice, scope, module)
    if isinstance(node.slice, ast.Slice):
        bounds = [
            interpreter.value(part, scope, module) for part in (node.slice.lower, node.slice.upper, node.slice.step)
        ]
        if isinstance(owner, (str, list, tuple)) and all(isinstance(b, (int, type(None))) for b in bounds):
            return owner[slice(*bounds)]
    elif isinstance(owner, (list, tuple, dict, str)) and isinstance(key, (str, int)):
        try:
            return owner[key]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return Undecided("there is no such item", module.place(node))
    return doubt_in(owner) or doubt_in(key) or Undecided("an item is not decided", module.place(node))


def comprehension(
    interpreter: Interpreter, node: ast.ListComp | ast.GeneratorExp | ast.SetComp, scope: dict[str, Any], module: Module
) -> Any:
    """Build what a comprehension yields."""
    made: list[Any] = []
    for inner in _loops(interpreter, node.generators, dict(scope), module):
        if isinstance(inner, Undecided):
            return inner
        made.append(interpreter.value(node.elt, inner, module))
    return made


def _loops(
    interpreter: Interpreter, generators: list[ast.comprehension], scope: dict[str, Any], module: Module
) -> Iterator[dict[str, Any] | Undecided]:
    if not generators:
        yield scope
        return
    first, rest = generators[0], generators[1:]
    items = interpreter.value(first.iter, scope, module)
    items = list(items) if isinstance(items, dict) else items
    if not isinstance(items, (list, tuple, set, frozenset)) or len(items) > 1000:
        yield doubt_in(items) or Undecided("what is looped over is not decided", module.place(first.iter))
        return
    for item in items:
        inner = dict(scope)
        interpreter.bind(first.target, item, inner, module)
        tests = [operations.truth(interpreter.value(test, inner, module)) for test in first.ifs]
        if None in tests:
            yield Undecided("a condition is not decided", module.place(first.iter))
            return
        if all(tests):
            yield from _loops(interpreter, rest, inner, module)


def awaited(interpreter: Interpreter, node: ast.Await, scope: dict[str, Any], module: Module) -> Any:
    """Follow what is awaited."""
    return interpreter.value(node.value, scope, module)


def anonymous(_: Interpreter, node: ast.Lambda, scope: dict[str, Any], module: Module) -> Any:
    """Keep a lambda with its scope."""
    return Function(node, module, scope)


def walrus(interpreter: Interpreter, node: ast.NamedExpr, scope: dict[str, Any], module: Module) -> Any:
    """Bind a name inside an expression."""
    value = interpreter.value(node.value, scope, module)
    interpreter.bind(node.target, value, scope, module)
    return value


EXPRESSIONS: Mapping[type[ast.expr], Handler] = MappingProxyType({
    ast.Constant: constant, ast.Name: named, ast.List: sequence, ast.Tuple: sequence, ast.Set: sequence,
    ast.Dict: dictionary, ast.BinOp: binary, ast.BoolOp: boolean, ast.UnaryOp: unary, ast.Compare: compare,
    ast.IfExp: conditional, ast.JoinedStr: joined, ast.Attribute: attribute, ast.Subscript: subscript,
    ast.ListComp: comprehension, ast.GeneratorExp: comprehension, ast.SetComp: comprehension, ast.Await: awaited,
    ast.Lambda: anonymous, ast.NamedExpr: walrus,
})  # fmt: skip
