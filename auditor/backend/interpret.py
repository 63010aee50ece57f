"""A small interpreter of Python source, never executing it: follows names, constants, settings and environment variables."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any

from auditor.backend import operations
from auditor.backend.expressions import EXPRESSIONS
from auditor.backend.values import (
    Call,
    Class,
    Function,
    Imported,
    Instance,
    Made,
    Module,
    Undecided,
    doubt_in,
    known,
)
from auditor.dataclass import dataclass

MAX_STEPS = 60_000
MAX_DEPTH = 30


class _Return(Exception):  # noqa: N818 - control flow, not an error
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class _Stop(Exception):  # noqa: N818 - control flow: raise, break, continue
    pass


class _Break(_Stop):
    pass


class _Continue(_Stop):
    pass


@dataclass(slots=True)
class Interpreter:
    """Interprets modules on demand; `objects` are the framework objects made, in order."""

    environment: Mapping[str, str]
    find: Callable[[str, Module | None, int], Module | None]
    objects: list[Made] = field(default_factory=list)
    steps: int = 0
    depth: int = 0
    doubtful: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)

    def run(self, module: Module) -> None:
        """Interpret a module's statements once."""
        if module.done or module.path in self.running:
            return
        self.running.append(module.path)
        saved, self.doubtful = self.doubtful, []
        try:
            module.scope.setdefault("__name__", module.name)
            self._block(module.tree.body, module.scope, module)
        except (_Return, _Stop):
            pass
        finally:
            self.running.pop()
            self.doubtful = saved
            module.done = True

    # Statements -----------------------------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt], scope: dict[str, Any], module: Module) -> None:
        depth = len(self.doubtful)
        try:
            for statement in body:
                self.steps += 1
                if self.steps > MAX_STEPS:
                    return
                handler = _STATEMENTS.get(type(statement))
                reason = getattr(self, handler)(statement, scope, module) if handler is not None else None
                if reason:
                    # What follows a jump that may or may not happen may or may not happen either.
                    self.doubtful.append(reason)
        finally:
            del self.doubtful[depth:]

    def _assign(self, node: ast.Assign, scope: dict[str, Any], module: Module) -> None:
        value = self.value(node.value, scope, module)
        for target in node.targets:
            self.bind(target, value, scope, module)

    def _annotated(self, node: ast.AnnAssign, scope: dict[str, Any], module: Module) -> None:
        if node.value is not None:
            self.bind(node.target, self.value(node.value, scope, module), scope, module)

    def _augmented(self, node: ast.AugAssign, scope: dict[str, Any], module: Module) -> None:
        current = self.value(node.target, scope, module)
        added = self.value(node.value, scope, module)
        made = operations.binary(node.op, current, added, module.place(node))
        self.bind(node.target, made, scope, module)

    def bind(self, target: ast.expr, value: Any, scope: dict[str, Any], module: Module) -> None:
        """Assign a value to a name, an attribute, an item or several of them."""
        if isinstance(target, ast.Name):
            scope[target.id] = self._perhaps_bound(target, value, scope, module)
        elif isinstance(target, (ast.Tuple, ast.List)):
            items = list(value) if isinstance(value, (list, tuple)) and len(value) == len(target.elts) else None
            for index, item in enumerate(target.elts):
                part = items[index] if items else Undecided("an unpacked value is not decided", module.place(item))
                self.bind(item, part, scope, module)
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value, scope, module)
            if isinstance(owner, Instance):
                owner.attributes[target.attr] = value
            elif isinstance(owner, Made):
                place = module.place(target)
                owner.calls.append(Call(f"={target.attr}", [value], {}, {}, place, uncertain=self._doubt()))
        elif isinstance(target, ast.Subscript):
            self._bind_item(target, value, scope, module)

    def _bind_item(self, target: ast.Subscript, value: Any, scope: dict[str, Any], module: Module) -> None:
        owner = self.value(target.value, scope, module)
        key = self.value(target.slice, scope, module)
        if isinstance(owner, dict) and isinstance(key, (str, int)):
            owner[key] = Undecided(self._doubt(), module.place(target)) if self.doubtful else value

    def _perhaps_bound(self, target: ast.Name, value: Any, scope: dict[str, Any], module: Module) -> Any:
        """Keep a value that may or may not be assigned only where it is the same either way."""
        if not self.doubtful or isinstance(value, (Made, Class, Function, Imported, Module)):
            return value
        same = target.id in scope and known(value) and known(scope[target.id]) and scope[target.id] == value
        return value if same else Undecided(self.doubtful[-1], module.place(target))

    def _doubt(self) -> str:
        return self.doubtful[-1] if self.doubtful else ""

    def _if(self, node: ast.If, scope: dict[str, Any], module: Module) -> str | None:
        test = operations.truth(self.value(node.test, scope, module))
        if test is not None:
            self._block(node.body if test else node.orelse, scope, module)
            return None
        reason = f"the condition at {module.place(node.test)} is not decided"
        jumped = [self._perhaps(branch, scope, module, reason) for branch in (node.body, node.orelse)]
        return reason if any(jumped) else None

    def _for(self, node: ast.For | ast.AsyncFor, scope: dict[str, Any], module: Module) -> str | None:
        items = self.value(node.iter, scope, module)
        items = list(items) if isinstance(items, dict) else items
        if not isinstance(items, (list, tuple, set, frozenset)) or len(items) > 1000:
            reason = f"the loop at {module.place(node)} is not decided"
            return reason if self._perhaps(node.body, scope, module, reason) else None
        for item in items:
            self.bind(node.target, item, scope, module)
            try:
                self._block(node.body, scope, module)
            except _Break:
                return None
            except _Continue:
                continue
        self._block(node.orelse, scope, module)
        return None

    def _while(self, node: ast.While, scope: dict[str, Any], module: Module) -> str | None:
        reason = f"the loop at {module.place(node)} is not decided"
        return reason if self._perhaps(node.body, scope, module, reason) else None

    def _perhaps(self, body: list[ast.stmt], scope: dict[str, Any], module: Module, reason: str) -> bool:
        """Interpret statements that may not run; say whether they may jump away."""
        self.doubtful.append(reason)
        try:
            self._block(body, scope, module)
        except (_Stop, _Return):
            return True
        finally:
            self.doubtful.pop()
        return False

    def _try(self, node: ast.Try, scope: dict[str, Any], module: Module) -> None:
        try:
            self._block(node.body, scope, module)
        except (_Break, _Continue):
            raise
        except _Stop:
            handled = [inner for handler in node.handlers for inner in handler.body]
            self._perhaps(handled, scope, module, f"an exception at {module.place(node)} is handled")
        else:
            for handler in node.handlers:
                missing = any(name not in scope for name in _assigned(handler.body))
                if missing:
                    self._perhaps(handler.body, scope, module, f"the handler at {module.place(handler)} may run")
        self._block(node.orelse, scope, module)
        self._block(node.finalbody, scope, module)

    def _with(self, node: ast.With | ast.AsyncWith, scope: dict[str, Any], module: Module) -> None:
        self._block(node.body, scope, module)

    def _expression(self, node: ast.Expr, scope: dict[str, Any], module: Module) -> None:
        self.value(node.value, scope, module)

    def _return(self, node: ast.Return, scope: dict[str, Any], module: Module) -> None:
        value = self.value(node.value, scope, module) if node.value is not None else None
        if self.doubtful and self.depth and scope.get("\0doubt") != len(self.doubtful):
            returns = scope.setdefault("\0returns", [])
            returns.append((value, self.doubtful[-1]))
            raise _Stop
        raise _Return(value)

    def _jump(self, node: ast.stmt, _scope: dict[str, Any], _module: Module) -> None:
        raise {ast.Break: _Break, ast.Continue: _Continue}.get(type(node), _Stop)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: dict[str, Any], module: Module) -> None:
        made: Any = Function(node, module, scope)
        scope[node.name] = made
        for decorator in reversed(node.decorator_list):
            self._decorate(decorator, made, scope, module)

    def _decorate(self, decorator: ast.expr, made: Function, scope: dict[str, Any], module: Module) -> None:
        if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
            return
        owner = self.value(decorator.func.value, scope, module)
        if isinstance(owner, Made):
            call = self.call_of(decorator, decorator.func.attr, scope, module)
            call.decorates = made
            owner.calls.append(call)

    def _class(self, node: ast.ClassDef, scope: dict[str, Any], module: Module) -> None:
        scope[node.name] = operations.build_class(self, node, scope, module)

    def _import(self, node: ast.Import, scope: dict[str, Any], module: Module) -> None:
        for alias in node.names:
            found = self.find(alias.name, module, 0)
            top = alias.name.split(".")[0]
            if found is not None:
                self.run(found)
            if alias.asname:
                scope[alias.asname] = found or Imported(alias.name, module.place(node))
            else:
                scope[top] = (found if found is not None and alias.name == top else None) or Imported(
                    top, module.place(node)
                )

    def _import_from(self, node: ast.ImportFrom, scope: dict[str, Any], module: Module) -> None:
        base = node.module or ""
        source = self.find(base, module, node.level)
        if source is not None:
            self.run(source)
        for alias in node.names:
            name = alias.asname or alias.name
            if source is not None and alias.name in source.scope:
                scope[name] = source.scope[alias.name]
                continue
            inner = self.find(f"{base}.{alias.name}" if base else alias.name, module, node.level)
            if inner is not None:
                self.run(inner)
                scope[name] = inner
            elif alias.name == "*" and source is not None:
                scope.update({key: value for key, value in source.scope.items() if not key.startswith("_")})
            else:
                scope[name] = Imported(f"{base}.{alias.name}".lstrip("."), module.place(node))

    # Expressions ----------------------------------------------------------------------------------------------

    def value(self, node: ast.expr | None, scope: dict[str, Any], module: Module) -> Any:
        """Return an expression's value, or Undecided with the place that made it so."""
        self.steps += 1
        if node is None:
            return None
        if self.steps > MAX_STEPS or self.depth > MAX_DEPTH:
            return Undecided("the source is too long to follow", module.place(node))
        if isinstance(node, ast.Call):
            return self._call(node, scope, module)
        handler = EXPRESSIONS.get(type(node))
        if handler is None:
            return Undecided(f"a {type(node).__name__} is not followed", module.place(node))
        return handler(self, node, scope, module)

    def attribute(self, owner: Any, name: str, node: ast.expr, module: Module) -> Any:
        """Return an attribute of a value."""
        if isinstance(owner, Module):
            if name in owner.scope:
                return owner.scope[name]
            return Undecided(f"{owner.name} has no {name}", module.place(node))
        if isinstance(owner, Imported):
            return Imported(f"{owner.path}.{name}", owner.location)
        if isinstance(owner, Instance):
            return operations.instance_attribute(self, owner, name, module.place(node))
        if isinstance(owner, Class):
            return operations.class_attribute(owner, name, module.place(node))
        return doubt_in(owner) or Undecided(f"the attribute {name} is not followed", module.place(node))

    # Calls ----------------------------------------------------------------------------------------------------

    def call_of(self, node: ast.Call, method: str, scope: dict[str, Any], module: Module) -> Call:
        """Return a call with its arguments' values and places."""
        positional: list[Any] = []
        for item in node.args:
            value = self.value(item.value if isinstance(item, ast.Starred) else item, scope, module)
            positional.extend(value if isinstance(item, ast.Starred) and isinstance(value, (list, tuple)) else [value])
        arguments: dict[str, Any] = {}
        places: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, scope, module)
            if keyword.arg is None:
                spread = value if isinstance(value, dict) else {"**": value}
                arguments |= spread
                places |= dict.fromkeys(spread, module.place(keyword))
            else:
                arguments[keyword.arg] = value
                places[keyword.arg] = module.place(keyword)
        return Call(method, positional, arguments, places, module.place(node), uncertain=self._doubt())

    def _call(self, node: ast.Call, scope: dict[str, Any], module: Module) -> Any:
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value, scope, module)
            if isinstance(owner, Made):
                call = self.call_of(node, node.func.attr, scope, module)
                owner.calls.append(call)
                return Undecided(f"what {owner.kind}.{node.func.attr} returns is not followed", module.place(node))
            if isinstance(owner, (str, list, dict, tuple)):
                call = self.call_of(node, node.func.attr, scope, module)
                return operations.method(owner, call)
            function = self.attribute(owner, node.func.attr, node, module)
        else:
            function = self.value(node.func, scope, module)
        call = self.call_of(node, "", scope, module)
        return self.invoke(function, call, node, module)

    def invoke(self, function: Any, call: Call, node: ast.expr, module: Module) -> Any:
        """Call a function, a class, or something imported."""
        if isinstance(function, Function):
            return self.apply(function, call)
        if isinstance(function, Class):
            return operations.instantiate(self, function, call)
        if isinstance(function, Imported):
            return self._imported_call(function.path, call, node, module)
        return doubt_in(function) or Undecided("what is called is not in these files", module.place(node))

    def _imported_call(self, path: str, call: Call, node: ast.expr, module: Module) -> Any:
        name = path.rpartition(".")[2]
        if path in ("os.getenv", "os.environ.get"):
            default = call.positional[1] if len(call.positional) > 1 else call.arguments.get("default")
            return self.environment_value(call.positional[0] if call.positional else None, node, module, default)
        if path == "json.loads" and call.positional and isinstance(call.positional[0], str):
            try:
                return json.loads(call.positional[0])
            except ValueError:
                return Undecided("this is not JSON", module.place(node))
        if path.startswith("builtins."):
            return operations.builtin(name, call)
        if name in operations.FRAMEWORK:
            made = Made(name, call.location, dict(call.arguments), dict(call.places), list(call.positional))
            self.objects.append(made)
            return made
        if name in ("Field", "lru_cache", "cache"):
            return Made(name, call.location, dict(call.arguments), dict(call.places), list(call.positional))
        return Undecided(f"{path} is not in these files", module.place(node))

    def environment_value(
        self, name: Any, node: ast.expr, module: Module, default: Any = None, *, required: bool = False
    ) -> Any:
        """Return an environment variable's value, its literal default, or Undecided."""
        if not isinstance(name, str):
            return Undecided("the name of an environment variable is not decided", module.place(node))
        if name in self.environment:
            return self.environment[name]
        if required:
            return Undecided(f"the environment variable {name} is not set in these files", module.place(node))
        return default

    def apply(self, function: Function, call: Call) -> Any:
        """Interpret a call of one of the application's functions."""
        if self.depth >= MAX_DEPTH:
            return Undecided("calls are nested too deeply", call.location)
        node = function.node
        scope: dict[str, Any] = dict(function.scope) if function.scope is not function.module.scope else {}
        operations.bind_arguments(self, function, call, scope)
        if isinstance(node, ast.Lambda):
            return self.value(node.body, scope, function.module)
        scope["\0doubt"] = len(self.doubtful)
        self.depth += 1
        try:
            self._block(node.body, scope, function.module)
        except _Return as returned:
            return operations.joined_returns(scope, returned.value, call.location)
        except _Stop:
            return operations.joined_returns(scope, Undecided("an exception is raised", call.location), call.location)
        finally:
            self.depth -= 1
        return operations.joined_returns(scope, None, call.location)


def _assigned(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Assign):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in statement.names)


_STATEMENTS: Mapping[type[ast.stmt], str] = {
    ast.Assign: "_assign", ast.AnnAssign: "_annotated", ast.AugAssign: "_augmented",
    ast.If: "_if", ast.For: "_for", ast.AsyncFor: "_for", ast.While: "_while",
    ast.Try: "_try", ast.With: "_with", ast.AsyncWith: "_with",
    ast.Expr: "_expression", ast.Return: "_return", ast.Raise: "_jump",
    ast.Break: "_jump", ast.Continue: "_jump", ast.FunctionDef: "_function",
    ast.AsyncFunctionDef: "_function", ast.ClassDef: "_class", ast.Import: "_import",
    ast.ImportFrom: "_import_from",
}  # fmt: skip
