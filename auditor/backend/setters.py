"""Middlewares of the application itself that set headers on what comes back."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.backend.application import (
    Middleware,
    OtherMiddleware,
    SetHeaders,
)
from auditor.backend.interpret import Interpreter
from auditor.backend.values import Function
from auditor.errors import Location


def header_setter(interpreter: Interpreter, function: Function, place: Location) -> Middleware:
    """Read a middleware function that passes the request on and sets literal headers on what comes back."""
    node = function.node
    if isinstance(node, ast.Lambda):
        return OtherMiddleware(place, "a lambda")
    found: list[tuple[str, str | None, Location]] = []
    reason = ""
    for statement, certain in _walk(node.body, certain=True):
        for name, value, where in _header_writes(statement):
            made = interpreter.value(value, function.scope, function.module) if certain else None
            header = interpreter.value(name, function.scope, function.module)
            location = function.module.place(where)
            if isinstance(header, str):
                found.append((header, made if isinstance(made, str) else None, location))
            else:
                reason = "it sets headers whose names are not decided"
        if isinstance(statement, ast.Return) and not _passes_on(statement):
            reason = reason or f"it may answer by itself (line {statement.lineno})"
    return SetHeaders(place, tuple(found), reason)


def _walk(body: list[ast.stmt], *, certain: bool) -> Iterator[tuple[ast.stmt, bool]]:
    for statement in body:
        yield statement, certain
        match statement:
            case ast.If():
                yield from _walk(statement.body, certain=False)
                yield from _walk(statement.orelse, certain=False)
            case ast.Try():
                yield from _walk(statement.body, certain=certain)
                for handler in statement.handlers:
                    yield from _walk(handler.body, certain=False)
                yield from _walk([*statement.orelse, *statement.finalbody], certain=certain)
            case ast.With() | ast.AsyncWith():
                yield from _walk(statement.body, certain=certain)
            case ast.For() | ast.AsyncFor() | ast.While():
                yield from _walk(statement.body, certain=False)


def _header_writes(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr, ast.AST]]:
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Subscript) and _is_headers(target.value):
                yield target.slice, statement.value, statement
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if isinstance(call.func, ast.Attribute) and _is_headers(call.func.value):
            if call.func.attr in ("setdefault", "append", "__setitem__") and len(call.args) == 2:
                yield call.args[0], call.args[1], call
            elif call.func.attr == "update" and len(call.args) == 1 and isinstance(call.args[0], ast.Dict):
                pairs = zip(call.args[0].keys, call.args[0].values, strict=True)
                yield from ((key, value, value) for key, value in pairs if key is not None)


def _is_headers(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "headers" and "req" not in ast.unparse(node.value).lower()


def _passes_on(statement: ast.Return) -> bool:
    value = statement.value
    if isinstance(value, ast.Await):
        value = value.value
    if isinstance(value, ast.Name):
        return True
    return isinstance(value, ast.Call) and ast.unparse(value.func).endswith("call_next")
