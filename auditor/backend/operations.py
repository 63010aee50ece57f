"""What the interpreter knows of Python itself: operators, methods of plain values, classes and settings."""

from __future__ import annotations

import ast
import json
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from auditor.backend.values import Call, Class, Function, Imported, Instance, Made, Module, Undecided, doubt_in, known
from auditor.errors import Location

if TYPE_CHECKING:
    from auditor.backend.interpret import Interpreter

FRAMEWORK = frozenset(
    ("FastAPI", "Starlette", "APIRouter", "Router", "Middleware", "Route", "WebSocketRoute", "Mount", "StaticFiles",
     "CORSMiddleware", "APIRoute")
)  # fmt: skip
BUILTINS = frozenset(
    ("bool", "dict", "int", "float", "len", "list", "set", "sorted", "str", "tuple", "getattr", "isinstance", "any", "all",
     "frozenset", "property", "print", "min", "max")
)  # fmt: skip
MAX_TEXT = 100_000


def truth(value: Any) -> bool | None:
    """Return a value's truth, None where it is not decided."""
    if isinstance(value, Undecided):
        return None
    if isinstance(value, (Made, Class, Function, Instance, Module)):
        return True
    if isinstance(value, Imported):
        return None
    return bool(value)


_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.BitOr: operator.or_,
}  # fmt: skip


def binary(kind: ast.operator, left: Any, right: Any, place: Location) -> Any:
    """Apply an operator to two values."""
    if isinstance(kind, ast.Add) and isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return [*left, *right] if isinstance(left, list) else (*left, *right)
    doubt = doubt_in(left) or doubt_in(right)
    if doubt is not None:
        return [*left, doubt] if isinstance(left, list) else doubt
    function = _BINARY.get(type(kind))
    if function is None or not (known(left) and known(right)):
        return Undecided("an operator is not followed", place)
    if isinstance(kind, ast.Mult) and isinstance(left, (str, list)) and not (isinstance(right, int) and right < 100):
        return Undecided("a repetition is not followed", place)
    try:
        result = function(left, right)
    except (TypeError, ValueError, ArithmeticError):
        return Undecided("an operator does not fit its values", place)
    return Undecided("a text grows too long", place) if isinstance(result, str) and len(result) > MAX_TEXT else result


_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda left, right: left in right, ast.NotIn: lambda left, right: left not in right,
    ast.Is: operator.is_, ast.IsNot: operator.is_not,
}  # fmt: skip


def compare(kind: ast.cmpop, left: Any, right: Any) -> bool | None:
    """Compare two values, None where that is not decided."""
    if isinstance(kind, (ast.Is, ast.IsNot)) and right is None and not isinstance(left, (Undecided, Imported)):
        return (left is None) is isinstance(kind, ast.Is)
    function = _COMPARE.get(type(kind))
    if function is None or not (known(left) and known(right)):
        return None
    try:
        return bool(function(left, right))
    except TypeError:
        return None


_TEXT = frozenset(
    ("split", "strip", "lstrip", "rstrip", "lower", "upper", "replace", "startswith", "endswith", "join", "format", "title",
     "removeprefix", "removesuffix", "splitlines", "casefold", "rsplit", "partition", "isdigit", "count", "find", "rpartition")
)  # fmt: skip
_MUTATING = frozenset(
    ("append", "extend", "insert", "remove", "pop", "clear", "update", "add", "discard", "sort", "reverse")
)


def method(owner: Any, call: Call) -> Any:
    """Call a method of a text, a list or a dictionary."""
    name, values = call.method, call.positional
    if isinstance(owner, str):
        return _text_method(owner, name, call)
    if isinstance(owner, dict) and name in ("get", "items", "keys", "values", "update", "copy", "setdefault"):
        return _dict_method(owner, name, call)
    if isinstance(owner, list) and name in _MUTATING:
        if call.uncertain:
            owner.append(Undecided(call.uncertain, call.location))
            return None
        return _list_method(owner, name, call)
    if isinstance(owner, (list, tuple)) and name in ("copy", "index", "count") and known(owner) and known(values):
        return list(owner) if name == "copy" else Undecided("a list method is not followed", call.location)
    return doubt_in(owner) or Undecided(f"the method {name} is not followed", call.location)


def _text_method(owner: str, name: str, call: Call) -> Any:
    doubt = doubt_in(call.positional) or doubt_in(call.arguments)
    if doubt is not None:
        return doubt
    if name not in _TEXT or not known(call.positional) or not known(call.arguments):
        return Undecided(f"the method {name} is not followed", call.location)
    if name == "format" and ("__" in owner or "!" in owner or ":" in owner):
        return Undecided("a format is not followed", call.location)
    try:
        result = getattr(owner, name)(*call.positional, **call.arguments)
    except (TypeError, ValueError, KeyError, IndexError):
        return Undecided(f"the method {name} does not fit its values", call.location)
    return (
        Undecided("a text grows too long", call.location)
        if isinstance(result, str) and len(result) > MAX_TEXT
        else result
    )


def _dict_method(owner: dict[Any, Any], name: str, call: Call) -> Any:
    if name == "update":
        values = call.positional[0] if call.positional else call.arguments
        if isinstance(values, dict) and not call.uncertain:
            owner.update(values)
        else:
            owner["\0"] = Undecided(
                call.uncertain or "a dictionary is updated with something not decided", call.location
            )
        return None
    if name in ("get", "setdefault"):
        key = call.positional[0] if call.positional else None
        if not isinstance(key, (str, int)) or "\0" in owner:
            return doubt_in(key) or Undecided("a key is not decided", call.location)
        return owner.get(key, call.positional[1] if len(call.positional) > 1 else None)
    if name == "items":
        return [tuple(pair) for pair in owner.items()]
    return dict(owner) if name == "copy" else list(owner if name == "keys" else owner.values())


def _list_method(owner: list[Any], name: str, call: Call) -> Any:
    values = call.positional
    if name == "append" and len(values) == 1:
        owner.append(values[0])
    elif name == "extend" and len(values) == 1 and isinstance(values[0], (list, tuple, set, frozenset)):
        owner.extend(values[0])
    elif name == "insert" and len(values) == 2 and isinstance(values[0], int):
        owner.insert(values[0], values[1])
    elif name == "remove" and known(owner) and values and values[0] in owner:
        owner.remove(values[0])
    elif name == "clear":
        owner.clear()
    elif name in ("sort", "reverse") and known(owner):
        owner.reverse()
    else:
        owner.append(doubt_in(values) or Undecided(f"the method {name} is not followed", call.location))
    return None


def builtin(name: str, call: Call) -> Any:
    """Call one of Python's own functions."""
    values = call.positional
    first = values[0] if values else None
    if name in ("list", "tuple", "set", "frozenset", "sorted"):
        if not values:
            return () if name == "tuple" else []
        if not isinstance(first, (list, tuple, set, frozenset, str, dict)):
            return doubt_in(first) or Undecided(f"{name}() of something not decided", call.location)
        items = list(first)
        if name in ("set", "frozenset", "sorted") and known(items):
            items = list(dict.fromkeys(items)) if name != "sorted" else sorted(items, key=str)
        return tuple(items) if name == "tuple" else items
    doubt = doubt_in(values)
    if doubt is not None:
        return doubt
    if not known(values):
        return Undecided(f"{name}() is not followed", call.location)
    simple: Mapping[str, Callable[..., Any]] = {
        "bool": bool, "int": int, "float": float, "len": len, "str": str, "dict": dict, "any": any, "all": all,
        "min": min, "max": max,
    }  # fmt: skip
    if name not in simple:
        return Undecided(f"{name}() is not followed", call.location)
    try:
        return simple[name](*values, **(call.arguments if name == "dict" else {}))
    except (TypeError, ValueError):
        return Undecided(f"{name}() does not fit its value", call.location)


def bind_arguments(interpreter: Interpreter, function: Function, call: Call, scope: dict[str, Any]) -> None:
    """Put a call's arguments under the function's parameter names."""
    spec = function.node.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
    values = ([function.bound] if function.bound is not None else []) + call.positional
    scope |= dict(zip(names, values, strict=False))
    scope |= call.arguments
    given = set(names[: len(values)]) | set(call.arguments)
    for name, default in zip(reversed(names), reversed(spec.defaults), strict=False):
        if name not in given:
            scope[name] = interpreter.value(default, function.scope, function.module)
    for argument, default_or_none in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        if argument.arg not in given and default_or_none is not None:
            scope[argument.arg] = interpreter.value(default_or_none, function.scope, function.module)
    for name in (*names, *(argument.arg for argument in spec.kwonlyargs)):
        scope.setdefault(name, Undecided(f"the argument {name} is not given", call.location))


def joined_returns(scope: dict[str, Any], value: Any, place: Location) -> Any:
    """Return what a function returns, Undecided where several values are possible."""
    earlier = scope.get("\0returns", [])
    if all(known(item) and item == value for item, _ in earlier):
        return value
    return Undecided(earlier[0][1], place)


_SETTINGS = ("BaseSettings", "pydantic_settings.BaseSettings", "pydantic.BaseSettings")


def build_class(interpreter: Interpreter, node: ast.ClassDef, scope: dict[str, Any], module: Module) -> Class:
    """Read a class: plain attributes, annotated fields with defaults, methods."""
    bases = tuple(interpreter.value(base, scope, module) for base in node.bases)
    made = Class(node.name, module, bases=bases, node=node)
    for base in bases:
        if isinstance(base, Class):
            made.attributes |= base.attributes
            made.fields |= base.fields
            made.settings, made.prefix = made.settings or base.settings, made.prefix or base.prefix
        elif isinstance(base, Imported) and base.path.endswith("BaseSettings"):
            made.settings = True
    inner: dict[str, Any] = dict(scope)
    for statement in node.body:
        _member(interpreter, made, statement, inner, module)
    return made


def _member(interpreter: Interpreter, made: Class, statement: ast.stmt, inner: dict[str, Any], module: Module) -> None:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        name, place = statement.target.id, module.place(statement)
        default = Undecided(f"the setting {name} has no default", place)
        value = interpreter.value(statement.value, inner, module) if statement.value is not None else default
        inner[name] = value
        made.fields[name] = (value, ast.unparse(statement.annotation), place)
    elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        made.attributes[statement.name] = inner[statement.name] = Function(statement, module, inner)
    elif isinstance(statement, ast.ClassDef) and statement.name == "Config":
        made.prefix = _config_prefix(build_class(interpreter, statement, inner, module)) or made.prefix
    elif isinstance(statement, ast.Assign):
        value = interpreter.value(statement.value, inner, module)
        made.prefix = _model_config(statement, interpreter, inner, module) or made.prefix
        for target in statement.targets:
            if isinstance(target, ast.Name):
                made.attributes[target.id] = inner[target.id] = value


def _config_prefix(config: Class) -> str:
    value = config.attributes.get("env_prefix", "")
    return value if isinstance(value, str) else ""


def _model_config(node: ast.Assign, interpreter: Interpreter, scope: dict[str, Any], module: Module) -> str:
    if isinstance(node.value, ast.Call) and ast.unparse(node.targets[0]) == "model_config":
        for keyword in node.value.keywords:
            if keyword.arg == "env_prefix":
                value = interpreter.value(keyword.value, scope, module)
                return value if isinstance(value, str) else ""
    return ""


def instantiate(interpreter: Interpreter, made: Class, call: Call) -> Instance:
    """Make an object of one of the application's classes."""
    instance = Instance(made, dict(call.arguments))
    initialiser = made.attributes.get("__init__")
    if isinstance(initialiser, Function):
        interpreter.apply(Function(initialiser.node, initialiser.module, initialiser.scope, instance), call)
    return instance


def instance_attribute(interpreter: Interpreter, owner: Instance, name: str, place: Location) -> Any:
    """Return an object's attribute: given, from the environment (settings), a default, a property or a method."""
    if name in owner.attributes:
        return owner.attributes[name]
    if name in owner.of.fields:
        default, annotation, where = owner.of.fields[name]
        if owner.of.settings:
            return _setting(interpreter, owner.of, name, default, annotation, where)
        return _field_default(default)
    value = owner.of.attributes.get(name)
    if isinstance(value, Function):
        bound = Function(value.node, value.module, value.scope, owner)
        if _is_property(value):
            return interpreter.apply(bound, Call(name, [], {}, {}, place))
        return bound
    if value is not None or name in owner.of.attributes:
        return value
    return Undecided(f"{owner.of.name} has no {name} in these files", place)


def _is_property(function: Function) -> bool:
    if isinstance(function.node, ast.Lambda):
        return False
    return any(
        ast.unparse(item).split(".")[-1] in ("property", "cached_property", "computed_field")
        for item in function.node.decorator_list
    )


def _field_default(default: Any) -> Any:
    if isinstance(default, Made) and default.kind == "Field":
        if "default" in default.arguments:
            return default.arguments["default"]
        if default.positional and default.positional[0] is not Ellipsis:
            return default.positional[0]
        return Undecided("the field has no literal default", default.location)
    return default


def _setting(  # noqa: PLR0917
    interpreter: Interpreter, made: Class, name: str, default: Any, annotation: str, place: Location
) -> Any:
    names = [made.prefix + name]
    if isinstance(default, Made):
        alias = (
            default.arguments.get("alias") or default.arguments.get("validation_alias") or default.arguments.get("env")
        )
        names = [alias] if isinstance(alias, str) else names
    validated = any(
        isinstance(value, Function) and not isinstance(value.node, ast.Lambda)
        and any(name in ast.unparse(item) and "validator" in ast.unparse(item) for item in value.node.decorator_list)
        for value in made.attributes.values()
    )  # fmt: skip
    lower = {key.lower(): value for key, value in interpreter.environment.items()}
    for wanted in names:
        if wanted.lower() in lower:
            if validated:
                return Undecided(f"a validator changes the setting {name}", place)
            return _typed(lower[wanted.lower()], annotation, place)
    value = _field_default(default)
    return (
        Undecided(f"a validator changes the setting {name}", place) if validated and isinstance(value, str) else value
    )


def _typed(text: str, annotation: str, place: Location) -> Any:
    lower = annotation.lower().replace("optional[", "").replace("typing.", "")
    if lower.startswith("bool"):
        return text.strip().lower() in ("1", "true", "t", "yes", "y", "on")
    if lower.startswith("int"):
        try:
            return int(text)
        except ValueError:
            return Undecided("an environment variable is not a number", place)
    if lower.startswith(("list", "tuple", "set", "sequence", "dict")):
        try:
            return json.loads(text)
        except ValueError:
            return Undecided("pydantic-settings reads lists as JSON, and this environment variable is not JSON", place)
    return text


def class_attribute(owner: Class, name: str, place: Location) -> Any:
    """Return an attribute of a class itself."""
    if name in owner.attributes:
        return owner.attributes[name]
    if name in owner.fields:
        return _field_default(owner.fields[name][0])
    return Undecided(f"{owner.name} has no {name} in these files", place)
